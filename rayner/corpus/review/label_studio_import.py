"""Read the entities in a JSON export of Label Studio. `rayner.corpus.exports.label_studio` writes the tasks.

Since October 2021, the offsets of Label Studio count code points, as in rayner (HumanSignal/label-studio-frontend, pull
request 308). Earlier offsets count UTF-16 code units, as in JavaScript strings. An export contains the text of each
region, which shows what the offsets count.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rayner.errors import DataError
from rayner.text.spans import Span


class _Region(NamedTuple):
    """A labelled part of a text. `expected_text` is the text of the region in the export, if the export gives one."""

    span: Span
    expected_text: str | None

    def matches_text(self, text: str) -> bool:
        """Whether the region lies inside `text` and, if `expected_text` is known, contains it."""
        start, end = self.span.start, self.span.end
        inside = 0 <= start < end <= len(text)
        return inside and (self.expected_text is None or text[start:end] == self.expected_text)


def read_task_text(task: Any, location: str) -> str:  # noqa: ANN401 - any JSON value
    """Return the text of an exported task.

    Raises:
        DataError: The value is not a task, or it has no list of annotations. The message begins with `location`.

    """
    data = task.get("data") if isinstance(task, dict) else None
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise DataError(f"{location}: expected a task with data.text, as Label Studio exports as JSON, found none")
    if not isinstance(task.get("annotations"), list):
        raise DataError(f"{location}: expected annotations (export as JSON, not as JSON-MIN or CSV), found none")
    return text


def read_submitted_annotations(task: Mapping[str, Any], location: str) -> list[tuple[Span, ...]]:
    """Return the entities of each submitted annotation of a task, in the order of the file.

    Raises:
        DataError: A region is out of range, overlaps another region, does not have exactly one label, or contains a
            text that differs from the region's text in the export. The message begins with `location`.

    """
    submitted = [a for a in task["annotations"] if isinstance(a, dict) and not a.get("was_cancelled")]
    return [_read_entities(task["data"]["text"], annotation.get("result") or [], location) for annotation in submitted]


def _read_entities(text: str, result: Sequence[Mapping[str, Any]], location: str) -> tuple[Span, ...]:
    regions = [_read_region(entry.get("value"), location) for entry in result if entry.get("type") == "labels"]
    spans = sorted(_convert_unless_code_points(text, regions, location))
    for a, b in pairwise(spans):
        if b.start < a.end:
            raise DataError(
                f"{location}: expected entities without overlaps, found {a.type} {text[a.start : a.end]!r} at "
                f"[{a.start}, {a.end}) and {b.type} {text[b.start : b.end]!r} at [{b.start}, {b.end})"
            )
    return tuple(spans)


def _convert_unless_code_points(text: str, regions: Sequence[_Region], location: str) -> list[Span]:
    """Return the spans of one annotation.

    The offsets are read as code points if all regions then match their texts, otherwise as UTF-16 code units. Raises
    DataError if some regions do not match in either case.
    """
    if all(region.matches_text(text) for region in regions):
        return [region.span for region in regions]
    code_points = _map_utf16_to_code_points(text)
    converted = [
        _Region(Span(code_points.get(span.start, -1), code_points.get(span.end, -1), span.type), expected_text)
        for span, expected_text in regions
    ]
    if all(region.expected_text is not None and region.matches_text(text) for region in converted):
        return [region.span for region in converted]
    bad, expected_text = next(region for region in regions if not region.matches_text(text))
    expected = (
        f"an entity inside the {len(text)} characters of its text" if expected_text is None else repr(expected_text)
    )
    inside = 0 <= bad.start < bad.end <= len(text)
    found = repr(text[bad.start : bad.end]) if inside else "no such place"
    raise DataError(f"{location}: expected {expected} at [{bad.start}, {bad.end}), found {found}")


def _read_region(value: Any, location: str) -> _Region:  # noqa: ANN401 - any JSON value
    try:
        start, end, labels, expected_text = value["start"], value["end"], value["labels"], value.get("text")
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{location}: expected a region with start, end and labels, found {value!r}") from None
    if type(start) is not int or type(end) is not int or not (expected_text is None or isinstance(expected_text, str)):
        raise DataError(f"{location}: expected a region with whole numbers for start and end, found {value!r}")
    if not (isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], str)):
        raise DataError(f"{location}: expected one label at [{start}, {end}), found {labels!r}")
    return _Region(Span(start, end, labels[0]), expected_text)


def _map_utf16_to_code_points(text: str) -> dict[int, int]:
    """Map each offset in UTF-16 code units to the offset in code points. Offsets inside a character are missing."""
    code_points, code_unit = {}, 0
    for i, char in enumerate(text):
        code_points[code_unit] = i
        code_unit += 1 + (ord(char) > 0xFFFF)
    code_points[code_unit] = len(text)
    return code_points
