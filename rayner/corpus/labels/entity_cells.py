"""Read a list of entities: a cell of a spreadsheet, or a value of a JSON record."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rayner.corpus.labels.entity_places import EntityMention
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

_START_KEYS = ("start", "start_offset", "begin")
_END_KEYS = ("end", "end_offset")
_TYPE_KEYS = ("type", "label", "labels", "tag", "entity_type")
_STRING_KEYS = ("text", "entity", "string", "word", "mention")
CELL_SPELLINGS = "屈原/NR; 楚/NS, or a list such as [[0, 2, 'NR']]"
# The type follows `/` or `:`, or is in brackets. The next entity follows after a separator.
_PIECE = re.compile(
    r"\s*(?P<mention>\S(?:[^\n]*?\S)??)\s*(?:[/:：]\s*(?P<type>[^\s/:：;；,，、<>&()（）]+)"
    r"|[(（]\s*(?P<bracketed>[^\s/:：;；,，、<>&()（）]+)\s*[)）])\s*(?:[;；,，、]|(?<=\s)(?=\S)|$)"
)
_OFFSETS = re.compile(r"(\d{1,9})-(\d{1,9})", re.ASCII)
_STRING_WITH_OFFSET = re.compile(r"(.+)@(\d{1,9})", re.ASCII | re.DOTALL)


def read_entity_cell(cell: str, location: str) -> list[EntityMention]:
    """Read the entities in a cell. An empty cell has none.

    Args:
        cell: A list in JSON or in Python's spelling (`read_entity_list`), an object `{type: [string, ...]}` or
            `{string: type}`, or entities such as `屈原/NR; 楚/NS`. In the last form, the type may also follow a colon
            or be in brackets. Entities are separated by `;`, a comma, 、 or white space. `楚@5/NS` gives the offset of
            the string. `0-2/NR` gives offsets alone.
        location: Where the cell is, for messages.

    Raises:
        DataError: The cell has another form.

    """
    stripped = cell.strip()
    if not stripped:
        return []
    if stripped[0] not in "[{":
        return list(_read_pieces(stripped, location))
    value = _parse_literal(stripped, location)
    if isinstance(value, dict):
        return list(_read_entity_object(value, location))
    return read_entity_list(value, location)


def read_entity_list(value: Any, location: str) -> list[EntityMention]:  # noqa: ANN401 - any JSON value
    """Read a list of entities: `[start, end, type]`, `[string, type]`, or an object with such values.

    The keys of an object are `start` (or `start_offset`, `begin`), `end` (or `end_offset`), `type` (or `label`,
    `labels`, `tag`, `entity_type`) and `text` (or `entity`, `string`, `word`, `mention`).

    Raises:
        DataError: The value is not such a list. The message begins with `location`.

    """
    if not isinstance(value, list | tuple):
        raise DataError(f"{location}: expected a list of entities, found {shorten_repr(value)}")
    return [_read_entity(entity, location) for entity in value]


def _parse_literal(text: str, location: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a cell in JSON, or as Python prints a list."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise DataError(f"{location}: expected entities such as {CELL_SPELLINGS}, found {shorten_repr(text)}") from None


def _read_pieces(cell: str, location: str) -> Iterator[EntityMention]:
    """Yield the entities of a cell such as `屈原/NR; 楚@5/NS; 0-2/NR`."""
    position = 0
    while position < len(cell):
        match = _PIECE.match(cell, position)
        if match is None:
            rest = cell[position:]
            raise DataError(f"{location}: expected entities such as {CELL_SPELLINGS}, found {shorten_repr(rest)}")
        entity_type, mention = match["type"] or match["bracketed"], match["mention"]
        if offsets := _OFFSETS.fullmatch(mention):
            yield EntityMention(location, entity_type, int(offsets[1]), int(offsets[2]))
        elif with_offset := _STRING_WITH_OFFSET.fullmatch(mention):
            yield EntityMention(location, entity_type, int(with_offset[2]), string=with_offset[1])
        else:
            yield EntityMention(location, entity_type, string=mention)
        position = match.end()


def _read_entity_object(value: Mapping[Any, Any], location: str) -> Iterator[EntityMention]:
    """Yield the entities of `{type: [string, ...]}` or `{string: type}`."""
    for key, strings in value.items():
        if isinstance(key, str) and isinstance(strings, str):
            yield EntityMention(location, strings, string=key)
        elif isinstance(key, str) and isinstance(strings, list) and all(isinstance(s, str) for s in strings):
            yield from (EntityMention(location, key, string=string) for string in strings)
        else:
            raise DataError(
                f"{location}: expected a type with a list of strings, found {shorten_repr(key)}: "
                f"{shorten_repr(strings)}"
            )


def _read_entity(value: Any, location: str) -> EntityMention:  # noqa: ANN401 - any JSON value
    mention = None
    if isinstance(value, dict):
        mention = _read_entity_with_keys(value, location)
    elif isinstance(value, list | tuple) and [*map(type, value)] == [int, int, str]:
        mention = EntityMention(location, value[2], value[0], value[1])
    elif isinstance(value, list | tuple) and [*map(type, value)] == [str, str]:
        mention = EntityMention(location, value[1], string=value[0])
    if mention is None:
        raise DataError(
            f"{location}: expected an entity as [start, end, type], [string, type] or an object with start, end and "
            f"label, found {shorten_repr(value)}"
        )
    return mention


def _read_entity_with_keys(value: Mapping[str, Any], location: str) -> EntityMention | None:
    """Return the entity of an object; None if values are missing or have another type."""
    start, end, entity_type, string = (
        next((value[key] for key in keys if value.get(key) is not None), None)
        for keys in (_START_KEYS, _END_KEYS, _TYPE_KEYS, _STRING_KEYS)
    )
    if isinstance(entity_type, list) and len(entity_type) == 1:  # as in Label Studio
        entity_type = entity_type[0]
    has_place = type(start) is int and (type(end) is int or (end is None and isinstance(string, str)))
    has_string = start is None and end is None and isinstance(string, str)
    if not isinstance(entity_type, str) or not (string is None or isinstance(string, str)):
        return None
    return EntityMention(location, entity_type, start, end, string) if has_place or has_string else None
