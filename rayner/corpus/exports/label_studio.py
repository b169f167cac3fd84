"""Label Studio: tasks with predictions. A task is a document; offsets are code points, as Label Studio counts them."""

from collections.abc import Sequence
from typing import Any

from rayner.corpus.exports.export_format import (
    CHARS_PER_FILE,
    ExportFormat,
    ExportOptions,
    format_json_line,
    make_text_writer,
    shorten_float32,
)
from rayner.corpus.label_studio import build_labelling_config, build_region
from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    scores = [row["score"] for row in document.entities if row["score"] is not None]
    prediction: dict[str, Any] = {
        "model_version": "rayner",
        "score": shorten_float32(sum(scores) / len(scores)) if scores else None,
        "result": [_region(i, row, document.text) for i, row in enumerate(document.entities)],
    }
    return format_json_line({"data": {"doc_id": document.doc_id, "text": document.text}, "predictions": [prediction]})


def _region(number: int, row: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        **build_region(number, Span(row["start"], row["end"], row["type"]), text),
        "score": shorten_float32(row["score"]),
        "meta": {"text": [f"decided by {row['decided_by']}"]},
    }


def _config(kinds: Sequence[str]) -> dict[str, bytes]:
    """The labelling interface that the predictions need, to paste into the project's settings."""
    return {"config.xml": build_labelling_config(kinds).encode()}


LABEL_STUDIO = ExportFormat(
    {".json": make_text_writer(_render, header="[", separator=",\n", footer="]\n")},
    chars_per_file=CHARS_PER_FILE,
    extra_files=_config,
)
