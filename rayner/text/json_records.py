"""Conversion of frozen dataclasses to JSON values and back, for files that a later job reads.

A field may be a plain value, another dataclass, a tuple, a list, or a mapping from strings. A class may define its own
`to_json` and `from_json`.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from rayner.errors import ConfigError

T = TypeVar("T")


def check_format_version(tree: Mapping[str, Any], expected: int, source: object, remedy: str) -> None:
    """Raise ConfigError unless `format_version` is the expected one.

    source: the file, for the message.
    remedy: what the user should do, for the message.
    """
    found = tree.get("format_version") if isinstance(tree, Mapping) else None
    if found != expected:
        version = "a file without one" if found is None else f"version {found!r}"
        raise ConfigError(
            f"{source}: expected format_version {expected}, found {version} (another version of rayner wrote it): "
            f"{remedy}"
        )


def record_to_json(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the fields of a dataclass by name, as JSON values.

    A field whose default and value are both None is left out.
    """
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {
        field.name: _value_to_json(values[field.name])
        for field in dataclasses.fields(record)
        if not (field.default is None and values[field.name] is None)
    }


def _value_to_json(value: Any) -> Any:  # noqa: ANN401 - any value of a record
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return record_to_json(value)
    if isinstance(value, Mapping):
        return {key: _value_to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value_to_json(item) for item in value]
    return value


def record_from_json(cls: type[T], tree: Mapping[str, Any]) -> T:
    """Build a dataclass from the values that `record_to_json` returned.

    A field whose key is missing takes its default. Raises TypeError for an unknown key, and for a missing key whose
    field has no default.
    """
    hints = typing.get_type_hints(cls)
    return cls(**{key: _value_from_json(hints.get(key), value) for key, value in tree.items()})


def _value_from_json(hint: Any, value: Any) -> Any:  # noqa: ANN401 - any type and value of a record
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        chosen = next(option for option in arguments if option is not type(None))
        return None if value is None else _value_from_json(chosen, value)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(_value_from_json(arguments[0], item) for item in value)
        return tuple(_value_from_json(item_hint, item) for item_hint, item in zip(arguments, value, strict=True))
    if origin is list:
        return [_value_from_json(arguments[0], item) for item in value]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _value_from_json(arguments[1], item) for key, item in value.items()}
    if hasattr(hint, "from_json"):
        return hint.from_json(value)
    if dataclasses.is_dataclass(hint):
        return record_from_json(typing.cast("type[Any]", hint), value)
    return value
