"""Conversion of frozen dataclasses to JSON values and back, for files that a later job reads.

A field may be a plain value, another dataclass, a tuple, a list, or a mapping from strings. A class may define its own
`to_json` and `from_json`.
"""

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from rayner.errors import ConfigError, DamagedFileError
from rayner.text.messages import shorten_repr

T = TypeVar("T")


def check_format_version(tree: Mapping[str, Any], expected: int, source: object, remedy: str) -> None:
    """Raise ConfigError unless `format_version` is the expected one.

    source: the file, for the message.
    remedy: what the user can do instead of using that version.
    """
    found = tree.get("format_version") if isinstance(tree, Mapping) else None
    if found != expected or isinstance(found, bool):
        version = "a file without one" if found is None else f"version {shorten_repr(found)}"
        raise ConfigError(
            f"{source}: expected format_version {expected}, found {version} (another version of rayner wrote it): "
            f"use that version, or {remedy}"
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


class RecordError(ValueError):
    """A JSON value does not fit a dataclass. The message names the key, what was expected and what was found."""


def parse_record(
    cls: type[T],
    content: Any,  # noqa: ANN401 - whatever the file holds
    source: object,
    *,
    expected: str,
    remedy: str,
    format_version: int | None = None,
    ignore_unknown: bool = False,
) -> T:
    """Build a dataclass from the content of a control file.

    Args:
        cls: The dataclass. If it has a `from_json`, that is used.
        content: The JSON value that the file holds.
        source: The file, for the message.
        expected: What the file should hold, such as `a step's manifest`.
        remedy: What the user can do about a damaged file that has no backup.
        format_version: The format version that the file must have; None if it has none.
        ignore_unknown: Whether keys are ignored that a newer version of rayner may have added.

    Raises:
        ConfigError: The file has another format version.
        DamagedFileError: The file holds something else.

    """
    if not isinstance(content, Mapping):
        raise damaged_record_error(source, f"expected {expected}, found {describe_json(content)}", remedy)
    fields = dict(content)
    if format_version is not None:
        check_format_version(content, format_version, source, remedy)
        del fields["format_version"]
    if ignore_unknown:
        names = _field_names(cls)
        fields = {key: value for key, value in fields.items() if key in names}
    try:
        return record_from_json(cls, fields)
    except RecordError as error:
        raise damaged_record_error(source, str(error), remedy) from None


def damaged_record_error(source: object, reason: str, remedy: str) -> DamagedFileError:
    """Return the error for a control file whose content does not fit.

    source: the file.
    reason: the key, what was expected and what was found.
    remedy: what the user can do if there is no backup.
    """
    line = "".join(char if char.isprintable() else " " for char in reason[:_MAX_REASON])  # keys come from the file
    return DamagedFileError(f"{source}: {line}: the file is damaged; restore it from a backup, or {remedy}")


def describe_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Describe a JSON value in a few words, such as `a list` or `the text 'abc'`."""
    if isinstance(value, Mapping | list | tuple):
        return "an object" if isinstance(value, Mapping) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    text = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    return f"the text {text}" if isinstance(value, str) else f"the number {text}"


def record_from_json(cls: type[T], tree: Mapping[str, Any]) -> T:
    """Build a dataclass from the values that `record_to_json` returned.

    A field whose key is missing takes its default. Raises RecordError, which names the key, for an unknown key, for a
    missing key whose field has no default, and for a value of another type than the field's.
    """
    return _record_from_json(cls, tree, "")


def value_from_json(hint: Any, tree: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any type of a record
    """Return the value of a key. Raises RecordError if there is none, or if it is of another type than `hint`."""
    if key not in tree:
        raise RecordError(f"{key}: expected a value, found none")
    return _value_from_json(hint, tree[key], key)


def _record_from_json(cls: type[T], tree: Any, key: str) -> T:  # noqa: ANN401 - any JSON value
    if not isinstance(tree, Mapping):
        raise _type_error(key, "an object", tree)
    hints: dict[str, Any] = _type_hints(cls)  # type: ignore[arg-type]  # a class can be hashed
    prefix = f"{key}." if key else ""
    for field in dataclasses.fields(typing.cast("type[Any]", cls)):
        has_default = not (field.default is field.default_factory is dataclasses.MISSING)
        if field.name not in tree and not has_default:
            raise RecordError(f"expected the key {prefix}{field.name}, found none")
    names = _field_names(cls)
    unknown = next((name for name in tree if name not in names), None)
    if unknown is not None:
        raise RecordError(f"expected no key {prefix}{unknown}, found one")
    values = {name: _value_from_json(hints[name], value, f"{prefix}{name}") for name, value in tree.items()}
    try:
        return cls(**values)
    except ValueError as error:  # the class checks its own fields
        raise RecordError(f"{key}: {error}" if key else str(error)) from None


def _field_names(cls: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


@functools.cache
def _type_hints(cls: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return typing.get_type_hints(cls)


_SCALARS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
_MAX_NUMBER = sys.float_info.max
_MAX_REASON = 300  # characters of a reason that a message shows
_MAX_SHOWN = 60  # characters of a wrong value that a message shows


def _value_from_json(hint: Any, value: Any, key: str) -> Any:  # noqa: ANN401 - any type and value of a record
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        chosen = next(option for option in arguments if option is not type(None))
        return _value_from_json(chosen, value, key)
    if hint in _SCALARS:
        return _check_scalar(hint, value, key)
    if origin in (tuple, list):
        return _sequence_from_json(origin, arguments, value, key)
    if isinstance(origin or hint, type) and issubclass(origin or hint, Mapping):
        if not isinstance(value, Mapping):
            raise _type_error(key, "an object", value)
        item_hint = arguments[1] if arguments else Any
        return {name: _value_from_json(item_hint, item, f"{key}.{name}") for name, item in value.items()}
    if hasattr(hint, "from_json"):
        return _call_from_json(hint, value, key)
    if dataclasses.is_dataclass(hint):
        return _record_from_json(typing.cast("type[Any]", hint), value, key)
    return value


def _check_scalar(hint: type, value: Any, key: str) -> Any:  # noqa: ANN401 - any value of a record
    allowed = (int, float) if hint is float else hint
    if not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool):
        raise _type_error(key, _SCALARS[hint], value)
    if isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:  # 1e999 is read as infinity
        raise _type_error(key, "a finite number", value)
    return value


def _sequence_from_json(
    origin: type,
    arguments: tuple[Any, ...],
    value: Any,  # noqa: ANN401 - any value of a record
    key: str,
) -> Any:  # noqa: ANN401 - any list or tuple
    if not isinstance(value, list | tuple):
        raise _type_error(key, "a list", value)
    if origin is list or arguments[-1] is Ellipsis:
        return origin(_value_from_json(arguments[0], item, f"{key}.{i}") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise RecordError(f"{key}: expected a list of {len(arguments)} values, found {len(value)}")
    items = zip(arguments, value, strict=True)
    return tuple(_value_from_json(hint, item, f"{key}.{i}") for i, (hint, item) in enumerate(items))


def _call_from_json(hint: Any, value: Any, key: str) -> Any:  # noqa: ANN401 - any type and value of a record
    if not isinstance(value, Mapping):
        raise _type_error(key, "an object", value)
    try:
        return hint.from_json(value)
    except RecordError as error:
        raise RecordError(f"{key}: {error}") from None


def _type_error(key: str, expected: str, value: Any) -> RecordError:  # noqa: ANN401 - any JSON value
    found = describe_json(value)
    return RecordError(f"{key}: expected {expected}, found {found}" if key else f"expected {expected}, found {found}")
