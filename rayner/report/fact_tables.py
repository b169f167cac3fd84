"""Turn the recorded facts of a run (nested JSON) into tables of text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayner.rendering.bilingual import BilingualText, same_in_both
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate

_MAIN_KEYS = ("inputs", "counts", "timings", "faults", "versions")  # in the order of the report


@dataclass(frozen=True, slots=True)
class FactTable:
    """A table with a heading. `columns` is empty if the rows are pairs of a name and a value."""

    heading: BilingualText
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def build_main_fact_tables(facts: Mapping[str, Any]) -> list[FactTable]:
    """Return a table for each main key that is present and not empty."""
    return [
        tabulate_objects_or_pairs(translate(f"facts_{key}"), facts[key])
        for key in _MAIN_KEYS
        if facts.get(key) not in (None, {}, [], "")
    ]


def build_remaining_fact_tables(facts: Mapping[str, Any]) -> list[FactTable]:
    """Return the tables of all other keys.

    The first table holds the keys with a single value. Then each key with a collection has its own table.
    """
    others = {key: value for key, value in facts.items() if key not in _MAIN_KEYS}
    collections = {key: value for key, value in others.items() if isinstance(value, dict | list) and value}
    single_values = {key: value for key, value in others.items() if key not in collections}
    tables = [tabulate_objects_or_pairs(translate("facts_general"), single_values)] if single_values else []
    return tables + [tabulate_objects_or_pairs(same_in_both(key), value) for key, value in collections.items()]


def tabulate_objects_or_pairs(heading: BilingualText, value: Any) -> FactTable:  # noqa: ANN401 - any JSON
    """Turn any JSON value into a table.

    A list of objects becomes a table with a column for each key. Any other value becomes pairs of a name and a value.
    """
    if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
        flat_objects = [dict(flatten_json(element)) for element in value]
        columns = tuple(dict.fromkeys(name for flat in flat_objects for name in flat))
        rows = tuple(tuple(flat.get(name, "") for name in columns) for flat in flat_objects)
        return FactTable(heading, columns, rows)
    return FactTable(heading, (), tuple(flatten_json(value)))


def flatten_json(value: Any, name_prefix: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Return pairs of a dotted name and a formatted value, in order. A list of single values counts as one value."""
    if isinstance(value, dict) and value:
        return [
            pair
            for key, inner in value.items()
            for pair in flatten_json(inner, f"{name_prefix}.{key}" if name_prefix else str(key))
        ]
    if isinstance(value, list) and any(isinstance(element, dict | list) for element in value):
        return [pair for i, inner in enumerate(value) for pair in flatten_json(inner, f"{name_prefix}[{i}]")]
    if isinstance(value, list):
        return [(name_prefix, ", ".join(map(format_value, value)) or "none")]
    return [(name_prefix, format_value(value))]
