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
    """A table with a heading. columns: empty for a table of names and values."""

    heading: BilingualText
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def build_main_fact_tables(facts: Mapping[str, Any]) -> list[FactTable]:
    """Return the tables of the main keys that are present and not empty."""
    return [
        tabulate_objects_or_pairs(translate(f"facts_{key}"), facts[key])
        for key in _MAIN_KEYS
        if facts.get(key) not in (None, {}, [], "")
    ]


def build_remaining_fact_tables(facts: Mapping[str, Any]) -> list[FactTable]:
    """Return a table of the single values among the other keys, then a table for each key that holds a collection."""
    others = {key: value for key, value in facts.items() if key not in _MAIN_KEYS}
    collections = {key: value for key, value in others.items() if isinstance(value, dict | list) and value}
    single_values = {key: value for key, value in others.items() if key not in collections}
    tables = [tabulate_objects_or_pairs(translate("facts_general"), single_values)] if single_values else []
    return tables + [tabulate_objects_or_pairs(same_in_both(key), value) for key, value in collections.items()]


def tabulate_objects_or_pairs(heading: BilingualText, value: Any) -> FactTable:  # noqa: ANN401 - any JSON
    """Turn any JSON value into a table: a list of objects has a column for each key, else names and values."""
    if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
        flat_objects = [dict(flatten_json(element)) for element in value]
        columns = tuple(dict.fromkeys(name for flat in flat_objects for name in flat))
        rows = tuple(tuple(flat.get(name, "") for name in columns) for flat in flat_objects)
        return FactTable(heading, columns, rows)
    return FactTable(heading, (), tuple(flatten_json(value)))


def flatten_json(value: Any, name_prefix: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Return dotted names and formatted values, in order. A list of single values is one value."""
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
