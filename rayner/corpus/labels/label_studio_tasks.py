"""Read the entities in a JSON export of Label Studio. `rayner.corpus.exports.label_studio` writes the tasks.

Since October 2021, the offsets of Label Studio count code points, as in rayner (HumanSignal/label-studio-frontend, pull
request 308). Earlier offsets count UTF-16 code units, as in JavaScript strings. An export contains the text of each
region, which shows what the offsets count.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rayner.corpus.labels.entity_places import check_entity_type
from rayner.corpus.labels.json_values import parse_json_text
from rayner.corpus.labels.labelled_texts import BOM, LabelledText, LabelledTexts
from rayner.errors import DataError
from rayner.text.messages import shorten_repr
from rayner.text.spans import Span

_TEXT_KEY = "text"


class _Region(NamedTuple):
    """A labelled part of a text. `expected_text` is the text of the region in the export, if the export gives one."""

    span: Span
    expected_text: str | None

    def matches_text(self, text: str) -> bool:
        """Whether the region lies inside `text` and, if `expected_text` is known, contains it."""
        start, end = self.span.start, self.span.end
        inside = 0 <= start < end <= len(text)
        return inside and (self.expected_text is None or text[start:end] == self.expected_text)


def read_label_studio_tasks(path: str, content: str) -> LabelledTexts:
    """Read the tasks of a JSON export that somebody has labelled, with the entities of the last submitted annotation.

    The tasks need not be rayner's. Their text is `data.text`, or the only value of `data` that has all labelled
    strings.
    """
    bom = content.startswith(BOM)
    tasks = parse_json_text(content[bom:], path)
    if not isinstance(tasks, list):
        raise DataError(f"{path}: expected a list of tasks, as Label Studio exports as JSON, found another JSON value")
    text_key = _find_text_key(tasks, path)
    texts, n_unlabelled, n_labelled_again = [], 0, 0
    for i, task in enumerate(tasks, 1):
        location = f"{path}: task {i}"
        text = read_task_text(task, location, text_key)
        annotations = read_submitted_annotations(task, text, location)
        n_unlabelled += not annotations
        n_labelled_again += len(set(annotations)) > 1
        for span in (span for spans in annotations[-1:] for span in spans):
            check_entity_type(location, span.type)
        texts += [LabelledText(text, spans, location) for spans in annotations[-1:]]
    if tasks and not texts:
        raise DataError(
            f"{path}: expected submitted annotations, found {len(tasks):,} tasks that nobody has labelled; predictions "
            "alone are not read"
        )
    faults = {"unlabelled_texts": n_unlabelled, "labelled_again": n_labelled_again, "bom": int(bom)}
    return LabelledTexts(texts, "Label Studio tasks (JSON)", faults)


def _find_text_key(tasks: Sequence[Any], path: str) -> str:
    """Return the key of the text in the data of all tasks."""
    tasks = [task for task in tasks if isinstance(task, dict) and isinstance(task.get("data"), dict)]
    datas = [task["data"] for task in tasks]
    if not datas or "text" in datas[0]:
        return _TEXT_KEY
    keys: list[str] = [key for key in datas[0] if all(isinstance(data.get(key), str) for data in datas)]
    if len(keys) != 1:
        labelled = [(task["data"], string) for task in tasks for string in _iter_region_strings(task)]
        keys = [key for key in keys if labelled and all(string in data[key] for data, string in labelled)]
    if len(keys) != 1:
        raise DataError(
            f"{path}: expected the text of each task in data.text, found {shorten_repr(list(datas[0]))}; rename the "
            "key of the text to text"
        )
    return keys[0]


def _iter_region_strings(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield the strings of the regions of a task, as far as it is one of Label Studio's."""
    annotations = task.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        result = annotation.get("result") if isinstance(annotation, dict) else None
        for region in result if isinstance(result, list) else ():
            value = region.get("value") if isinstance(region, dict) else None
            if isinstance(value, dict) and isinstance(value.get("text"), str):
                yield value["text"]


def read_task_text(task: Any, location: str, text_key: str = _TEXT_KEY) -> str:  # noqa: ANN401 - any JSON value
    """Return the text of an exported task.

    text_key: The key of the text in the data of the task.

    Raises:
        DataError: The value is not a task, or it has no list of annotations. The message begins with `location`.

    """
    data = task.get("data") if isinstance(task, dict) else None
    text = data.get(text_key) if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise DataError(
            f"{location}: expected a task with data.{text_key}, as Label Studio exports as JSON, found none"
        )
    if not isinstance(task.get("annotations"), list):
        raise DataError(f"{location}: expected annotations (export as JSON, not as JSON-MIN or CSV), found none")
    return text


def read_submitted_annotations(task: Mapping[str, Any], text: str, location: str) -> list[tuple[Span, ...]]:
    """Return the entities of each submitted annotation of a task, in the order of the file.

    text: The text of the task.

    Raises:
        DataError: A region is out of range, overlaps another region, does not have exactly one label, or contains a
            text that differs from the region's text in the export. The message begins with `location`.

    """
    results = [_read_result_unless_cancelled(annotation, location) for annotation in task["annotations"]]
    return [_read_entities(text, result, location) for result in results if result is not None]


def _read_result_unless_cancelled(annotation: Any, location: str) -> list[Any] | None:  # noqa: ANN401 - any JSON value
    """Return the result of an annotation; None if the annotator skipped the task. Raises DataError for other JSON."""
    if not isinstance(annotation, dict):
        raise DataError(f"{location}: expected annotations with a result, found {shorten_repr(annotation)}")
    cancelled, result = annotation.get("was_cancelled"), annotation.get("result")
    if not (cancelled is None or isinstance(cancelled, bool)):
        raise DataError(f"{location}: expected was_cancelled to be true or false, found {shorten_repr(cancelled)}")
    if cancelled:
        return None
    if not isinstance(result, list):
        raise DataError(f"{location}: expected a list of regions as the result, found {shorten_repr(result)}")
    return result


def _read_entities(text: str, result: Sequence[Any], location: str) -> tuple[Span, ...]:
    regions = [_read_region(entry["value"], location) for entry in result if _is_entity(entry, location)]
    spans = sorted(_convert_unless_code_points(text, regions, location))
    for a, b in pairwise(spans):
        if b.start < a.end:
            raise DataError(
                f"{location}: expected entities without overlaps, found {shorten_repr(a.type)[1:-1]} "
                f"{shorten_repr(text[a.start : a.end])} at [{a.start}, {a.end}) and {shorten_repr(b.type)[1:-1]} "
                f"{shorten_repr(text[b.start : b.end])} at [{b.start}, {b.end})"
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
        f"an entity inside the {len(text)} characters of its text"
        if expected_text is None
        else shorten_repr(expected_text)
    )
    inside = 0 <= bad.start < bad.end <= len(text)
    found = shorten_repr(text[bad.start : bad.end]) if inside else "no such place"
    place = f"[{shorten_repr(bad.start)}, {shorten_repr(bad.end)})"
    raise DataError(f"{location}: expected {expected} at {place}, found {found}")


def _is_entity(entry: Any, location: str) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether a part of a result is an entity, and not a relation or a choice, for example.

    Raises DataError if it is no part of a result, or if it is an entity of another kind of text than plain text.
    """
    entry_type = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(entry_type, str):
        raise DataError(f"{location}: expected regions with a type, found {shorten_repr(entry)}")
    if entry_type.endswith("labels") and entry_type != "labels":
        raise DataError(f"{location}: expected regions of the type labels, found {shorten_repr(entry_type)}")
    if entry_type == "labels" and not isinstance(entry.get("value"), dict):
        found = shorten_repr(entry.get("value"))
        raise DataError(f"{location}: expected a region with start, end and labels, found {found}")
    return entry_type == "labels"


def _read_region(value: Mapping[str, Any], location: str) -> _Region:
    if not {"start", "end", "labels"} <= value.keys():
        raise DataError(f"{location}: expected a region with start, end and labels, found {shorten_repr(value)}")
    start, end, labels, expected_text = value["start"], value["end"], value["labels"], value.get("text")
    if type(start) is not int or type(end) is not int:
        found = shorten_repr(value)
        raise DataError(f"{location}: expected a region with whole numbers for start and end, found {found}")
    place = f"[{shorten_repr(start)}, {shorten_repr(end)})"
    if not (expected_text is None or isinstance(expected_text, str)):
        raise DataError(f"{location}: expected the text of the region at {place}, found {shorten_repr(expected_text)}")
    if not (isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], str)):
        raise DataError(f"{location}: expected one label at {place}, found {shorten_repr(labels)}")
    return _Region(Span(start, end, labels[0]), expected_text)


def _map_utf16_to_code_points(text: str) -> dict[int, int]:
    """Map each offset in UTF-16 code units to the offset in code points. Offsets inside a character are missing."""
    code_points, code_unit = {}, 0
    for i, char in enumerate(text):
        code_points[code_unit] = i
        code_unit += 1 + (ord(char) > 0xFFFF)
    code_points[code_unit] = len(text)
    return code_points
