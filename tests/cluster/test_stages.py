"""How labelled sentences become units of work, and how progress is told."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.runs.progress import Progress, log, progress_display
from rayner.runs.run_folder import Run
from rayner.runs.status import format_duration
from rayner.steps.data import ALL_PART
from rayner.steps.score import group_into_units, read_held_out_unit, read_unpredicted_segments
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SegmentPrediction, empty_prediction


def segment(i, text):
    return SegmentPrediction(f"d{i}", 0, len(text), text, empty_prediction())


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_units_of_sentences_partition_them_in_order_and_end_once_full(lengths, size):
    rows = [segment(i, "字" * length) for i, length in enumerate(lengths)]
    units = [unit.segments for unit in group_into_units("dev", rows, size)]
    assert [row for unit in units for row in unit] == rows
    for unit in units:
        assert sum(len(row.text) for row in unit[:-1]) < size
    for unit in units[:-1]:
        assert sum(len(row.text) for row in unit) >= size


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20), size=st.integers(1, 20), group=st.integers(1, 3))
def test_what_actors_read_of_the_units_is_the_part_in_order(tmp_path_factory, lengths, size, group):
    run = Run(tmp_path_factory.mktemp("run"))
    examples = [LabelledSentence(f"{i:02d}" + "字" * length, ()) for i, length in enumerate(lengths)]
    run.path("data").mkdir()
    for name in ("dev", ALL_PART):
        write_labelled_sentences(run.path("data", f"{name}.jsonl"), examples)
    every = read_unpredicted_segments(run, "dev")
    names = [unit.name for unit in group_into_units("dev", every, size)]
    assert names == [f"dev-{i:06d}" for i in range(len(names))]
    units = [read_held_out_unit(name, run, group, size) for name in names]
    assert [item.text for unit in units for item in unit.segments] == [item.text for item in every]
    assert [unit.name for unit in units] == names
    for unit in units:
        for item, shared in zip(unit.segments, unit.texts_sharing_examples, strict=True):
            assert item.text in shared if group > 1 else shared == ()


def test_progress_is_told_now_and_then_and_at_the_end(caplog, monkeypatch):
    monkeypatch.setattr(log, "handlers", [caplog.handler])  # whatever start_logging left in other tests
    monkeypatch.setattr(log, "propagate", False)
    with caplog.at_level(logging.INFO, logger="rayner"):
        progress = Progress("tag", 3000, "characters", progress_display(log_seconds=1000))
        progress.advance(1000)
        assert caplog.messages == []
        progress.advance(2000)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("tag 3,000/3,000 characters, ")
    assert caplog.messages[0].endswith("0 s left")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (18125, "5 h 2 min")],
)
def test_durations_are_said_for_people(seconds, said):
    assert format_duration(seconds) == said
