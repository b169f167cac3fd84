"""Label Studio format: tasks with predictions, and the labelling configuration that the tasks need.

Offsets count code points, as in Label Studio. `rayner.corpus.labels.label_studio_tasks` reads the JSON that Label
Studio exports after correction.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rayner.corpus.exports.export_format import (
    CHARS_PER_FILE,
    ExportFormat,
    ExportOptions,
    format_json_without_line_breaks,
    make_text_writer,
    shorten_float32,
)
from rayner.corpus.tables import EntityRow, TaggedDocument
from rayner.text.escaping import escape_attribute
from rayner.text.spans import Span, sort_and_check_spans

_MODEL_VERSION = "rayner"
_LABELS_TAG, _TEXT_TAG = "label", "text"  # names of the two tags in the configuration, which regions refer to
_COLOURS = ("#c0392b", "#2e8b57", "#b8860b", "#7d3c98", "#2874a6", "#138d90", "#ad1457", "#5d6d7e")


def build_labelling_config(types: Sequence[str]) -> str:
    """Return the labelling configuration as XML. It shows the text with its white space, and a label for each type."""
    labels = "".join(
        f'    <Label value="{escape_attribute(name)}" background="{_COLOURS[i % len(_COLOURS)]}"/>\n'
        for i, name in enumerate(types)
    )
    return (
        "<View>\n"
        "  <Style>.htx-text { white-space: pre-wrap; font-size: 1.4em; }</Style>\n"
        f'  <Labels name="{_LABELS_TAG}" toName="{_TEXT_TAG}">\n{labels}  </Labels>\n'
        f'  <Text name="{_TEXT_TAG}" value="$text" granularity="symbol"/>\n'
        "</View>\n"
    )


def build_task_with_predictions(text: str, spans: Iterable[Span], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task with a text to correct. The predictions of the task are the entities of the text."""
    result = [build_region(i, span, text) for i, span in enumerate(sort_and_check_spans(spans, len(text)))]
    predictions = [{"model_version": _MODEL_VERSION, "result": result}]
    return {"data": {"text": text}, "meta": dict(meta), "predictions": predictions}


def build_region(index: int, span: Span, text: str) -> dict[str, Any]:
    """Return the region of an entity. `index` is the position of the entity among the entities of the text."""
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], "labels": [span.type]}
    return {"id": f"e{index}", "from_name": _LABELS_TAG, "to_name": _TEXT_TAG, "type": "labels", "value": value}


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    scores = [entity["score"] for entity in document.entities if entity["score"] is not None]
    prediction: dict[str, Any] = {
        "model_version": _MODEL_VERSION,
        "score": shorten_float32(sum(scores) / len(scores)) if scores else None,
        "result": [_build_scored_region(i, entity, document.text) for i, entity in enumerate(document.entities)],
    }
    return format_json_without_line_breaks(
        {"data": {"doc_id": document.doc_id, "text": document.text}, "predictions": [prediction]}
    )


def _build_scored_region(index: int, entity: EntityRow, text: str) -> dict[str, Any]:
    return {
        **build_region(index, Span(entity["start"], entity["end"], entity["type"]), text),
        "score": shorten_float32(entity["score"]),
        "meta": {"text": [f"decided by {entity['decided_by']}"]},
    }


LABEL_STUDIO = ExportFormat(
    {".json": make_text_writer(_render, header="[", separator=",\n", footer="]\n")},
    chars_per_file=CHARS_PER_FILE,
    extra_files=lambda types: {"config.xml": build_labelling_config(types).encode()},
)
