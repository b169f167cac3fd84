"""Scored segments as Arrow tables: how scores lie on disk.

Columns are built whole rather than row by row: corpora have millions of segments.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rayner.corpus.tables import read_table
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

_SPAN = [("start", pa.int32()), ("end", pa.int32()), ("type", pa.string())]
_SPANS = pa.list_(pa.struct(_SPAN))
_LLM_SPANS = pa.list_(pa.struct([*_SPAN, ("category", pa.float64()), ("boundary", pa.float64())]))
_FLOATS = pa.list_(pa.float32())

# `llm_spans` and `decisions` are null where there is no LLM answer; a span's offsets count from the segment's start.
PREDICTION_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("gold", _SPANS),
        ("slm_spans", _SPANS),
        ("entropy", _FLOATS),
        ("log_probs", _FLOATS),  # by character, then by label; null where they were not kept
        ("llm_spans", _LLM_SPANS),
        ("decisions", _FLOATS),
        ("passes", pa.int32()),
        ("gated", pa.bool_()),
        ("error", pa.string()),
    ]
)


def predictions_to_table(rows: Sequence[SegmentPrediction]) -> pa.Table:
    """The segments as a table of schema SCORED, in order."""
    answers = [row.llm for row in rows]
    columns = [
        [row.doc_id for row in rows],
        [row.start for row in rows],
        [row.end for row in rows],
        [row.text for row in rows],
        _spans([row.gold for row in rows]),
        _spans([row.slm.spans for row in rows]),
        _floats([row.slm.entropy for row in rows]),
        _floats([None if row.slm.log_probs is None else row.slm.log_probs.ravel() for row in rows]),
        _llm_spans(answers),
        _floats([None if answer is None else answer.slot_probs for answer in answers]),
        [0 if answer is None else answer.passes for answer in answers],
        [row.gated for row in rows],
        [row.error for row in rows],
    ]
    return pa.table(
        [
            column if isinstance(column, pa.Array) else pa.array(column, PREDICTION_SCHEMA.field(i).type)
            for i, column in enumerate(columns)
        ],
        schema=PREDICTION_SCHEMA,
    )


def predictions_from_table(table: pa.Table) -> list[SegmentPrediction]:
    """The exact inverse of `predictions_to_table`. Raises KeyError for a lost column."""
    return [row for batch in table.select(PREDICTION_SCHEMA.names).to_batches() for row in _from_batch(batch)]


def read_predictions(path: Path) -> list[SegmentPrediction]:
    """The segments of a file that holds a table of schema SCORED. Raises DataError for any other."""
    return predictions_from_table(read_table(path, PREDICTION_SCHEMA))


def _list_array(values: pa.Array, sizes: Iterable[int], kind: pa.ListType, valid: Sequence[bool]) -> pa.Array:
    """Lists of the given sizes, cut one after the other from `values`; null where not valid."""
    offsets = pa.array(list(accumulate(sizes, initial=0)), pa.int32())
    mask = None if all(valid) else pa.array([not ok for ok in valid], pa.bool_())
    return pa.ListArray.from_arrays(offsets, values, type=kind, mask=mask)


def _floats(arrays: Sequence[npt.NDArray[np.float32] | None]) -> pa.Array:
    present = [array for array in arrays if array is not None]
    flat = np.concatenate(present, dtype=np.float32) if present else np.zeros(0, np.float32)
    sizes = (0 if array is None else len(array) for array in arrays)
    return _list_array(pa.array(flat, pa.float32()), sizes, _FLOATS, [array is not None for array in arrays])


def _columns(spans: Sequence[Span]) -> list[pa.Array]:
    return [
        pa.array([span.start for span in spans], pa.int32()),
        pa.array([span.end for span in spans], pa.int32()),
        pa.array([span.type for span in spans], pa.string()),
    ]


def _spans(groups: Sequence[tuple[Span, ...]]) -> pa.Array:
    flat = _columns([span for group in groups for span in group])
    values = pa.StructArray.from_arrays(flat, fields=list(_SPANS.value_type))
    return _list_array(values, map(len, groups), _SPANS, [True] * len(groups))


def _llm_spans(answers: Sequence[LlmAnswer | None]) -> pa.Array:
    flat = [item for answer in answers if answer is not None for item in answer.entities]
    columns = [
        *_columns([item.span for item in flat]),
        pa.array([item.category_prob for item in flat], pa.float64()),
        pa.array([item.boundary_prob for item in flat], pa.float64()),
    ]
    values = pa.StructArray.from_arrays(columns, fields=list(_LLM_SPANS.value_type))
    sizes = (0 if answer is None else len(answer.entities) for answer in answers)
    return _list_array(values, sizes, _LLM_SPANS, [answer is not None for answer in answers])


def _from_batch(batch: pa.RecordBatch) -> Iterator[SegmentPrediction]:
    plain = [batch.column(name).to_pylist() for name in ("doc_id", "start", "end", "text", "gated", "error")]
    gold, slm_spans = (_groups(batch.column(name), Span) for name in ("gold", "slm_spans"))
    entropy, log_probs, decisions = (_cut(batch.column(name)) for name in ("entropy", "log_probs", "decisions"))
    kept = batch.column("log_probs").is_valid().to_pylist()
    llm_spans = _groups(batch.column("llm_spans"), _llm_span)
    answered = batch.column("llm_spans").is_valid().to_pylist()
    passes = batch.column("passes").to_pylist()
    for i, (doc_id, start, end, text, gated, error) in enumerate(zip(*plain, strict=True)):
        llm = LlmAnswer(llm_spans[i], decisions[i], passes[i]) if answered[i] else None
        n = len(entropy[i])
        matrix = log_probs[i].reshape(n, -1) if kept[i] and n else None
        slm = SlmPrediction(slm_spans[i], entropy[i], matrix)
        yield SegmentPrediction(doc_id, start, end, text, slm, llm, gold[i], gated, error)


def _llm_span(start: int, end: int, kind: str, category: float, boundary: float) -> LlmEntity:
    return LlmEntity(Span(start, end, kind), category, boundary)


def _groups(lists: pa.ListArray, make: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """What `make` builds of the fields of each struct, by list; () for null."""
    structs, cuts = _parts(lists)
    items = [make(*fields) for fields in zip(*(column.to_pylist() for column in structs.flatten()), strict=True)]
    return [tuple(items[a:b]) for a, b in pairwise(cuts)]


def _cut(lists: pa.ListArray) -> list[npt.NDArray[np.float32]]:
    """An array for each list, empty for null. Copies, so that a segment kept does not keep its whole batch."""
    values, cuts = _parts(lists)
    flat = values.to_numpy(zero_copy_only=False)
    return [flat[a:b].copy() for a, b in pairwise(cuts)]


def _parts(lists: pa.ListArray) -> tuple[pa.Array, list[int]]:
    """The values of all lists, and where to cut them. A slice shares the values of the whole table: take its own."""
    cuts = lists.offsets.to_numpy()
    return lists.values.slice(cuts[0], cuts[-1] - cuts[0]), (cuts - cuts[0]).tolist()
