"""Actors that hang, really stopped: their processes are killed, their units tried again, and nothing shows it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import ray
import ray.cloudpickle
from hypothesis import given
from hypothesis import strategies as st

from rayner.cluster.stalls import (
    LOADING,
    LOADING_FACTOR,
    ProgressReporter,
    Report,
    SilenceMeter,
    WatchedProcess,
    kill_process,
    watch_for_stalls,
)
from rayner.config.corpus_settings import CorpusConfig
from rayner.runs.heartbeat import beat, pass_beats_on
from rayner.runs.process_identity import process_start
from rayner.runs.progress import log
from rayner.steps.tag import actors
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import PLAIN_TEXT, with_settings
from tests.waiting import eventually

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
ONE, TWO = WatchedProcess("node", "host", 1, "ticks 1"), WatchedProcess("node", "host", 1, "ticks 2")


def stalled(meter, seconds, reports, step=1.0):
    """The processes that stall while the same reports are read for some seconds, and when."""
    found, now = {}, 0.0
    while now <= seconds:
        for stall in meter.update(reports, now):
            found.setdefault(stall.process, now)
        now += step
    return found


def test_a_process_without_reports_stalls_and_one_with_reports_does_not():
    meter, found = SilenceMeter(10, 2), []
    for now in range(100):
        found += meter.update({ONE: Report("unit-000001", 3), TWO: Report("unit-000002", now)}, now)
    assert {stall.process for stall in found} == {ONE}
    assert found[0].work == "unit-000001"
    assert found[0].seconds == 10


@pytest.mark.parametrize(("work", "limit"), [("unit-000000", 10), ("", 10), (LOADING, 10 * LOADING_FACTOR)])
def test_loading_may_take_longer_than_work_and_waiting(work, limit):
    assert stalled(SilenceMeter(10, 2), limit - 1, {ONE: Report(work, 1)}) == {}
    assert stalled(SilenceMeter(10, 2), limit, {ONE: Report(work, 1)}) == {ONE: limit}


def test_a_watcher_that_was_suspended_kills_nobody():
    meter = SilenceMeter(10, 2)
    assert meter.update({ONE: Report("unit-000000", 1)}, 0) == []
    assert meter.update({ONE: Report("unit-000000", 1)}, 1_000_000) == []
    assert meter.update({ONE: Report("unit-000000", 1)}, 999_999) == []  # nor does a clock that goes back
    assert meter.update({ONE: Report("unit-000000", 2)}, 2_000_000) == []


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60))
def test_only_silence_while_the_watcher_looked_counts(steps):
    meter, now, n, silence = SilenceMeter(10, 2), 0.0, 0, 0.0
    meter.update({ONE: Report("unit", n)}, now)
    for step, has_reported in steps:
        now, n = now + step, n + has_reported
        silence = 0.0 if has_reported else silence + min(step, 2)
        assert bool(meter.update({ONE: Report("unit", n)}, now)) == (silence >= 10) or abs(silence - 10) < 1e-6


def test_beats_do_nothing_until_somebody_wants_them():
    beats = []
    beat()
    pass_beats_on(lambda n_texts, n_chars: beats.append((n_texts, n_chars)))
    try:
        beat()
        beat(2, 30)
    finally:
        pass_beats_on(None)
    beat()
    assert beats == [(0, 0), (2, 30)]


def test_only_the_very_process_is_killed_and_a_stopped_one_too():
    with subprocess.Popen(["sleep", "600"]) as process:
        os.kill(process.pid, signal.SIGSTOP)
        start = process_start(process.pid)
        assert not kill_process(WatchedProcess("", "", process.pid, "ticks 1"))
        assert process.poll() is None
        assert kill_process(WatchedProcess("", "", process.pid, start))
        assert process.wait(20) == -signal.SIGKILL
        assert not kill_process(WatchedProcess("", "", process.pid, start))


class Worker:
    """An actor that reports as a predictor does."""

    def __init__(self, watch):
        self.reporter = ProgressReporter(watch)
        self.reporter.begin("")

    def work(self, seconds):
        self.reporter.begin("unit-000007")
        for _ in range(int(seconds / 0.1)):
            time.sleep(0.1)
            beat()
        self.reporter.begin("")

    def answer(self, n_texts):
        self.reporter.begin("unit-000007")
        for _ in range(n_texts):
            time.sleep(0.2)
            beat(1, 10)

    def stop(self, work):
        self.reporter.begin(work)
        os.kill(os.getpid(), signal.SIGSTOP)


def wait_for_death(worker, call):
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(call, timeout=400)
    del worker


@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.parametrize(
    ("work", "told"), [("unit-000007", "unit-000007: an actor"), ("", "while it waited for work: an actor")]
)
def test_a_stopped_process_is_killed_whether_it_worked_or_waited(local_ray, caplog, monkeypatch, work, told):
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    with watch_for_stalls(0.1) as watch:
        worker = ray.remote(Worker).options(num_cpus=0, max_restarts=0).remote(watch)
        wait_for_death(worker, worker.stop.remote(work))
        time.sleep(2)
    [line] = [record.getMessage() for record in caplog.records if "made no progress" in record.getMessage()]
    assert line.startswith(told)
    assert "made no progress for 0.1" in line


def is_dead(mailbox):
    try:
        ray.get(mailbox.read.remote(), timeout=60)
    except ray.exceptions.RayActorError:
        return True
    return False


@pytest.mark.slow
def test_the_next_watch_has_the_same_mailbox_without_its_reports_or_another_if_it_is_gone(local_ray):
    with watch_for_stalls(1) as first, watch_for_stalls(1) as beside:
        assert first.mailbox != beside.mailbox
        gone = WatchedProcess("", "", 1, "")
        for watch in (first, beside):
            ray.get(watch.mailbox.put.remote(watch.watch_id, gone, "unit-000007"))
    with watch_for_stalls(1) as second:
        assert second.mailbox in (first.mailbox, beside.mailbox)
        for watch in (first, beside):  # actors of an earlier watch may still report
            ray.get(watch.mailbox.put.remote(watch.watch_id, gone, "unit-000007"))
        assert ray.get(second.mailbox.read.remote()) == {}
        for watch in (first, beside):
            ray.kill(watch.mailbox)  # takes effect later, and until then it would be taken again
            assert eventually(lambda mailbox=watch.mailbox: is_dead(mailbox), 60)
    with watch_for_stalls(1) as third:
        assert third.mailbox not in (first.mailbox, beside.mailbox)
        assert ray.get(third.mailbox.read.remote()) == {}


@pytest.mark.slow
@pytest.mark.drill
def test_a_process_that_beats_or_waits_is_left_alone(local_ray):
    with watch_for_stalls(0.2) as watch:
        worker = ray.remote(Worker).options(num_cpus=0, max_restarts=0).remote(watch)
        ray.get(worker.work.remote(30), timeout=100)
        time.sleep(20)
        ray.get(worker.work.remote(1), timeout=100)


@pytest.mark.slow
def test_the_driver_sees_how_many_texts_are_answered_in_units_that_are_not_finished(local_ray):
    told = []
    with watch_for_stalls(0.1, lambda *counts: told.append(counts)) as watch:
        worker = ray.remote(Worker).options(num_cpus=0, max_restarts=0).remote(watch)
        ray.get(worker.answer.remote(20), timeout=100)
        assert eventually(lambda: told and told[-1][0] > 10)
        ray.get(worker.work.remote(0), timeout=100)  # the unit is finished
        assert eventually(lambda: told[-1] == (0, 0))
    assert all(n_chars == 10 * n_texts for n_texts, n_chars in told)


class StoppedOnceTagger:
    """A tagger whose process stops in the middle of a unit, the first time."""

    def __init__(self, tagger, marker):
        self.tagger, self.marker = tagger, marker

    def predict(self, texts):
        predictions = self.tagger.predict(texts)
        if any("鴆" in text for text in texts):
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return predictions
            os.kill(os.getpid(), signal.SIGSTOP)
        return predictions


class StoppedOnce(actors.UnitPredictor):
    """Prediction with this tagger."""

    def __init__(self, job):
        super().__init__(job)
        self.slm.tagger = StoppedOnceTagger(self.slm.tagger, os.path.join(os.path.dirname(job.config.out), "stopped"))


def table_bytes(out):
    files = sorted(path for table in ("documents", "entities", "segments", "units") for path in (out / table).iterdir())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.drill
def test_a_job_whose_actor_stops_ends_by_itself_with_the_same_bytes(run, config, tmp_path, monkeypatch, caplog):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for i, text in enumerate([PLAIN_TEXT * 4, "鴆殺其使。" + "楚王曰秦" * 120, "使者歸告。"]):
        (corpus / f"{i}.txt").write_text(text, encoding="utf-8")
    # The long sentence is cut, within a unit and between units.
    config = with_settings(with_settings(config, "score", unit_chars=200), "tag", max_segment_chars=60)
    config = replace(config, corpus=CorpusConfig(str(corpus)))
    tag_corpus(replace(config, out=str(tmp_path / "undisturbed")), run)
    monkeypatch.setattr(actors, "UnitPredictor", StoppedOnce)
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    stopped = replace(config, out=str(tmp_path / "out"))
    tag_corpus(with_settings(stopped, "tag", stall_minutes=0.25), run)
    assert (tmp_path / "stopped").exists()
    told = [record.getMessage() for record in caplog.records if "made no progress" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("unit-00000")
    undisturbed = table_bytes(tmp_path / "undisturbed")
    assert len(undisturbed) >= 4 * 3
    assert table_bytes(tmp_path / "out") == undisturbed
    rows = [key for key in undisturbed if key.startswith("segments")]
    assert all(a < b for a, b in pairwise(rows))
