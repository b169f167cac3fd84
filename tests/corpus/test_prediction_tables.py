import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.prediction_tables import SCORED, from_table, read_scored, to_table
from rayner.corpus.tables import write_table
from rayner.text.predictions import LlmAnswer, LlmSpan, Scored, SlmScore
from rayner.text.spans import Span

FLOATS = st.lists(st.floats(width=32), max_size=5).map(lambda xs: np.array(xs, np.float32))
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
SPAN = st.builds(Span, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), TEXT)
SPANS = st.lists(SPAN, max_size=3).map(tuple)
LLM_SPANS = st.lists(st.builds(LlmSpan, SPAN, st.floats(), st.floats()), max_size=3).map(tuple)
ANSWER = st.builds(LlmAnswer, LLM_SPANS, FLOATS, st.integers(0, 2**31 - 1))
SCORED_ROW = st.builds(
    Scored,
    doc_id=TEXT,
    start=st.integers(0, 2**62),
    end=st.integers(0, 2**62),
    text=TEXT,
    slm=st.builds(SlmScore, SPANS, FLOATS),
    llm=st.none() | ANSWER,
    gold=SPANS,
    gated=st.booleans(),
    error=st.none() | TEXT,
)


def exact(row: Scored) -> tuple:
    """Everything in a row, down to bits and types, as something that can be compared."""
    slm = (row.slm.spans, row.slm.entropy.dtype, row.slm.entropy.shape, row.slm.entropy.tobytes())
    llm = row.llm and (
        [(item.span, item.category.hex(), item.boundary.hex()) for item in row.llm.spans],
        *(type(row.llm.spans), row.llm.decisions.dtype, row.llm.decisions.tobytes(), row.llm.passes),
    )
    plain = (row.doc_id, row.start, row.end, row.text, row.gold, type(row.gold), row.gated, row.error)
    return (*plain, *map(type, (row.start, row.gated)), slm, llm)


@given(st.lists(SCORED_ROW, max_size=6))
def test_there_and_back(rows):
    table = to_table(rows)
    assert table.schema == SCORED
    assert [exact(row) for row in from_table(table)] == [exact(row) for row in rows]


@given(st.lists(SCORED_ROW, max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_slices_and_chunks(rows, start, n):
    table = to_table(rows)
    expected = [exact(row) for row in rows]
    part = table.slice(start, n)
    assert [exact(row) for row in from_table(part)] == expected[start : start + n]
    both = pa.concat_tables([part, part, table])
    assert [exact(row) for row in from_table(both)] == expected[start : start + n] * 2 + expected


def row_of(n: int, *, llm: bool = True) -> Scored:
    text = "甲" * n
    answer = LlmAnswer((LlmSpan(Span(0, 1, "NR"), 0.9, 0.1),), np.ones(n + 1, np.float32), 3)
    slm = SlmScore((Span(0, 1, "NR"), Span(2, 4, "NS")), np.zeros(n, np.float32))
    return Scored("d", 7, 7 + n, text, slm, answer if llm else None, (Span(0, 1, "NR"),), not llm)


def test_no_answer_is_null():
    table = to_table([row_of(5), row_of(5, llm=False)])
    assert table["llm_spans"].is_null().to_pylist() == [False, True]
    assert table["decisions"].is_null().to_pylist() == [False, True]
    assert table["passes"].to_pylist() == [3, 0]
    assert to_table([]).num_rows == 0
    assert from_table(SCORED.empty_table()) == []


def test_columns_in_another_order_and_more_of_them():
    table = to_table([row_of(5)])
    shuffled = table.select(SCORED.names[::-1]).append_column("more", pa.array([1]))
    assert [exact(row) for row in from_table(shuffled)] == [exact(row_of(5))]
    with pytest.raises(KeyError):
        from_table(table.drop_columns("passes"))


def test_rows_own_their_arrays():
    row = from_table(to_table([row_of(5)] * 2))[0]
    assert row.slm.entropy.flags.owndata
    assert row.slm.entropy.flags.writeable


def test_through_a_file(tmp_path):
    rows = [row_of(5), row_of(5, llm=False)]
    write_table(to_table(rows), tmp_path / "scores.parquet")
    assert [exact(row) for row in read_scored(tmp_path / "scores.parquet")] == [exact(row) for row in rows]


@pytest.mark.slow
def test_tens_of_thousands_of_rows_a_second():
    rows = [row_of(20, llm=i % 3 == 0) for i in range(20_000)]
    begin = time.process_time()
    back = from_table(to_table(rows))
    spent = time.process_time() - begin
    assert len(back) == len(rows)
    assert spent < 4  # a fifth of a second where nothing else runs; row by row it would be many seconds
