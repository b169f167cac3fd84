"""A unit of the corpus on its way: read from the kept documents, and written as its part of the tagged tables."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import pyarrow as pa

from rayner.corpus.reading import sha256_of_text
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, read_table, write_table
from rayner.fusion.calibration import calibration_features, logistic_probability
from rayner.fusion.deciding import FusionRule, decide
from rayner.fusion.regions import FusedEntity
from rayner.runs.storage import StoragePath
from rayner.steps.tag.actors import Row
from rayner.steps.tag.plan import DocumentSlice, Unit
from rayner.steps.tag.stages import UnitPredictions
from rayner.text.predictions import NOTHING, SegmentPrediction
from rayner.text.segmentation import split_sentences


def row_of(unit: Unit) -> Row:
    """A planned unit as a row."""
    return {"unit": unit.name, "pieces": [asdict(piece) for piece in unit.slices]}


def read_unit(row: Row, out: StoragePath) -> UnitPredictions:
    """The segments of a unit. Raises RuntimeError if a kept text is not the one that was planned."""
    segments: list[SegmentPrediction] = []
    for piece in (DocumentSlice(**item) for item in row["pieces"]):
        text = _read_texts(out, Unit(piece.home).name)[piece.doc_id]
        part = text[piece.start : piece.end]
        for start, end in split_sentences(part):
            at = piece.start + start
            segments.append(SegmentPrediction(piece.doc_id, at, piece.start + end, part[start:end], NOTHING))
        if piece.start == 0 and sha256_of_text(text) != piece.sha256:
            raise RuntimeError(f"{out}: the text of {piece.doc_id} among its documents is not the one that was read")
    return UnitPredictions(row["unit"], segments)


# The pieces of a long document follow each other: its text is not read again for each.
@lru_cache(maxsize=2)
def _read_texts(out: StoragePath, unit: str) -> dict[str, str]:
    table = read_table(out / "documents" / f"{unit}.parquet", DOCUMENT_SCHEMA)
    return dict(zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def write_unit(
    unit: UnitPredictions, out: StoragePath, rule: FusionRule, calibration_weights: dict[str, Sequence[float]]
) -> Row:
    """Fuse a unit and write its entities and segments; the segments last, since they say that it is done."""
    entities, file = [], f"{unit.name}.parquet"
    for item in unit.segments:
        for decision in decide(item, rule) if item.error is None else ():
            weights = calibration_weights["with_llm" if decision.llm_consulted else "slm_alone"]
            score = logistic_probability(calibration_features(decision), weights)
            entities.append(_entity_row(item, decision, score))
    rows = [
        {"doc_id": item.doc_id, "start": item.start, "end": item.end, "gated": item.gated,
         "passes": item.llm.passes if item.llm else 0, "error": item.error}
        for item in unit.segments
    ]  # fmt: skip
    write_table(pa.Table.from_pylist(entities, schema=ENTITY_SCHEMA), out / "entities" / file)
    write_table(pa.Table.from_pylist(rows, schema=SEGMENT_SCHEMA), out / "segments" / file)
    return {"unit": unit.name, "characters": sum(item.end - item.start for item in unit.segments)}


def _entity_row(item: SegmentPrediction, decision: FusedEntity, score: float | None) -> dict[str, Any]:
    span = decision.span
    return {
        "doc_id": item.doc_id,
        "start": item.start + span.start,
        "end": item.start + span.end,
        "text": item.text[span.start : span.end],
        "type": span.type,
        "score": score,
        "decided_by": decision.decided_by,
        "slm_type": decision.slm_type,
        "slm_entropy": decision.slm_entropy,
        "llm_type": decision.llm_type,
        "llm_category_prob": decision.llm_category_prob,
        "llm_boundary_prob": decision.llm_boundary_prob,
    }
