"""Nested JSON of a run as tables of text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayner.rendering.bilingual import BilingualText, same_in_both
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate

_TABLES = ("inputs", "counts", "timings", "faults", "versions")  # in the order in which they are shown


@dataclass(frozen=True, slots=True)
class FactTable:
    """A table with a heading. columns: empty for a table of names and values."""

    heading: BilingualText
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def main_tables(run: Mapping[str, Any]) -> list[FactTable]:
    """The tables that every report shows, of the keys that are there and not empty."""
    return [
        json_to_table(translate(f"facts_{key}"), run[key]) for key in _TABLES if run.get(key) not in (None, {}, [], "")
    ]


def remaining_tables(run: Mapping[str, Any]) -> list[FactTable]:
    """One table for each other key that holds a collection, after one for those that hold single values."""
    rest = {key: value for key, value in run.items() if key not in _TABLES}
    nested = {key: value for key, value in rest.items() if isinstance(value, dict | list) and value}
    single = {key: value for key, value in rest.items() if key not in nested}
    return ([json_to_table(translate("facts_general"), single)] if single else []) + [
        json_to_table(same_in_both(key), value) for key, value in nested.items()
    ]


def json_to_table(heading: BilingualText, value: Any) -> FactTable:  # noqa: ANN401 - JSON
    """Any JSON value as a table: a list of objects with a column each, else dotted names and values."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        flat = [dict(flatten_json(item)) for item in value]
        columns = tuple(dict.fromkeys(name for item in flat for name in item))
        return FactTable(heading, columns, tuple(tuple(item.get(name, "") for name in columns) for item in flat))
    return FactTable(heading, (), tuple(flatten_json(value)))


def flatten_json(value: Any, name: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Dotted names and values as text, in order; a list of single values stays together."""
    if isinstance(value, dict) and value:
        return [
            pair for key, inner in value.items() for pair in flatten_json(inner, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [pair for i, inner in enumerate(value) for pair in flatten_json(inner, f"{name}[{i}]")]
    if isinstance(value, list):
        return [(name, ", ".join(map(format_value, value)) or "none")]
    return [(name, format_value(value))]
