import dataclasses
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.parquet_files import write_table
from rayner.corpus.prediction_tables import (
    PREDICTION_SCHEMA,
    predictions_from_table,
    predictions_to_table,
    read_predictions,
)
from rayner.errors import DataError
from rayner.text.predictions import (
    CandidateScore,
    FreeAnswerFaults,
    LlmAnswer,
    LlmEntity,
    SegmentPrediction,
    SlmPrediction,
)
from rayner.text.spans import Span

FLOATS = st.lists(st.floats(width=32), max_size=5).map(lambda xs: np.array(xs, np.float32))
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
SPAN = st.builds(Span, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), TEXT)
SPANS = st.lists(SPAN, max_size=3).map(tuple)
LLM_SPANS = st.lists(st.builds(LlmEntity, SPAN, st.floats(), st.floats()), max_size=3).map(tuple)
COUNT = st.integers(0, 2**31 - 1)
FAULTS = st.builds(FreeAnswerFaults, *[COUNT] * len(dataclasses.fields(FreeAnswerFaults)))
SCORES = st.lists(st.builds(CandidateScore, SPAN, *[st.floats()] * 4), max_size=3).map(tuple)
ANSWER = st.builds(LlmAnswer, LLM_SPANS, FLOATS, COUNT, st.none() | FAULTS, st.none() | SCORES)
SCORED_ROW = st.builds(
    SegmentPrediction,
    doc_id=TEXT,
    start=st.integers(0, 2**62),
    end=st.integers(0, 2**62),
    text=TEXT,
    slm=st.builds(SlmPrediction, SPANS, FLOATS),
    llm=st.none() | ANSWER,
    gold=SPANS,
    gated=st.booleans(),
    error=st.none() | TEXT,
)


def exact(row: SegmentPrediction) -> tuple:
    """Everything in a row, down to bits and types, as something that can be compared."""
    slm = (row.slm.spans, row.slm.entropy.dtype, row.slm.entropy.shape, row.slm.entropy.tobytes())
    llm = row.llm and (
        [(item.span, item.category_prob.hex(), item.boundary_prob.hex()) for item in row.llm.entities],
        *(
            type(row.llm.entities),
            row.llm.slot_probs.dtype,
            row.llm.slot_probs.tobytes(),
            row.llm.passes,
            row.llm.faults,
            type(row.llm.candidate_scores),
        ),
        [
            (score.span, *(odds.hex() for odds in (score.opening, score.category, score.going_on, score.closing)))
            for score in row.llm.candidate_scores or ()
        ],
    )
    plain = (row.doc_id, row.start, row.end, row.text, row.gold, type(row.gold), row.gated, row.error)
    return (*plain, *map(type, (row.start, row.gated)), slm, llm)


@given(st.lists(SCORED_ROW, max_size=6))
def test_there_and_back(rows):
    table = predictions_to_table(rows)
    assert table.schema == PREDICTION_SCHEMA
    assert [exact(row) for row in predictions_from_table(table)] == [exact(row) for row in rows]


@given(st.lists(SCORED_ROW, max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_slices_and_chunks(rows, start, n):
    table = predictions_to_table(rows)
    expected = [exact(row) for row in rows]
    part = table.slice(start, n)
    assert [exact(row) for row in predictions_from_table(part)] == expected[start : start + n]
    both = pa.concat_tables([part, part, table])
    assert [exact(row) for row in predictions_from_table(both)] == expected[start : start + n] * 2 + expected


def row_of(n: int, *, llm: bool = True) -> SegmentPrediction:
    text = "甲" * n
    answer = LlmAnswer((LlmEntity(Span(0, 1, "NR"), 0.9, 0.1),), np.ones(n + 1, np.float32), 3)
    slm = SlmPrediction((Span(0, 1, "NR"), Span(2, 4, "NS")), np.zeros(n, np.float32))
    return SegmentPrediction("d", 7, 7 + n, text, slm, answer if llm else None, (Span(0, 1, "NR"),), not llm)


def test_no_answer_is_null():
    table = predictions_to_table([row_of(5), row_of(5, llm=False)])
    assert table["llm_spans"].is_null().to_pylist() == [False, True]
    assert table["decisions"].is_null().to_pylist() == [False, True]
    assert table["passes"].to_pylist() == [3, 0]
    assert predictions_to_table([]).num_rows == 0
    assert predictions_from_table(PREDICTION_SCHEMA.empty_table()) == []


def test_columns_in_another_order_and_more_of_them():
    table = predictions_to_table([row_of(5)])
    shuffled = table.select(PREDICTION_SCHEMA.names[::-1]).append_column("more", pa.array([1]))
    assert [exact(row) for row in predictions_from_table(shuffled)] == [exact(row_of(5))]
    with pytest.raises(KeyError):
        predictions_from_table(table.drop_columns("passes"))


def test_rows_own_their_arrays():
    row = predictions_from_table(predictions_to_table([row_of(5)] * 2))[0]
    assert row.slm.entropy.flags.owndata
    assert row.slm.entropy.flags.writeable


def test_through_a_file(tmp_path):
    rows = [row_of(5), row_of(5, llm=False)]
    write_table(predictions_to_table(rows), tmp_path / "scores.parquet")
    assert [exact(row) for row in read_predictions(tmp_path / "scores.parquet")] == [exact(row) for row in rows]


@pytest.mark.slow
def test_tens_of_thousands_of_rows_a_second():
    rows = [row_of(20, llm=i % 3 == 0) for i in range(20_000)]
    begin = time.process_time()
    back = predictions_from_table(predictions_to_table(rows))
    spent = time.process_time() - begin
    assert len(back) == len(rows)
    assert spent < 4  # a fifth of a second where nothing else runs; row by row it would be many seconds


def test_a_file_of_before_is_read_as_one_without_scores_of_candidates(tmp_path):
    row = row_of(5)
    scores = (CandidateScore(Span(0, 1, "NS"), 1.0, 2.0, 3.0, 4.0),)
    with_scores = dataclasses.replace(row, llm=dataclasses.replace(row.llm, candidate_scores=scores))
    table = predictions_to_table([with_scores])
    assert exact(predictions_from_table(table)[0]) == exact(with_scores)
    write_table(table.drop_columns("llm_candidates"), tmp_path / "scores.parquet")
    assert [exact(found) for found in read_predictions(tmp_path / "scores.parquet")] == [exact(row)]
    write_table(table.drop_columns("passes"), tmp_path / "scores.parquet")
    with pytest.raises(DataError, match="expected a column passes, found none"):
        read_predictions(tmp_path / "scores.parquet")
