"""What a running job says of itself: the record, its lines, the bar on a terminal, and the beat in the run folder."""

import dataclasses
import json
import os
import re
import select
import time
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner import progress
from rayner.errors import DataError
from rayner.progress import Progress, at_step, reporting
from rayner.status import STATES, Status, bar, counted, duration, pace, read_status, render

numbers = st.floats(0, 1e9)
counts = st.integers(0, 10**9)
texts = st.text(max_size=20)
statuses = st.builds(
    Status,
    job=texts, host=texts, pid=counts, started=numbers, updated=numbers, every=st.floats(0.1, 60),
    state=st.sampled_from(STATES), step=st.integers(1, 9), steps=st.integers(1, 9), name=texts, doing=texts,
    done=counts, total=counts, unit=texts, rate=numbers, left=numbers, error=texts,
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


# ---- the record


@given(statuses, st.dictionaries(st.text(), st.integers()))
def test_a_record_survives_its_file_and_keys_that_are_new(status, more):
    plain = json.loads(json.dumps({**more, **dataclasses.asdict(status)}))
    assert read_status(plain, "f") == status


@given(statuses, st.sampled_from([item.name for item in dataclasses.fields(Status)]), anything)
def test_a_record_with_anything_in_it_is_read_and_rendered_or_refused(status, key, value):
    said = None
    try:
        found = read_status({**dataclasses.asdict(status), key: value}, "f")
    except DataError as error:
        said = str(error)
    assert said.startswith("f: expected ") if said else render(found, "f", 1e9)


@given(statuses, st.text(), numbers)
def test_what_is_rendered_is_few_lines_without_control_characters(status, where, now):
    said = render(status, where, now)
    assert 2 <= len(said.split("\n")) <= 4
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)


@given(statuses, numbers)
def test_only_a_job_that_should_run_can_be_silent(status, now):
    silent = status.silent(now)
    assert (silent > 0) == (status.state == "running" and now - status.updated > 4 * status.every)
    assert ("no sign of life" in render(dataclasses.replace(status, error=""), "r", now)) == (silent > 0)


@given(statuses, st.integers(1, 9), texts)
def test_a_new_step_begins_with_nothing_done(status, step, name):
    now = status.at_step(step, 9, name)
    assert (now.step, now.steps, now.name, now.done, now.total, now.doing) == (step, 9, name, 0, 0, "")
    assert (now.started, now.pid, now.state) == (status.started, status.pid, status.state)


# ---- lines and bars


@given(st.text("abc ", max_size=20), counts, counts, st.integers(1, 300))
def test_a_bar_fits_into_the_terminal_and_says_what_a_line_says(what, done, total, columns):
    rate, left = pace(done, total, 3.0)
    drawn, said = bar(what, done, total, "units", rate, left, columns), counted(what, done, total, "units", rate, left)
    assert len(drawn) < columns
    if columns > len(said) + 10:
        assert drawn.endswith(said)
        full, rest = drawn.count("#"), drawn[: -len(said)].count(".")
        assert full + rest == min(30, columns - len(said) - 4)
        assert (rest == 0) == (done >= total)


@given(counts, counts, numbers)
def test_the_rest_takes_as_long_as_the_rate_says(done, total, seconds):
    rate, left = pace(done, total, seconds)
    assert rate >= 0
    assert left >= 0
    if 0 < done < total and seconds > 1:
        assert left == pytest.approx(seconds * (total - done) / done)
        assert duration(left)


def everything(descriptor):
    read = b""
    while select.select([descriptor], [], [], 0.1)[0]:
        read += os.read(descriptor, 1000)
    return read.decode()


@contextmanager
def terminal(monkeypatch):
    """The standard error as a terminal; yields what reads all that was written there."""
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        try:
            yield lambda: everything(ours)
        finally:
            monkeypatch.undo()
    os.close(ours)


def test_on_a_terminal_there_is_a_bar_and_at_the_end_a_line(monkeypatch):
    said = []
    with terminal(monkeypatch) as written:
        told = Progress("tag", 4, "characters", say=said.append)
        told.add(1)
        told.add(1)  # too soon for another drawing
        told.add(2)
        drawn = written()
    assert drawn.count("tag 1/4 characters, ") == 1
    assert "tag 2/4" not in drawn
    assert drawn.endswith("\r\x1b[K")  # the bar is gone
    assert len(said) == 1
    assert said[0].startswith("tag 4/4 characters, ")


def test_a_line_of_the_log_takes_the_bar_away_first(monkeypatch):
    with terminal(monkeypatch) as written:
        Progress("tag", 4, "characters").add(1)
        written()
        assert progress.clear()
        assert progress.clear()
        assert written() == "\r\x1b[K"


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_can_do_nothing_gets_no_bar(monkeypatch, term):
    with terminal(monkeypatch) as written:
        monkeypatch.setenv("TERM", term)
        Progress("tag", 4, "characters", every=0, say=progress.say_on_stderr).add(1)
        drawn = written()
    assert "\x1b" not in drawn
    assert drawn.startswith("tag 1/4 characters")


def test_elsewhere_there_are_plain_lines_now_and_then(capsys):
    told = Progress("tag", 300, "characters", every=1000, say=progress.say_on_stderr)
    for _ in range(3):
        told.add(100)
    said = capsys.readouterr().err
    assert re.fullmatch(r"tag 300/300 characters, [\d,.]+ a second, 0 s left\n", said)


# ---- in the run folder


def eventually(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def read(folder):
    return read_status(json.loads((folder / "status.json").read_text(encoding="utf-8")), "status")


def test_the_status_follows_steps_and_progress_and_beats_without_them(tmp_path):
    with reporting(tmp_path, "pipeline", every=0.05):
        assert eventually(lambda: (tmp_path / "status.json").exists())
        at_step(2, 5, "score")
        Progress("score", 10, "sentences", every=1000).add(4)
        assert eventually(lambda: read(tmp_path).done == 4)
        now = read(tmp_path)
        assert (now.job, now.state, now.step, now.steps, now.name) == ("pipeline", "running", 2, 5, "score")
        assert (now.doing, now.total, now.unit) == ("score", 10, "sentences")
        assert now.left == pytest.approx(6 / now.rate)
        assert eventually(lambda: read(tmp_path).updated > now.updated)
        at_step(3, 5, "tune_fusion")
        assert eventually(lambda: read(tmp_path).name == "tune_fusion")
        assert read(tmp_path).total == 0
    assert read(tmp_path).state == "done"
    ended = (tmp_path / "status.json").read_bytes()
    at_step(4, 5, "later")  # of nobody's job
    time.sleep(0.2)
    assert (tmp_path / "status.json").read_bytes() == ended
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_job_goes_on_where_no_status_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with reporting(tmp_path / "file", "job", every=0.05):
        at_step(1, 1, "step")
        time.sleep(0.2)
    assert (tmp_path / "file").read_text() == ""
