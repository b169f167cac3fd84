"""Read a unit from the plan and the copied documents, fuse its predictions, and write its rows of the output tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

import pyarrow as pa

from rayner.corpus.corrections.applying import CorrectedEntities
from rayner.corpus.parquet_files import read_table, write_table
from rayner.corpus.plain_text.encodings import digest_encoded_text
from rayner.corpus.scripts.conversion import ScriptConverter
from rayner.corpus.tables import (
    DOCUMENT_SCHEMA,
    OPTIONAL_COLUMNS,
    SEGMENT_SCHEMA,
    EntityRow,
    SegmentRow,
    count_unit_rows,
)
from rayner.corpus.unit_records import InputDigests, ModelCounts, UnitRecord, write_unit_record
from rayner.fusion.calibration import Calibration
from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FusionRule
from rayner.runs.storage import StoragePath
from rayner.steps.tag.corrected_units import write_corrected_entities
from rayner.steps.tag.llm_gate import without_unasked_answer
from rayner.steps.tag.plan import read_unit_plan
from rayner.steps.tag.seams import DecidedSeam, add_seam_errors, join_at_seams
from rayner.steps.tag.slices import DocumentSlice, Unit
from rayner.steps.tag.stages import PredictedUnit, UnitSegments
from rayner.text.predictions import SegmentPrediction, empty_prediction


def read_unit_by_name(
    name: str, out: StoragePath, plan_parts: Mapping[str, str], converter: ScriptConverter | None = None
) -> UnitSegments:
    """Find a unit in the plan and read its segments. See `read_unit_plan` and `read_unit` for the errors."""
    return read_unit(read_unit_plan(name, out, plan_parts), out, plan_parts, converter)


def read_unit(
    unit: Unit, out: StoragePath, plan_parts: Mapping[str, str], converter: ScriptConverter | None = None
) -> UnitSegments:
    """Read the segments of a planned unit.

    converter: Makes the copy of the texts that the models read; None if they read the texts as they are.

    Raises DataError if a file of documents is damaged, and RuntimeError if a text differs from the planned text.
    """
    return build_unit_segments(unit, make_text_reader(unit, out, plan_parts), converter)


def make_text_reader(unit: Unit, out: StoragePath, plan_parts: Mapping[str, str]) -> Callable[[DocumentSlice], str]:
    """Return a function that reads the text of the whole document of a slice of the unit. Its errors: `read_unit`."""

    def read_text(document_slice: DocumentSlice) -> str:
        documents_unit = Unit(document_slice.documents_unit).name
        digest = (
            unit.documents_sha256
            if documents_unit == unit.name
            else read_unit_plan(documents_unit, out, plan_parts).documents_sha256
        )
        text, encoding = _read_texts_by_doc_id(out, documents_unit, digest)[document_slice.doc_id]
        if document_slice.start == 0 and digest_encoded_text(text, encoding) != document_slice.sha256:
            raise RuntimeError(
                f"{out}: the text of {document_slice.doc_id} in the table `documents` is not the one that was planned"
            )
        return text

    return read_text


def build_unit_segments(
    unit: Unit, find_text: Callable[[DocumentSlice], str], converter: ScriptConverter | None = None
) -> UnitSegments:
    """Return the segments of a planned unit, without predictions.

    find_text: returns the text of the whole document that a slice belongs to.
    converter: see `read_unit`.
    """
    segments, seams, cuts = list[SegmentPrediction](), list[SegmentPrediction](), list[int]()
    for document_slice in unit.slices:
        doc_id, text = document_slice.doc_id, find_text(document_slice)
        convert = _choose_conversion(text, converter)
        segments += _unpredicted_segments(doc_id, text, convert, document_slice.segment_bounds())
        seams += _unpredicted_segments(doc_id, text, convert, [(seam.start, seam.end) for seam in document_slice.seams])
        cuts += [seam.cut for seam in document_slice.seams]
    return UnitSegments(
        unit.name,
        segments,
        documents_sha256=unit.documents_sha256,
        seams=UnitSegments(f"{unit.name}.seams", seams, [()] * len(seams), is_predicted_apart=True) if seams else None,
        cuts=cuts,
    )


def _choose_conversion(text: str, converter: ScriptConverter | None) -> Callable[[str], str] | None:
    """Return what makes the copy of a part of a text; None without a converter.

    Only the parts are copied, because the text of a document may be much longer than a unit.
    """
    if converter is None:
        return None
    return converter.convert_part if converter.needs_conversion(text) else str


def _unpredicted_segments(
    doc_id: str, text: str, convert: Callable[[str], str] | None, bounds: Iterable[tuple[int, int]]
) -> list[SegmentPrediction]:
    """Return segments of a text. With a conversion, they hold the converted text, and the original beside it."""
    if convert is None:
        return [SegmentPrediction(doc_id, start, end, text[start:end], empty_prediction()) for start, end in bounds]
    return [
        SegmentPrediction(
            doc_id, start, end, convert(text[start:end]), empty_prediction(), original_text=text[start:end]
        )
        for start, end in bounds
    ]


# Consecutive units may hold slices of the same long document.
@lru_cache(maxsize=2)
def _read_texts_by_doc_id(out: StoragePath, unit_name: str, sha256: str) -> dict[str, tuple[str, str | None]]:
    """Return the text and the encoding of each document that begins in a unit."""
    path = out / "documents" / f"{unit_name}.parquet"
    table = read_table(path, DOCUMENT_SCHEMA, sha256, optional=OPTIONAL_COLUMNS)
    texts = zip(table["text"].to_pylist(), table["encoding"].to_pylist(), strict=True)
    return dict(zip(table["doc_id"].to_pylist(), texts, strict=True))


@dataclass(frozen=True)
class FusedRows:
    """The rows of a unit in the tables `entities` and `segments`."""

    entities: Sequence[EntityRow]
    segments: Sequence[SegmentRow]


def fuse_unit(unit: UnitSegments, rule: FusionRule, calibration: Calibration) -> FusedRows:
    """Fuse the predictions of a unit, and join the entities at the cuts of its long sentences.

    Answers of the LLM that the gate did not ask for do not count, although they may be known.
    """
    unit = _without_unasked_answers(unit)
    seams = _decide_seams(unit, rule, calibration)
    entity_rows: list[EntityRow] = []
    for doc_id, segments in groupby(unit.segments, key=lambda segment: segment.doc_id):
        slice_rows: list[EntityRow] = []
        # Where a model failed, the small model's entities are kept; it has none if it failed itself.
        document = [segment if segment.error is None else replace(segment, llm=None) for segment in segments]
        for segment, entities in zip(document, rule.decide_all(document), strict=True):
            slice_rows += [_entity_row(segment, entity, calibration.score(entity)) for entity in entities]
        entity_rows += join_at_seams(slice_rows, seams.get(doc_id, ()))
    segment_rows = [_segment_row(segment) for segment in unit.segments]
    add_seam_errors(segment_rows, seams)
    return FusedRows(entity_rows, segment_rows)


def fuse_and_write_unit(
    unit: UnitSegments,
    out: StoragePath,
    rule: FusionRule,
    calibration: Calibration,
    inputs: InputDigests,
    correct: Callable[[Sequence[EntityRow]], CorrectedEntities] = CorrectedEntities,
) -> PredictedUnit:
    """Fuse a unit (`fuse_unit`), write its entities and segments, and return its number of characters as amount.

    The record of the unit is written last, so if it exists, the unit is done.

    correct: Applies the corrections of a person to the entities of the unit.
    """
    rows = fuse_unit(unit, rule, calibration)
    corrected = correct(rows.entities)
    segments = pa.Table.from_pylist(rows.segments, schema=SEGMENT_SCHEMA)
    files = {
        "documents": unit.documents_sha256,
        **write_corrected_entities(corrected, out, unit.name),
        "segments": write_table(segments, out / "segments" / f"{unit.name}.parquet"),
    }
    counts = count_unit_rows(rows.segments, corrected.entities)
    record = UnitRecord(
        unit=unit.name,
        inputs=inputs.tags,
        files=files,
        counts=counts,
        slm_halvings=unit.slm_halvings,
        llm_halvings=unit.llm_halvings,
        models=_count_model_entities(_without_unasked_answers(unit).segments),
        scores_inputs=inputs.scores,
        scores_sha256=unit.scores_sha256,
    )
    write_unit_record(out, record)
    return PredictedUnit(counts.characters, counts.not_finite)


def _without_unasked_answers(unit: UnitSegments) -> UnitSegments:
    segments = [without_unasked_answer(segment) for segment in unit.segments]
    return replace(unit, segments=segments, seams=unit.seams and _without_unasked_answers(unit.seams))


def _count_model_entities(segments: Sequence[SegmentPrediction]) -> ModelCounts:
    answered = [(len(segment.text), segment.llm) for segment in segments if segment.llm is not None]
    return ModelCounts(
        slm_entities=sum(len(segment.slm.spans) for segment in segments),
        llm_characters=sum(n_chars for n_chars, _ in answered),
        llm_entities=sum(len(answer.entities) for _, answer in answered),
    )


def _decide_seams(unit: UnitSegments, rule: FusionRule, calibration: Calibration) -> dict[str, list[DecidedSeam]]:
    """Return what the predictions of the unit's seams say about their cuts, by doc_id."""
    decided: dict[str, list[DecidedSeam]] = {}
    piece_ends = {(segment.doc_id, segment.end) for segment in unit.segments}
    for segment, cut in zip(unit.seam_segments, unit.cuts, strict=True):
        crossing = None
        for entity in rule.decide(segment) if segment.error is None else ():
            if segment.start + entity.span.start < cut < segment.start + entity.span.end:
                crossing = _entity_row(segment, entity, calibration.score(entity))
        has_left = (segment.doc_id, cut) in piece_ends
        decided.setdefault(segment.doc_id, []).append(DecidedSeam(cut, segment.end, has_left, crossing, segment.error))
    return decided


def _entity_row(segment: SegmentPrediction, entity: FusedEntity, score: float | None) -> EntityRow:
    span = entity.span
    return {
        "doc_id": segment.doc_id,
        "start": segment.start + span.start,
        "end": segment.start + span.end,
        "text": (segment.original_text or segment.text)[span.start : span.end],
        "type": span.type,
        "score": score,
        "decided_by": entity.decided_by,
        "slm_type": entity.slm_type,
        "slm_entropy": entity.slm_entropy,
        "llm_type": entity.llm_type,
        "llm_category_prob": entity.llm_category_prob,
        "llm_boundary_prob": entity.llm_boundary_prob,
    }


def _segment_row(segment: SegmentPrediction) -> SegmentRow:
    return {
        "doc_id": segment.doc_id,
        "start": segment.start,
        "end": segment.end,
        "gated": segment.gated,
        "passes": segment.llm.passes if segment.llm else 0,
        "error": segment.error,
    }
