"""Find the place of each entity in its text, by the offsets or by the string that a labelled file gives."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rayner.errors import DataError
from rayner.text.markup import is_markup_type
from rayner.text.messages import shorten_repr
from rayner.text.spans import Span, SpanIndex

_MAX_OFFSETS_IN_MESSAGE = 5


@dataclass(frozen=True, slots=True)
class EntityMention:
    """An entity as a file gives it: offsets, its string, or both.

    location: Where the file gives it, for messages, such as `labels.csv:12`.
    start, end: Offsets in code points, the end excluded. If only `start` is given, the string tells the end.
    """

    location: str
    type: str
    start: int | None = None
    end: int | None = None
    string: str | None = None


@dataclass(frozen=True, slots=True)
class _PlacedEntity:
    span: Span
    location: str


def place_entities(text: str, mentions: Iterable[EntityMention]) -> tuple[Span, ...]:
    """Return the entities of a text, in order. An entity that is given twice is returned once.

    A string without an offset is found in the text if it occurs there once, outside other entities. It is also found
    if the file gives it as often as it occurs.

    Raises:
        DataError: An entity has no place or several possible places, disagrees with its string, overlaps another
            entity, or has a type that the LLM's markup cannot represent. The message begins with the location.

    """
    return place_entities_of_copies(text, [mentions])


def place_entities_of_copies(text: str, copies: Iterable[Iterable[EntityMention]]) -> tuple[Span, ...]:
    """Return the entities that a file gives at several copies of a text, in order, each once.

    copies: The entities at each copy. A string is placed among those of its copy. Raises as `place_entities`.
    """
    placed = [entity for mentions in copies for entity in _place_mentions(text, mentions)]
    return tuple(entity.span for entity in _sort_and_check_no_overlaps(text, placed))


def _place_mentions(text: str, mentions: Iterable[EntityMention]) -> list[_PlacedEntity]:
    placed: list[_PlacedEntity] = []
    unplaced: dict[str, list[EntityMention]] = {}
    for mention in mentions:
        check_entity_type(mention.location, mention.type)
        if mention.start is not None:
            placed.append(_PlacedEntity(_place_by_offsets(text, mention, mention.start), mention.location))
            continue
        places = _find_all(text, mention.string or "")
        if len(places) == 1:
            placed.append(_place_at(mention, places[0]))
        elif places:
            unplaced.setdefault(mention.string or "", []).append(mention)
        else:
            raise DataError(
                f"{mention.location}: expected the entity {shorten_repr(mention.string)} in its text, found it nowhere "
                f"in {shorten_repr(text)}"
            )
    placed = _sort_and_check_no_overlaps(text, placed)
    others = SpanIndex(entity.span for entity in placed)
    for same_string in unplaced.values():
        placed += _place_in_free_occurrences(text, same_string, others)
    return placed


def check_entity_type(location: str, entity_type: str, types: Collection[str] | None = None) -> None:
    """Raise DataError if the LLM's markup cannot represent the type, or if the type is not in `types`."""
    if not is_markup_type(entity_type):
        raise DataError(
            f"{location}: expected a type without white space, <, >, / and &, found {shorten_repr(entity_type)}"
        )
    if types is not None and entity_type not in types:
        raise DataError(f"{location}: expected a type of {', '.join(sorted(types))}, found {shorten_repr(entity_type)}")


def _place_at(mention: EntityMention, start: int) -> _PlacedEntity:
    return _PlacedEntity(Span(start, start + len(mention.string or ""), mention.type), mention.location)


def _place_by_offsets(text: str, mention: EntityMention, start: int) -> Span:
    string = mention.string
    end = start + len(string or "") if mention.end is None else mention.end
    inside = 0 <= start < end <= len(text)
    if inside and (string is None or text[start:end] == string):
        return Span(start, end, mention.type)
    expected = f"an entity inside the {len(text)} characters of its text" if string is None else shorten_repr(string)
    found = shorten_repr(text[start:end]) if inside else "no such place"
    hint = _explain_offsets(text, start, end, string)
    place = f"[{shorten_repr(start)}, {shorten_repr(end)})"
    raise DataError(f"{mention.location}: expected {expected} at {place}, found {found}{hint}")


def _explain_offsets(text: str, start: int, end: int, string: str | None) -> str:
    """Return a hint about another way to count in which the offsets would be right, or ""."""
    if string is None:
        return "; the end is the offset behind the last character" if start == end else ""
    explanations = (
        (_slice_encoded(text, "utf-16-le", 2, start, end), "the offsets seem to count UTF-16 units: convert them"),
        (_slice_inside(text, start, end + 1), "the ends seem to be included: if all are, add 1 to each end"),
        (
            _slice_inside(text, start - 1, end - 1),
            "the offsets seem to count from 1: if all do, subtract 1 from each",
        ),
        (
            _slice_inside(text, start - 1, end),
            "the offsets seem to count from 1, ends included: if all do, subtract 1 from each start",
        ),
        (_slice_encoded(text, "utf-8", 1, start, end), "the offsets seem to count bytes of UTF-8: convert them"),
    )
    for found, explanation in explanations:
        if found == string:
            return f"; {explanation}; offsets are Unicode code points from 0, the end excluded"
    places = _find_all(text, string)
    return f"; its text has it at {_format_offsets(places)}" if places else ""


def _slice_inside(text: str, start: int, end: int) -> str:
    """Return the part of a text between two offsets; "" if there is no such part."""
    return text[start:end] if 0 <= start < end <= len(text) else ""


def _slice_encoded(text: str, encoding: str, unit_bytes: int, start: int, end: int) -> str:
    """Return the part of a text between two offsets in units of an encoding; "" if there is no such part."""
    data = text.encode(encoding, "surrogatepass")
    if not 0 <= start < end <= len(data) // unit_bytes:
        return ""
    return data[start * unit_bytes : end * unit_bytes].decode(encoding, "replace")


def _place_in_free_occurrences(text: str, mentions: Sequence[EntityMention], others: SpanIndex) -> list[_PlacedEntity]:
    """Place all mentions of one string, which occurs more than once, or raise DataError if there are several ways."""
    first, string = mentions[0], mentions[0].string or ""
    places = _find_all(text, string)
    free = [place for place in places if not others.overlapping(Span(place, place + len(string), ""))]
    is_disjoint = all(b - a >= len(string) for a, b in pairwise(free))
    if len(free) == len(mentions) and is_disjoint and len({mention.type for mention in mentions}) == 1:
        return [_place_at(mention, place) for mention, place in zip(mentions, free, strict=True)]
    raise DataError(
        f"{first.location}: expected the offset of {shorten_repr(string)}, because its text has it "
        f"{len(places)} times, at {_format_offsets(places)}; found no offset: give it in a column named start, or in a "
        f"cell as {shorten_repr(f'{string}@{places[0]}/{first.type}')[1:-1]}"
    )


def _find_all(text: str, string: str) -> list[int]:
    """Return each offset at which a text has a string. Occurrences may overlap."""
    places: list[int] = []
    place = text.find(string) if string else -1
    while place >= 0:
        places.append(place)
        place = text.find(string, place + 1)
    return places


def _format_offsets(places: Sequence[int]) -> str:
    more = ", ..." if len(places) > _MAX_OFFSETS_IN_MESSAGE else ""
    return ", ".join(map(str, places[:_MAX_OFFSETS_IN_MESSAGE])) + more


def _sort_and_check_no_overlaps(text: str, placed: Iterable[_PlacedEntity]) -> list[_PlacedEntity]:
    """Return the entities in order, each once. Raises DataError if two overlap."""
    entity_by_span: dict[Span, _PlacedEntity] = {}
    for entity in placed:
        entity_by_span.setdefault(entity.span, entity)
    ordered = sorted(entity_by_span.values(), key=lambda entity: entity.span)
    for a, b in pairwise(ordered):
        if b.span.start < a.span.end:
            other = "" if a.location == b.location else f" ({a.location})"
            raise DataError(
                f"{b.location}: expected entities without overlaps, found {_describe(text, b.span)} and "
                f"{_describe(text, a.span)}{other}; keep one of them"
            )
    return ordered


def _describe(text: str, span: Span) -> str:
    return f"{span.type} {shorten_repr(text[span.start : span.end])} at [{span.start}, {span.end})"
