"""Nested JSON of a run as tables of text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayner.rendering.report_messages import say
from rayner.rendering.templates import shown
from rayner.rendering.translation import Both, same

_TABLES = ("inputs", "counts", "timings", "faults", "versions")  # in the order in which they are shown


@dataclass(frozen=True, slots=True)
class Facts:
    """A table with a heading. columns: empty for a table of names and values."""

    heading: Both
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def known(run: Mapping[str, Any]) -> list[Facts]:
    """The tables that every report shows, of the keys that are there and not empty."""
    return [table(say(f"facts_{key}"), run[key]) for key in _TABLES if run.get(key) not in (None, {}, [], "")]


def others(run: Mapping[str, Any]) -> list[Facts]:
    """One table for each other key that holds a collection, after one for those that hold single values."""
    rest = {key: value for key, value in run.items() if key not in _TABLES}
    nested = {key: value for key, value in rest.items() if isinstance(value, dict | list) and value}
    single = {key: value for key, value in rest.items() if key not in nested}
    return ([table(say("facts_general"), single)] if single else []) + [
        table(same(key), value) for key, value in nested.items()
    ]


def table(heading: Both, value: Any) -> Facts:  # noqa: ANN401 - JSON
    """Any JSON value as a table: a list of objects with a column each, else dotted names and values."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        flat = [dict(flatten(item)) for item in value]
        columns = tuple(dict.fromkeys(name for item in flat for name in item))
        return Facts(heading, columns, tuple(tuple(item.get(name, "") for name in columns) for item in flat))
    return Facts(heading, (), tuple(flatten(value)))


def flatten(value: Any, name: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Dotted names and values as text, in order; a list of single values stays together."""
    if isinstance(value, dict) and value:
        return [pair for key, inner in value.items() for pair in flatten(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [pair for i, inner in enumerate(value) for pair in flatten(inner, f"{name}[{i}]")]
    if isinstance(value, list):
        return [(name, ", ".join(map(shown, value)) or "none")]
    return [(name, shown(value))]
