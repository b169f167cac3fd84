"""Convert predictions to Arrow tables and back. The tables are stored in `scores/*.parquet`.

Tables are built column by column, not row by row, because there may be millions of segments.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rayner.corpus.parquet_files import read_table
from rayner.text.predictions import (
    CandidateScore,
    FreeAnswerFaults,
    LlmAnswer,
    LlmEntity,
    SegmentPrediction,
    SlmPrediction,
)
from rayner.text.spans import Span

_SPAN = [("start", pa.int32()), ("end", pa.int32()), ("type", pa.string())]
_SPANS = pa.list_(pa.struct(_SPAN))
_LLM_SPANS = pa.list_(pa.struct([*_SPAN, ("category", pa.float64()), ("boundary", pa.float64())]))
_CANDIDATE_ODDS = ("opening", "category", "going_on", "closing")
_CANDIDATES = pa.list_(pa.struct([*_SPAN, *((name, pa.float64()) for name in _CANDIDATE_ODDS)]))
_FLOATS = pa.list_(pa.float32())
_FAULTS = pa.struct([(field.name, pa.int32()) for field in dataclasses.fields(FreeAnswerFaults)])

# `llm_spans` and `decisions` are null if there is no LLM answer. Span offsets count from the start of the segment.
PREDICTION_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("gold", _SPANS),
        ("slm_spans", _SPANS),
        ("entropy", _FLOATS),
        ("log_probs", _FLOATS),  # shape [n_chars * n_labels], row by row; null if not kept
        ("llm_spans", _LLM_SPANS),
        ("decisions", _FLOATS),  # `LlmAnswer.slot_probs`
        ("passes", pa.int32()),
        ("free_answer_faults", _FAULTS),  # null if the tag grammar allows none
        ("llm_candidates", _CANDIDATES),  # `LlmAnswer.candidate_scores`; null if candidates were not scored
        ("gated", pa.bool_()),
        ("error", pa.string()),
        ("passage", pa.int32()),  # null outside labelled text, and if sentences are held out one by one
    ]
)
OPTIONAL_COLUMNS = ("llm_candidates", "passage")  # older files do not have them
_PLAIN_COLUMNS = ("doc_id", "start", "end", "text", "gated", "error", "passage")


def predictions_to_table(segments: Sequence[SegmentPrediction]) -> pa.Table:
    """Return the segments, in order, as a table with the schema `PREDICTION_SCHEMA`."""
    answers = [segment.llm for segment in segments]
    columns = [
        [segment.doc_id for segment in segments],
        [segment.start for segment in segments],
        [segment.end for segment in segments],
        [segment.text for segment in segments],
        _build_span_list_column([segment.gold for segment in segments]),
        _build_span_list_column([segment.slm.spans for segment in segments]),
        _build_float_list_column([segment.slm.entropy for segment in segments]),
        _build_float_list_column(
            [None if segment.slm.log_probs is None else segment.slm.log_probs.ravel() for segment in segments]
        ),
        _build_llm_entity_column(answers),
        _build_float_list_column([None if answer is None else answer.slot_probs for answer in answers]),
        [0 if answer is None else answer.passes for answer in answers],
        [None if answer is None or answer.faults is None else dataclasses.asdict(answer.faults) for answer in answers],
        _build_candidate_column([None if answer is None else answer.candidate_scores for answer in answers]),
        [segment.gated for segment in segments],
        [segment.error for segment in segments],
        [segment.passage for segment in segments],
    ]
    return pa.table(
        [
            column if isinstance(column, pa.Array) else pa.array(column, PREDICTION_SCHEMA.field(i).type)
            for i, column in enumerate(columns)
        ],
        schema=PREDICTION_SCHEMA,
    )


def predictions_from_table(table: pa.Table) -> list[SegmentPrediction]:
    """Return the segments of a table that `predictions_to_table` made. Raises KeyError if a column is missing."""
    batches = table.select(PREDICTION_SCHEMA.names).to_batches()
    return [segment for batch in batches for segment in _predictions_from_batch(batch)]


def read_predictions(path: Path) -> list[SegmentPrediction]:
    """Read the segments of a Parquet file.

    Raises DataError, which names the file, if it does not have the columns of `PREDICTION_SCHEMA`.
    """
    return predictions_from_table(read_table(path, PREDICTION_SCHEMA, optional=OPTIONAL_COLUMNS))


def _cut_into_lists(values: pa.Array, sizes: Iterable[int], list_type: pa.ListType, valid: Sequence[bool]) -> pa.Array:
    """Split `values` into consecutive lists of the given sizes. A list whose entry in `valid` is false becomes null."""
    offsets = pa.array(list(accumulate(sizes, initial=0)), pa.int32())
    mask = None if all(valid) else pa.array([not ok for ok in valid], pa.bool_())
    return pa.ListArray.from_arrays(offsets, values, type=list_type, mask=mask)


def _build_float_list_column(arrays: Sequence[npt.NDArray[np.float32] | None]) -> pa.Array:
    present = [array for array in arrays if array is not None]
    flat = np.concatenate(present, dtype=np.float32) if present else np.zeros(0, np.float32)
    sizes = (0 if array is None else len(array) for array in arrays)
    return _cut_into_lists(pa.array(flat, pa.float32()), sizes, _FLOATS, [array is not None for array in arrays])


def _build_span_fields(spans: Sequence[Span]) -> list[pa.Array]:
    return [
        pa.array([span.start for span in spans], pa.int32()),
        pa.array([span.end for span in spans], pa.int32()),
        pa.array([span.type for span in spans], pa.string()),
    ]


def _build_span_list_column(spans_by_segment: Sequence[tuple[Span, ...]]) -> pa.Array:
    fields = _build_span_fields([span for spans in spans_by_segment for span in spans])
    values = pa.StructArray.from_arrays(fields, fields=list(_SPANS.value_type))
    return _cut_into_lists(values, map(len, spans_by_segment), _SPANS, [True] * len(spans_by_segment))


def _build_llm_entity_column(answers: Sequence[LlmAnswer | None]) -> pa.Array:
    entities = [entity for answer in answers if answer is not None for entity in answer.entities]
    fields = [
        *_build_span_fields([entity.span for entity in entities]),
        pa.array([entity.category_prob for entity in entities], pa.float64()),
        pa.array([entity.boundary_prob for entity in entities], pa.float64()),
    ]
    values = pa.StructArray.from_arrays(fields, fields=list(_LLM_SPANS.value_type))
    sizes = (0 if answer is None else len(answer.entities) for answer in answers)
    return _cut_into_lists(values, sizes, _LLM_SPANS, [answer is not None for answer in answers])


def _build_candidate_column(scores_by_segment: Sequence[tuple[CandidateScore, ...] | None]) -> pa.Array:
    scores = [score for segment_scores in scores_by_segment for score in segment_scores or ()]
    fields = [
        *_build_span_fields([score.span for score in scores]),
        *(pa.array([getattr(score, name) for score in scores], pa.float64()) for name in _CANDIDATE_ODDS),
    ]
    values = pa.StructArray.from_arrays(fields, fields=list(_CANDIDATES.value_type))
    sizes = (len(segment_scores or ()) for segment_scores in scores_by_segment)
    return _cut_into_lists(values, sizes, _CANDIDATES, [scores is not None for scores in scores_by_segment])


def _predictions_from_batch(batch: pa.RecordBatch) -> Iterator[SegmentPrediction]:
    plain = [batch.column(name).to_pylist() for name in _PLAIN_COLUMNS]
    gold, slm_spans = (_build_objects_from_structs(batch.column(name), Span) for name in ("gold", "slm_spans"))
    entropy, log_probs, slot_probs = (
        _read_float_lists(batch.column(name)) for name in ("entropy", "log_probs", "decisions")
    )
    has_log_probs = batch.column("log_probs").is_valid().to_pylist()
    llm_entities = _build_objects_from_structs(batch.column("llm_spans"), _llm_entity)
    has_answer = batch.column("llm_spans").is_valid().to_pylist()
    candidates = _build_objects_from_structs(batch.column("llm_candidates"), _candidate_score)
    has_candidates = batch.column("llm_candidates").is_valid().to_pylist()
    passes = batch.column("passes").to_pylist()
    faults = [row and FreeAnswerFaults(**row) for row in batch.column("free_answer_faults").to_pylist()]
    for i, (doc_id, start, end, text, gated, error, passage) in enumerate(zip(*plain, strict=True)):
        scores = candidates[i] if has_candidates[i] else None
        llm = LlmAnswer(llm_entities[i], slot_probs[i], passes[i], faults[i], scores) if has_answer[i] else None
        n_chars = len(entropy[i])
        matrix = log_probs[i].reshape(n_chars, -1) if has_log_probs[i] and n_chars else None
        slm = SlmPrediction(slm_spans[i], entropy[i], matrix)
        yield SegmentPrediction(doc_id, start, end, text, slm, llm, gold[i], gated, error, passage=passage)


def _llm_entity(start: int, end: int, entity_type: str, category_prob: float, boundary_prob: float) -> LlmEntity:
    return LlmEntity(Span(start, end, entity_type), category_prob, boundary_prob)


def _candidate_score(start: int, end: int, entity_type: str, *odds: float) -> CandidateScore:
    return CandidateScore(Span(start, end, entity_type), *odds)


def _build_objects_from_structs(lists: pa.ListArray, build_object: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """Build an object from the fields of each struct. Return a tuple of objects for each list, () for a null list."""
    structs, offsets = _flatten_lists_with_offsets(lists)
    objects = [
        build_object(*fields) for fields in zip(*(column.to_pylist() for column in structs.flatten()), strict=True)
    ]
    return [tuple(objects[start:end]) for start, end in pairwise(offsets)]


def _read_float_lists(lists: pa.ListArray) -> list[npt.NDArray[np.float32]]:
    """Return an array for each list, an empty array for a null list.

    The arrays are copies, so that a segment does not keep the data of its whole batch in memory.
    """
    values, offsets = _flatten_lists_with_offsets(lists)
    flat = values.to_numpy(zero_copy_only=False)
    return [flat[start:end].copy() for start, end in pairwise(offsets)]


def _flatten_lists_with_offsets(lists: pa.ListArray) -> tuple[pa.Array, list[int]]:
    """Return the values of all lists joined, the start offset of each list, and the end offset of the last list.

    If the lists are a slice of a table, they share the values of the whole table. Only the slice's values are returned.
    """
    offsets = lists.offsets.to_numpy()
    return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), (offsets - offsets[0]).tolist()
