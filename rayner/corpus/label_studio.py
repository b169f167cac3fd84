"""Label Studio's files: tasks with predictions, the labelling configuration, and what its JSON export holds.

It counts in code points since October 2021, as we do (HumanSignal/label-studio-frontend, pull request 308), and counted
in UTF-16 code units, those of JavaScript's strings, before. Which of the two an export means follows from the text that
it gives beside each region.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rayner.errors import DataError
from rayner.text.escaping import escape_attribute
from rayner.text.spans import Span, sort_and_check_spans

_LABELS, _TEXT = "label", "text"  # the names of the two tags of the configuration
_COLOURS = ("#c0392b", "#2e8b57", "#b8860b", "#7d3c98", "#2874a6", "#138d90", "#ad1457", "#5d6d7e")


def build_labelling_config(types: Sequence[str]) -> str:
    """The labelling configuration: the text as it is, white space included, and a label for each type."""
    labels = "".join(
        f'    <Label value="{escape_attribute(name)}" background="{_COLOURS[i % len(_COLOURS)]}"/>\n'
        for i, name in enumerate(types)
    )
    return (
        "<View>\n"
        "  <Style>.htx-text { white-space: pre-wrap; font-size: 1.4em; }</Style>\n"
        f'  <Labels name="{_LABELS}" toName="{_TEXT}">\n{labels}  </Labels>\n'
        f'  <Text name="{_TEXT}" value="$text" granularity="symbol"/>\n'
        "</View>\n"
    )


def build_task(text: str, spans: Iterable[Span], meta: Mapping[str, Any]) -> dict[str, Any]:
    """A text to be corrected, with what was predicted."""
    result = [build_region(i, span, text) for i, span in enumerate(sort_and_check_spans(spans, len(text)))]
    return {"data": {"text": text}, "meta": dict(meta), "predictions": [{"model_version": "rayner", "result": result}]}


def build_region(number: int, span: Span, text: str) -> dict[str, Any]:
    """An entity of a text, by its number among them."""
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], "labels": [span.type]}
    return {"id": f"e{number}", "from_name": _LABELS, "to_name": _TEXT, "type": "labels", "value": value}


def read_task_text(task: Any, location: str) -> str:  # noqa: ANN401 - of a file that others wrote
    """The text of an exported task. Raises DataError, beginning with `where`, if it is none."""
    data = task.get("data") if isinstance(task, dict) else None
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise DataError(f"{location}: expected a task with data.text, as Label Studio exports as JSON, found none")
    if not isinstance(task.get("annotations"), list):
        raise DataError(f"{location}: expected annotations (export as JSON, not as JSON-MIN or CSV), found none")
    return text


def read_annotations(task: Mapping[str, Any], location: str) -> list[tuple[Span, ...]]:
    """The entities of each annotation of an exported task that was submitted, in the order of the file.

    Raises DataError, beginning with `where`, for regions that are not entities of the text: out of range, of other
    text than they say, with no label or several, or overlapping.
    """
    submitted = [a for a in task["annotations"] if isinstance(a, dict) and not a.get("was_cancelled")]
    return [_entities(task["data"]["text"], annotation.get("result") or [], location) for annotation in submitted]


def _entities(text: str, result: Sequence[Mapping[str, Any]], where: str) -> tuple[Span, ...]:
    regions = [region for region in result if region.get("type") == "labels"]
    spans = sorted(_spans(text, [region.get("value") for region in regions], where))
    for a, b in pairwise(spans):
        if b.start < a.end:
            raise DataError(
                f"{where}: expected entities without overlaps, found {a.type} {text[a.start : a.end]!r} at "
                f"[{a.start}, {a.end}) and {b.type} {text[b.start : b.end]!r} at [{b.start}, {b.end})"
            )
    return tuple(spans)


def _spans(text: str, values: Sequence[Any], where: str) -> list[Span]:
    """The regions of one annotation, which count alike: by code points unless only code units fit what they say."""
    plain = [_region(value, where) for value in values]
    spans = [Span(start, end, kind) for start, end, kind, _ in plain]
    if all(_fits(text, span, said) for span, (*_, said) in zip(spans, plain, strict=True)):
        return spans
    units = _code_points(text)
    moved = [Span(units.get(s.start, -1), units.get(s.end, -1), s.type) for s in spans]
    if all(said is not None and _fits(text, span, said) for span, (*_, said) in zip(moved, plain, strict=True)):
        return moved
    bad, said = next((s, said) for s, (*_, said) in zip(spans, plain, strict=True) if not _fits(text, s, said))
    expected = f"an entity inside the {len(text)} characters of its text" if said is None else f"{said!r}"
    found = repr(text[bad.start : bad.end]) if 0 <= bad.start < bad.end <= len(text) else "no such place"
    raise DataError(f"{where}: expected {expected} at [{bad.start}, {bad.end}), found {found}")


def _region(value: Any, where: str) -> tuple[int, int, str, str | None]:  # noqa: ANN401 - see text_of
    """Start, end, label, and the text that it says it has."""
    try:
        start, end, labels, said = value["start"], value["end"], value["labels"], value.get("text")
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{where}: expected a region with start, end and labels, found {value!r}") from None
    if type(start) is not int or type(end) is not int or not (said is None or isinstance(said, str)):
        raise DataError(f"{where}: expected a region with whole numbers for start and end, found {value!r}")
    if not (isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], str)):
        raise DataError(f"{where}: expected one label at [{start}, {end}), found {labels!r}")
    return start, end, labels[0], said


def _fits(text: str, span: Span, said: str | None) -> bool:
    inside = 0 <= span.start < span.end <= len(text)
    return inside and (said is None or text[span.start : span.end] == said)


def _code_points(text: str) -> dict[int, int]:
    """The offset in code points for each offset in UTF-16 code units that does not fall into a character."""
    at, found = 0, {}
    for i, char in enumerate(text):
        found[at] = i
        at += 1 + (ord(char) > 0xFFFF)
    found[at] = len(text)
    return found
