"""Label Studio: tasks with predictions. A task is a document; offsets are code points, as Label Studio counts them."""

from collections.abc import Sequence
from typing import Any

from rayner.corpus.exports.shape import SHARD, Choices, Format, each, json_line, short
from rayner.corpus.label_studio import config, region
from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span


def _render(document: TaggedDocument, choices: Choices) -> str:
    scores = [row["score"] for row in document.entities if row["score"] is not None]
    prediction: dict[str, Any] = {
        "model_version": "rayner",
        "score": short(sum(scores) / len(scores)) if scores else None,
        "result": [_region(i, row, document.text) for i, row in enumerate(document.entities)],
    }
    return json_line({"data": {"doc_id": document.doc_id, "text": document.text}, "predictions": [prediction]})


def _region(number: int, row: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        **region(number, Span(row["start"], row["end"], row["type"]), text),
        "score": short(row["score"]),
        "meta": {"text": [f"decided by {row['decided_by']}"]},
    }


def _config(kinds: Sequence[str]) -> dict[str, bytes]:
    """The labelling interface that the predictions need, to paste into the project's settings."""
    return {"config.xml": config(kinds).encode()}


LABEL_STUDIO = Format({".json": each(_render, head="[", between=",\n", foot="]\n")}, shard=SHARD, beside=_config)
