"""Configurations read from a YAML file and dotted `key=value` overrides, and checked. Unknown keys are errors."""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rayner.config.plugins import is_plugin_name
from rayner.config.settings import Config, get_setting
from rayner.errors import ConfigError

CHOICES = {
    "layout": ("evahan", "conll"),
    "device": ("auto", "cpu", "cuda"),
    "dtype": ("float32", "bfloat16"),
    "slm.family": ("encoder", "crf"),
    "slm.dtype": ("float32", "bfloat16"),
    "engine": ("transformers", "vllm"),
    "llm.examples": ("similar", "fixed", "none"),
    "llm.objective": ("decisions", "tokens"),
    "llm.probability": ("allowed", "unmasked"),
    "llm.zero_stage": (0, 1, 2, 3),
    "reproduce.llm": ("few shot", "similarity prompt", "SFT + few shot", "SFT + similarity prompt", "as configured"),
    "fusion.rules": ("regions", "spans"),
    "fusion.entropy": ("mean", "max"),
    "fusion.probability": ("mean", "min", "product"),
    "fusion.evidence": ("entities", "decisions"),
}

# Which of them may also name code of the user's own, `module:name`.
OPEN = ("layout", "slm.family", "fusion.rules")

# The last parts of keys whose values must be so.
_POSITIVE = frozenset(
    ("batch_size", "micro_batch", "count", "actors", "cpus", "lr", "full_lr", "unit_chars", "max_chars", "steps",
     "iterations", "hidden", "layers", "heads", "intermediate", "r", "alpha", "trials_at_once", "group",
     "seeds", "sentences", "rounds")
)  # fmt: skip
_NOT_NEGATIVE = frozenset(
    ("epochs", "full_epochs", "gpus", "max_failures", "k", "seed", "min_count", "weight_decay", "max_set_aside",
     "c1", "c2", "ridge", "max_steps", "max_restarts", "checkpoint_minutes")
)  # fmt: skip


def entries(of: type[Any] = Config, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted key, default, meaning) of every setting, for `--help`."""
    hints = typing.get_type_hints(of)
    defaults = of()
    for item in dataclasses.fields(of):
        hint = hints[item.name]
        if dataclasses.is_dataclass(hint):
            yield from entries(typing.cast(type[Any], hint), f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, getattr(defaults, item.name), item.metadata["help"]


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """The value of a YAML text. Raises ValueError, of one line, if it has none."""
    try:
        return yaml.safe_load(text)
    except Exception as error:  # PyYAML lets through what its constructors meet: `!!int` of nothing is an IndexError
        raise ValueError(" ".join(f"{error}".split())) from error


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file (or the defaults) with `key=value` overrides, values in YAML.

    Raises ConfigError, naming file and key, for what is unknown, of the wrong type or out of range.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = parse_yaml(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: expected a YAML file, found: {error}") from error
        if tree is None:  # nothing but comments
            tree = {}
        if not isinstance(tree, dict):
            raise ConfigError(f"{path}: expected keys and values, found {type(tree).__name__}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"argument {override!r}: expected key=value")
        _place(tree, key, _value(key, text))
    config: Config = _build(Config, tree, "", str(path or "arguments"))
    check_config(config)
    return config


def check_config(config: Config) -> None:
    """Raise ConfigError, naming the key, for a value out of range."""
    values = {key: get_setting(config, key) for key, _, _ in entries()}
    for key, allowed in CHOICES.items():
        found = values[key]
        for item in found if isinstance(found, list) else [found]:
            if item not in allowed and not (key in OPEN and is_plugin_name(item)):
                others = " or module:name" if key in OPEN else ""
                raise ConfigError(f"{key}: expected one of {', '.join(map(str, allowed))}{others}, found {item!r}")
    for key, value in values.items():
        name = key.rpartition(".")[2]
        _check_spelling(key, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}: expected a finite number, found {value}")
        if (name in _POSITIVE or key == "slm.epochs") and value <= 0:
            raise ConfigError(f"{key}: expected more than 0, found {value}")
        if name in _NOT_NEGATIVE and value < 0:
            raise ConfigError(f"{key}: expected 0 or more, found {value}")
        if name in ("warmup", "dropout", "share") and not 0 <= value <= 1:
            raise ConfigError(f"{key}: expected 0 to 1, found {value}")
        if key in CHOICES and value == []:
            raise ConfigError(f"{key}: expected at least one of {', '.join(map(str, CHOICES[key]))}, found none")
    _check_parts(config)
    _check_models(config)


def _check_spelling(key: str, value: Any) -> None:  # noqa: ANN401 - of any setting
    """Raise ConfigError for text that manifests, which are UTF-8, cannot hold: bytes of a path, half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{key}: expected text in UTF-8, found {value!r}") from None


def _check_parts(config: Config) -> None:
    """Raise ConfigError for parts of the labelled sentences, or a search over them, that cannot be."""
    if not (config.split.dev > 0 and config.split.test >= 0 and config.split.dev + config.split.test < 1):
        raise ConfigError(
            f"split: expected dev > 0 and dev + test < 1, found {config.split.dev} and {config.split.test}"
        )
    if config.fusion.folds < 2:
        raise ConfigError(f"fusion.folds: expected 2 or more, found {config.fusion.folds}")
    if config.split.folds < 0 or config.split.folds == 1:
        raise ConfigError(f"split.folds: expected 0, or 2 and more, found {config.split.folds}")
    if not -1 <= config.split.fold < max(config.split.folds, 0):
        raise ConfigError(
            f"split.fold: expected -1, or less than split.folds ({config.split.folds}), found {config.split.fold}"
        )
    if config.fusion.weight_min >= config.fusion.weight_max:
        raise ConfigError(
            f"fusion.weight_min: expected less than fusion.weight_max ({config.fusion.weight_max}), "
            f"found {config.fusion.weight_min}"
        )


def _check_models(config: Config) -> None:
    """Raise ConfigError for settings of a model that do not fit each other."""
    if config.slm.family != "encoder" and config.index.encoder == "slm":
        raise ConfigError(
            "index.encoder: expected `ngrams` or the checkpoint of an encoder where slm.family is "
            f"{config.slm.family}, which has none, found 'slm'"
        )
    if not all(size.isdecimal() and int(size) > 1 for size in config.slm.crf.clusters):
        raise ConfigError(f"slm.crf.clusters: expected numbers above 1, found {', '.join(config.slm.crf.clusters)}")
    for name, model in (("slm", config.slm), ("llm", config.llm)):
        if not 0 <= model.overlap < model.max_chars:
            raise ConfigError(f"{name}.overlap: expected 0 <= overlap < max_chars, found {model.overlap}")
        if model.batch_size % model.workers.count:
            raise ConfigError(
                f"{name}.batch_size: expected a multiple of the {model.workers.count} workers, found {model.batch_size}"
            )
        if model.scratch.hidden % model.scratch.heads:
            raise ConfigError(
                f"{name}.scratch.hidden: expected a multiple of the {model.scratch.heads} heads, "
                f"found {model.scratch.hidden}"
            )
    if config.llm.silver.text and not config.llm.full_epochs:
        raise ConfigError("llm.silver.text: expected with llm.full_epochs, for an LLM from scratch, found 0 of them")
    if config.llm.batch_size % (config.llm.workers.count * config.llm.micro_batch):
        raise ConfigError(
            f"llm.batch_size: expected a multiple of llm.workers.count * llm.micro_batch = "
            f"{config.llm.workers.count * config.llm.micro_batch}, found {config.llm.batch_size}"
        )


def _value(key: str, text: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {text!r} is not YAML: {error}") from error


def _place(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - see _value
    *path, name = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{key}: {part} is a value, not a section")
    tree[name] = value


def _build(of: type[Any], tree: Mapping[str, Any], prefix: str, source: str) -> Any:  # noqa: ANN401 - an `of`
    hints = typing.get_type_hints(of)
    for key in tree:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigError(f"{source}: unknown key {prefix}{key}{hint}")
    return of(**{key: _convert(hints[key], value, prefix + key, source) for key, value in tree.items()})


def _convert(hint: Any, value: Any, key: str, source: str) -> Any:  # noqa: ANN401 - types and values of any kind
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{source}: {key}: expected a section, found {value!r}")
        return _build(typing.cast(type[Any], hint), value, f"{key}.", source)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _convert(inner[0], value, key, source)
    if origin is list:
        values = value.split(",") if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(item, str) for item in values):
            return values
    elif origin is dict:
        if isinstance(value, dict):
            return {str(k): str(v or "") for k, v in value.items()}
    elif hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a string
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    elif hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # run=2025 names a folder
    name = getattr(hint, "__name__", None) if origin is None else str(hint)
    raise ConfigError(f"{source}: {key}: expected {name}, found {value!r}")
