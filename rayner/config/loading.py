"""Read a configuration from a YAML file and dotted `key=value` overrides, and check it.

Unknown keys are errors.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rayner.config.bundled import BUNDLED_NAMES, find_config, use_bundled_sample
from rayner.config.declare import find_plain_value_setting, iter_settings
from rayner.config.places import COMMAND_LINE, SettingPlaces
from rayner.config.renamed import REMOVED, RENAMED
from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import Config
from rayner.config.yaml_reading import parse_yaml, read_yaml_file_with_lines
from rayner.errors import ConfigError
from rayner.text.credentials import hide_credentials
from rayner.text.messages import shorten_repr

# The sections in whose place a plain value may stand, and the setting that it sets: `corpus` is `corpus.path`.
_PLAIN_VALUE_SETTINGS = {
    name: plain
    for name, hint in typing.get_type_hints(Config).items()
    if (plain := find_plain_value_setting(hint)) is not None
}


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """Load a configuration and apply `key=value` overrides.

    path: the YAML file, or the name of a bundled configuration; None for the default settings.
    overrides: dotted keys with YAML values.
    Raises ConfigError, which names the key, and the line of the file or the command line, for an unknown key or a value
    of the wrong type or out of range.
    """
    tree, lines = ({}, {}) if path is None else _read_settings(path)
    places = SettingPlaces(None if path is None else str(path), lines)
    for name in _PLAIN_VALUE_SETTINGS.keys() & tree.keys():
        _insert_by_dotted_key(tree, name, tree.pop(name))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{COMMAND_LINE}: expected key=value, found {shorten_repr(override)}")
        value = _parse_override(key, text)
        _insert_by_dotted_key(tree, key, value)
        places.add_override(key, replaces_section=isinstance(value, dict))
    config = _name_corpus_to_cluster(_build_section(Config, tree, "", places))
    try:
        check_setting_values_and_combinations(config)
    except ConfigError as error:
        raise ConfigError(places.add_to_message(str(error))) from None
    return config


def _read_settings(path: str | Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the settings in a YAML file or a bundled configuration, and the line of each dotted key."""
    file = find_config(path) if isinstance(path, str) else path
    try:
        tree, lines = read_yaml_file_with_lines(file)
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file, found: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{hide_credentials(str(path))}: expected a YAML file, found: {error}") from None
    if tree is None:  # the file holds only comments
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(tree).__name__}")
    if path in BUNDLED_NAMES:
        use_bundled_sample(tree)
    return tree, lines


def _name_corpus_to_cluster(config: Config) -> Config:
    """Replace `corpus` in `slm.crf.unlabelled` by the path of the corpus; by null if there is none."""
    crf = config.slm.crf
    if crf.unlabelled != "corpus":
        return config
    crf = dataclasses.replace(crf, unlabelled=config.corpus.path)
    return dataclasses.replace(config, slm=dataclasses.replace(config.slm, crf=crf))


def _parse_override(key: str, text: str) -> Any:  # noqa: ANN401 - whatever the YAML holds
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{COMMAND_LINE}: {key}: expected YAML, found {shorten_repr(text)}: {error}") from None


def _insert_by_dotted_key(tree: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - see _parse_override
    if key in _PLAIN_VALUE_SETTINGS and not isinstance(value, dict):
        key = f"{key}.{_PLAIN_VALUE_SETTINGS[key]}"
    *sections, name = key.split(".")
    for part in sections:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{COMMAND_LINE}: {key}: expected {part} to be a section, found a value")
    tree[name] = value


def _build_section(section_type: type[Any], tree: Mapping[str, Any], prefix: str, places: SettingPlaces) -> Any:  # noqa: ANN401 - an instance of it
    hints = typing.get_type_hints(section_type)
    for name in tree:
        if name not in hints:
            key = f"{prefix}{name}"
            raise ConfigError(f"{places.describe(key)}: {_describe_unknown_key(key, str(name), prefix, hints)}")
    plain = find_plain_value_setting(section_type)
    keys = {name: prefix.removesuffix(".") if name == plain else f"{prefix}{name}" for name in tree}
    return section_type(
        **{name: _convert_to_type(hints[name], value, keys[name], places) for name, value in tree.items()}
    )


def _describe_unknown_key(key: str, name: str, prefix: str, known: Mapping[str, Any]) -> str:
    if key in RENAMED:
        return f"{key} is now called {RENAMED[key]}; write that"
    if key in REMOVED:
        return f"{key} is no setting any more: {REMOVED[key]}; leave it out"
    near = [f"{prefix}{match}" for match in difflib.get_close_matches(name, known, 1)]
    near = near or [info.key for info in iter_settings(Config) if info.key.rpartition(".")[2] == name]
    unknown = f"unknown key {shorten_repr(key)[1:-1]}"
    if near:
        return f"{unknown}; did you mean {' or '.join(near[:3])}?"
    where = f" in {prefix[:-1]}" if prefix else ""
    return f"{unknown}; expected one of {', '.join(known)}{where}"


def _convert_to_type(type_hint: Any, value: Any, key: str, places: SettingPlaces) -> Any:  # noqa: ANN401 - types and values of any kind
    """Convert a YAML value to the type of a setting.

    Raises ConfigError if the value has another type.
    """
    if dataclasses.is_dataclass(type_hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{places.describe(key)}: {key}: expected a section, found {shorten_repr(value)}")
        return _build_section(typing.cast(type[Any], type_hint), value, f"{key}.", places)
    origin, inner = typing.get_origin(type_hint), typing.get_args(type_hint)
    if origin is types.UnionType:
        return None if value is None else _convert_to_type(inner[0], value, key, places)
    if origin is list:
        elements = _convert_to_list_or_none(inner[0], value)
        if elements is not None:
            return elements
    elif origin is dict:
        if isinstance(value, dict) and all(type(text) in (str, int, type(None)) for text in value.values()):
            return {str(name): "" if text is None else str(text) for name, text in value.items()}
    elif type_hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a string
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, type_hint) and not (type_hint is int and isinstance(value, bool)):
        return value
    elif type_hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # run=2025 names a folder
    name = getattr(type_hint, "__name__", None) if origin is None else str(type_hint)
    raise ConfigError(f"{places.describe(key)}: {key}: expected {name}, found {shorten_repr(value)}")


def _convert_to_list_or_none(element_type: type[Any], value: Any) -> list[Any] | None:  # noqa: ANN401 - whatever the YAML holds
    """Convert a YAML list, or a string of elements separated by commas, to a list of strings or integers.

    A single integer becomes a list of one. Returns None if the value cannot be converted.
    """
    if element_type is int and type(value) is int:
        return [value]
    elements = value.split(",") if isinstance(value, str) else value
    if not isinstance(elements, list):
        return None
    if element_type is int and all(isinstance(each, str) and each.strip().isdecimal() for each in elements):
        return [int(each) for each in elements]
    return elements if all(type(each) is element_type for each in elements) else None
