"""What the stages do besides calling models: set a failing text aside, keep order, pack and unpack."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.cluster.score import units_of
from rayner.cluster.session import Progress, duration, log
from rayner.cluster.stages import packed, segments_of, unit_row, unpacked
from rayner.ner.scores import NOTHING, Scored
from rayner.progress import here


def segment(i, text):
    return Scored(f"d{i}", 0, len(text), text, NOTHING)


def test_a_unit_survives_the_way_between_processes():
    rows = [segment(0, "楚\ue000\u2028\r\n"), segment(1, "")]
    row = unit_row("unit-000001", rows)
    assert row["unit"] == "unit-000001"
    assert isinstance(row["segments"], bytes)
    assert [(item.doc_id, item.end, item.text) for item in segments_of(row)] == [
        (item.doc_id, item.end, item.text) for item in rows
    ]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_units_of_sentences_partition_them_in_order_and_end_once_full(lengths, size):
    rows = [segment(i, "字" * length) for i, length in enumerate(lengths)]
    units = units_of(rows, size)
    assert [row for unit in units for row in unit] == rows
    for unit in units:
        assert sum(len(row.text) for row in unit[:-1]) < size
    for unit in units[:-1]:
        assert sum(len(row.text) for row in unit) >= size


def test_progress_is_told_now_and_then_and_at_the_end(caplog, monkeypatch):
    monkeypatch.setattr(log, "handlers", [caplog.handler])  # whatever start_logging left in other tests
    monkeypatch.setattr(log, "propagate", False)
    with caplog.at_level(logging.INFO, logger="rayner"):
        progress = Progress("tag", 3000, "characters", here(every=1000))
        progress.add(1000)
        assert caplog.messages == []
        progress.add(2000)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("tag 3,000/3,000 characters, ")
    assert caplog.messages[0].endswith("0 s left")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (18125, "5 h 2 min")],
)
def test_durations_are_said_for_people(seconds, said):
    assert duration(seconds) == said


@given(st.lists(st.booleans(), max_size=6))
def test_vectors_travel_by_text_and_those_that_are_not_there_stay_away(present):
    texts = [f"text {i}" for i in range(len(present))]
    vectors = [np.full(4, i, dtype=np.float32) if there else None for i, there in enumerate(present)]
    found = unpacked(packed(vectors), texts)
    assert found.keys() == {text for text, there in zip(texts, present, strict=True) if there}
    assert all(found[f"text {i}"].tolist() == [i] * 4 for i, there in enumerate(present) if there)
