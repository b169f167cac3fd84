"""What a running job says of itself: the record, its lines, the bar on a terminal, and the beat in the run folder."""

import dataclasses
import json
import os
import re
import select
import time
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import DataError
from rayner.runs import progress
from rayner.runs.progress import (
    Progress,
    progress_display,
    progress_file_writer,
    record_step_start,
    watch_progress_file,
    write_status_while_running,
)
from rayner.runs.status import (
    JOB_STATES,
    JobStatus,
    StepProgress,
    format_duration,
    format_progress,
    format_progress_bar,
    format_status,
    rate_and_seconds_left,
    status_from_json,
)
from rayner.runs.storage import remove_file, storage_path
from tests.strategies import at_most
from tests.waiting import eventually

numbers = st.floats(0, 1e9)
counts = st.integers(0, 10**9)
texts = st.text(max_size=20)
statuses = st.builds(
    JobStatus,
    job=texts, host=texts, pid=counts, started=numbers, updated=numbers, every=st.floats(0.1, 60),
    state=st.sampled_from(JOB_STATES), step=st.integers(1, 9), steps=st.integers(1, 9), name=texts, doing=texts,
    done=counts, total=counts, unit=texts, rate=numbers, left=numbers, note=texts, error=texts,
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


# ---- the record


@given(statuses, st.dictionaries(st.text(), st.integers()))
def test_a_record_survives_its_file_and_keys_that_are_new(status, more):
    plain = json.loads(json.dumps({**more, **dataclasses.asdict(status)}))
    assert status_from_json(plain, "f") == status


@given(statuses, st.sampled_from([item.name for item in dataclasses.fields(JobStatus)]), anything)
def test_a_record_with_anything_in_it_is_read_and_rendered_or_refused(status, key, value):
    said = None
    try:
        found = status_from_json({**dataclasses.asdict(status), key: value}, "f")
    except DataError as error:
        said = str(error)
    assert said.startswith(("f: expected ", f"f: {key}: expected ")) if said else format_status(found, "f", 1e9)


@given(statuses, st.text(), numbers)
def test_what_is_rendered_is_few_lines_without_control_characters(status, where, now):
    said = format_status(status, where, now)
    assert 2 <= len(said.split("\n")) <= 4
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)


@given(statuses, numbers)
def test_only_a_job_that_should_run_can_be_silent(status, now):
    silent = status.seconds_unresponsive(now)
    assert (silent > 0) == (status.state == "running" and now - status.updated > 4 * status.every)
    assert ("unresponsive for" in format_status(dataclasses.replace(status, error=""), "r", now)) == (silent > 0)


@given(statuses, st.integers(1, 9), texts)
def test_a_new_step_begins_with_nothing_done(status, step, name):
    now = status.with_step(step, 9, name)
    assert (now.step, now.steps, now.name, now.done, now.total, now.doing) == (step, 9, name, 0, 0, "")
    assert (now.started, now.pid, now.state) == (status.started, status.pid, status.state)


# ---- lines and bars


@given(st.text("abc ", max_size=20), counts, counts, st.integers(1, 300))
def test_a_bar_fits_into_the_terminal_and_says_what_a_line_says(what, done, total, columns):
    rate, left = rate_and_seconds_left(done, total, 3.0)
    count = StepProgress(what, done, total, "units", rate, left)
    drawn, said = format_progress_bar(count, columns), format_progress(count)
    assert len(drawn) < columns
    if columns > len(said) + 10:
        assert drawn.endswith(said)
        full, rest = drawn.count("#"), drawn[: -len(said)].count(".")
        assert full + rest == min(30, columns - len(said) - 4)
        assert (rest == 0) == (done >= total)


@given(counts, counts, numbers)
def test_the_rest_takes_as_long_as_the_rate_says(done, total, seconds):
    rate, left = rate_and_seconds_left(done, total, seconds)
    assert rate >= 0
    assert left >= 0
    if 0 < done < total and seconds > 1:
        assert left == pytest.approx(seconds * (total - done) / done)
        assert format_duration(left)


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
        told = Progress("tag", 4, "characters", progress_display(said.append))
        told.advance(1)
        told.advance(1)  # too soon for another drawing
        told.advance(2)
        drawn = written()
    assert drawn.count("tag 1/4 characters, ") == 1
    assert "tag 2/4" not in drawn
    assert drawn.endswith("\r\x1b[K")  # the bar is gone
    assert len(said) == 1
    assert said[0].startswith("tag 4/4 characters, ")


def test_a_line_of_the_log_takes_the_bar_away_first(monkeypatch):
    with terminal(monkeypatch) as written:
        Progress("tag", 4, "characters").advance(1)
        written()
        assert progress.erase_bar()
        assert progress.erase_bar()
        assert written() == "\r\x1b[K"


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_can_do_nothing_gets_no_bar(monkeypatch, term):
    with terminal(monkeypatch) as written:
        monkeypatch.setenv("TERM", term)
        Progress("tag", 4, "characters", progress_display(progress.print_to_stderr, log_seconds=0)).advance(1)
        drawn = written()
    assert "\x1b" not in drawn
    assert drawn.startswith("tag 1/4 characters")


def test_elsewhere_there_are_plain_lines_now_and_then(capsys):
    told = Progress("tag", 300, "characters", progress_display(progress.print_to_stderr, log_seconds=1000))
    for _ in range(3):
        told.advance(100)
    said = capsys.readouterr().err
    assert re.fullmatch(r"tag 300/300 characters, [\d,.]+ a second, 0 s left\n", said)


def test_a_task_is_shown_before_its_first_unit_is_done():
    said = []
    told = Progress("score", 300, "sentences", progress_display(said.append, log_seconds=1000))
    told.show_start("without an LLM")
    assert said == ["score 0/300 sentences, starting, without an LLM"]
    told.show_start()
    told.advance(300)
    assert len(said) == 2


def test_units_in_progress_count_for_now_and_nothing_is_taken_back():
    told = []
    counts = Progress("score", 10, "sentences", told.append)
    counts.show_start("note")
    counts.show_unfinished(4)
    counts.show_unfinished(3)  # a unit is begun again
    counts.advance(2)
    counts.show_unfinished(1)
    counts.show_unfinished(100)  # a text may have been answered twice
    counts.advance(8)
    assert [each.done for each in told] == [0, 4, 4, 9, 10]
    assert [each.note for each in told] == ["note", "note", "", "note", ""]
    assert told[0].rate == told[0].left == 0
    assert told[1].rate > 0


# ---- in the run folder


def read(folder):
    return status_from_json(json.loads((folder / "status.json").read_text(encoding="utf-8")), "status")


def test_the_status_follows_steps_and_progress_and_beats_without_them(tmp_path):
    with write_status_while_running(tmp_path, "pipeline", update_seconds=0.05):
        assert eventually(lambda: (tmp_path / "status.json").exists())
        record_step_start(2, 5, "score")
        Progress("score", 10, "sentences", progress_display(log_seconds=1000)).advance(4)
        assert eventually(lambda: read(tmp_path).done == 4)
        now = read(tmp_path)
        assert (now.job, now.state, now.step, now.steps, now.name) == ("pipeline", "running", 2, 5, "score")
        assert (now.doing, now.total, now.unit) == ("score", 10, "sentences")
        assert now.left == pytest.approx(6 / now.rate)
        assert eventually(lambda: read(tmp_path).updated > now.updated)
        record_step_start(3, 5, "tune_fusion")
        assert eventually(lambda: read(tmp_path).name == "tune_fusion")
        assert read(tmp_path).total == 0
        Progress("fusion", 7, "rules").show_start()
        assert eventually(lambda: read(tmp_path).doing == "fusion")
        assert (read(tmp_path).done, read(tmp_path).total) == (0, 7)
    assert read(tmp_path).state == "done"
    ended = (tmp_path / "status.json").read_bytes()
    record_step_start(4, 5, "later")  # of nobody's job
    time.sleep(0.2)
    assert (tmp_path / "status.json").read_bytes() == ended
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_job_tells_what_its_worker_tells_and_nothing_of_an_earlier_one(tmp_path):
    (tmp_path / "run" / "train").mkdir(parents=True)
    file = tmp_path / "run" / "train" / "status.json"
    progress_file_writer(file)(StepProgress("SLM", 7, 90, "steps", 1.0, 83.0, "loss 9.9"))
    said = []
    with write_status_while_running(tmp_path / "run", "train_slm", update_seconds=0.02):
        with watch_progress_file(file, progress_display(said.append, log_seconds=0), update_seconds=0.02):
            time.sleep(0.1)
            assert said == []
            worker = Progress("SLM", 90, "steps", progress_file_writer(file, update_seconds=1000), done_before=30)
            worker.start_time -= 10
            worker.advance(20, "loss 0.1234")  # told at once
            assert eventually(lambda: read(tmp_path / "run").done == 50)
            worker.advance(20, "loss 0.1")  # too soon
            time.sleep(0.1)
            assert len(said) == 1
            file.write_text("{")
            time.sleep(0.1)
            worker.advance(20, "loss 0.0999")  # the end
        assert eventually(lambda: read(tmp_path / "run").done == 90)
    assert re.fullmatch(r"SLM 50/90 steps, 2\.0 a second, 20 s left, loss 0\.1234", said[0])
    assert said[1].startswith("SLM 90/90 steps, ")
    assert said[1].endswith(" 0 s left, loss 0.0999")
    assert len(said) == 2


@at_most(50)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([b"", b"{", b"[]", b"\xff", None])), min_size=1),
    st.booleans(),
)
def test_what_a_job_tells_is_what_its_worker_told_in_order_and_the_last_whatever_it_meets(adds, away):
    with TemporaryDirectory() as folder:
        file = storage_path(f"memory:/{folder}" if away else folder) / "status.json"
        write, told, said = progress_file_writer(file, update_seconds=1e-9), [], []
        worker = Progress("SLM", sum(amount for amount, _ in adds), "steps", lambda c: said.append(c) or write(c))
        with watch_progress_file(file, told.append, update_seconds=1e-4):
            for amount, met in adds:
                remove_file(file)
                if met is not None:  # whatever stands there before the worker tells more
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(met)
                worker.advance(amount)
        remove_file(file)
    rest = iter(said)
    assert all(count in rest for count in told)
    assert told[-1] == said[-1]
    assert len(set(told)) == len(told)


def test_a_job_whose_training_fails_tells_first_how_far_it_was(tmp_path):
    file, told = tmp_path / "status.json", []

    def work():
        with watch_progress_file(file, told.append, update_seconds=1000):
            Progress("SLM", 90, "steps", progress_file_writer(file)).advance(7)
            raise DataError("lost")

    with pytest.raises(DataError, match="lost"):
        work()
    assert [count.done for count in told] == [7]


def test_a_worker_goes_on_where_it_cannot_tell(tmp_path):
    (tmp_path / "file").write_text("")
    Progress("SLM", 1, "steps", progress_file_writer(tmp_path / "file" / "status.json")).advance(1)
    assert (tmp_path / "file").read_text() == ""


def test_a_job_goes_on_where_no_status_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with write_status_while_running(tmp_path / "file", "job", update_seconds=0.05):
        record_step_start(1, 1, "step")
        time.sleep(0.2)
    assert (tmp_path / "file").read_text() == ""
