"""Configurations read from a YAML file and dotted `key=value` overrides. Unknown keys are errors."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rayner.config import Config, check
from rayner.errors import ConfigError


def load(path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file (or the defaults) with `key=value` overrides, values in YAML.

    Raises ConfigError, naming file and key, for what is unknown, of the wrong type or out of range.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, a date of month 13
            raise ConfigError(f"{path}: expected a YAML file, found: {' '.join(str(error).split())}") from error
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
    check(config)
    return config


def _value(key: str, text: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    try:
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{key}: {text!r} is not YAML: {' '.join(str(error).split())}") from error


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
