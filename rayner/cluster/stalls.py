"""Show the progress of actors, find those that make none, and kill their processes.

Ray notices an actor that dies, but not one that hangs. So each actor reports its progress to a small actor, the
mailbox. A thread of the driver reads the mailbox. If a process has not reported for too long, a task on its node kills
it. Ray then starts the actor again. The reports also say how far the actors are in their units.

Only the time counts in which the driver read the mailbox regularly. So a driver that was suspended kills nobody.
"""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayner.runs.heartbeat import pass_beats_on
from rayner.runs.process_identity import is_running, process_start
from rayner.runs.progress import log

LOADING = "loading"  # the work of an actor that loads its models
LOADING_FACTOR = 10  # loading shows no progress until its end, so it may take so many times as long
_MAX_POLL_SECONDS = 5.0  # for the progress that users see
_MAX_READ_SECONDS = 15.0  # for an answer of the mailbox; twice this time of silence counts at once
_MAX_SEND_SECONDS = 5.0
_KILL_TIMEOUT_SECONDS = 120.0
# Mailboxes that wait for the next watch, by the Ray job of this process. A process takes a second to start.
_IDLE_MAILBOXES: dict[tuple[str, str], list[Any]] = {}


@dataclass(frozen=True)
class WatchedProcess:
    """The process of an actor. start: tells it from other processes of its pid (`process_start`)."""

    node_id: str
    host: str
    pid: int
    start: str


@dataclass(frozen=True)
class Report:
    """The last report of a process.

    work: the unit that it works on, `LOADING`, or "" while it waits for work.
    n_reports: how often it has reported.
    n_texts: the number of texts of its unit that the LLM has answered.
    n_chars: their characters.
    """

    work: str
    n_reports: int
    n_texts: int = 0
    n_chars: int = 0


@dataclass(frozen=True)
class Stall:
    """A process that has not reported for too long. seconds: how long."""

    process: WatchedProcess
    work: str
    seconds: float


class SilenceMeter:
    """Measures for how long each process has not reported.

    stall_seconds: the silence after which a process counts as stalled.
    max_step_seconds: the longest time between two updates that counts. A longer time means that the watcher itself was
        suspended.
    """

    def __init__(self, stall_seconds: float, max_step_seconds: float) -> None:
        self.stall_seconds, self.max_step_seconds = stall_seconds, max_step_seconds
        self._last_update: float | None = None
        self._last_reports: dict[WatchedProcess, Report] = {}
        self._silence: dict[WatchedProcess, float] = {}

    def update(self, reports: Mapping[WatchedProcess, Report], now: float) -> list[Stall]:
        """Take the last report of each process, and return the processes that are stalled.

        now: a monotonic clock, in seconds.
        """
        step = 0.0 if self._last_update is None else min(max(0.0, now - self._last_update), self.max_step_seconds)
        for process, report in reports.items():
            is_silent = self._last_reports.get(process) == report
            self._silence[process] = self._silence[process] + step if is_silent else 0.0
        self._last_update, self._last_reports = now, dict(reports)
        return [
            Stall(process, report.work, self._silence[process])
            for process, report in reports.items()
            if self._silence[process] >= self.stall_seconds * (LOADING_FACTOR if report.work == LOADING else 1)
        ]


class Mailbox:
    """The content of the mailbox actor: the last report of each process."""

    def __init__(self) -> None:
        self._reports: dict[WatchedProcess, Report] = {}
        self._watch_id: str | None = None

    def begin(self, watch_id: str) -> None:
        """Begin a watch: remove all processes, and take only reports of this watch.

        A mailbox that Ray had to start again does not know its watch. It takes all reports.
        """
        self._reports.clear()
        self._watch_id = watch_id

    def put(self, watch_id: str, process: WatchedProcess, work: str, n_texts: int = 0, n_chars: int = 0) -> None:
        """Take a report of a process, unless it belongs to an earlier watch. The arguments are those of `Report`."""
        if self._watch_id not in (None, watch_id):
            return
        previous = self._reports.get(process)
        self._reports[process] = Report(work, previous.n_reports + 1 if previous else 1, n_texts, n_chars)

    def read(self) -> dict[WatchedProcess, Report]:
        """Return the last report of each process."""
        return self._reports

    def forget(self, process: WatchedProcess) -> None:
        """Remove a process that is dead."""
        self._reports.pop(process, None)


@dataclass(frozen=True)
class Watch:
    """What an actor needs to report its progress.

    mailbox: the handle of the mailbox actor.
    watch_id: tells the watch from others that use the same mailbox before or after it.
    send_seconds: the time between two reports.
    """

    mailbox: Any
    watch_id: str
    send_seconds: float


class ProgressReporter:
    """Reports the progress of this process: its beats while it works, and that it is alive while it waits for work."""

    def __init__(self, watch: Watch) -> None:
        node_id, pid = ray.get_runtime_context().get_node_id(), os.getpid()
        self._process = WatchedProcess(node_id, socket.gethostname(), pid, process_start(pid) or "")
        self._watch, self._work, self._last_sent = watch, LOADING, 0.0
        self._n_texts = self._n_chars = 0
        self.begin(LOADING)
        pass_beats_on(self._count_and_send_if_due)
        threading.Thread(target=self._report_while_waiting, daemon=True).start()

    def begin(self, work: str) -> None:
        """Report that the process begins a unit, or waits for work if `work` is empty."""
        self._work, self._n_texts, self._n_chars = work, 0, 0
        self._send()

    def _count_and_send_if_due(self, n_texts: int, n_chars: int) -> None:
        self._n_texts += n_texts
        self._n_chars += n_chars
        if time.monotonic() - self._last_sent >= self._watch.send_seconds:
            self._send()

    def _send(self) -> None:
        self._last_sent = time.monotonic()
        watch = self._watch
        watch.mailbox.put.remote(watch.watch_id, self._process, self._work, self._n_texts, self._n_chars)

    def _report_while_waiting(self) -> None:
        while True:
            time.sleep(self._watch.send_seconds)
            if not self._work:
                self._send()


ReportsCallback = Callable[[int, int], None]


@contextmanager
def watch_for_stalls(stall_minutes: float, on_reports: ReportsCallback | None = None) -> Iterator[Watch]:
    """Kill the processes that use the watch and make no progress for `stall_minutes`, while the block runs.

    on_reports: called every few seconds, in a thread, with the number of texts that the LLM has answered in units that
        are not finished, and with their characters.
    """
    stall_seconds = 60 * stall_minutes
    poll_seconds = min(_MAX_POLL_SECONDS, stall_seconds / 6)
    context = ray.get_runtime_context()
    idle_mailboxes = _IDLE_MAILBOXES.setdefault((context.get_job_id(), context.get_node_id()), [])
    watch_id = uuid.uuid4().hex
    mailbox = _take_mailbox(idle_mailboxes, watch_id)
    stop = threading.Event()
    arguments = (mailbox, stall_seconds, poll_seconds, stop, on_reports)
    thread = threading.Thread(target=_read_reports_and_kill_stalled, args=arguments, daemon=True)
    thread.start()
    try:
        yield Watch(mailbox, watch_id, min(_MAX_SEND_SECONDS, stall_seconds / 6))
    finally:
        stop.set()
        thread.join(timeout=poll_seconds)
        idle_mailboxes.append(mailbox)


def _take_mailbox(idle_mailboxes: list[Any], watch_id: str) -> Any:  # noqa: ANN401 - an actor's handle
    """Return a mailbox that began the watch: an idle one that still runs, or a new one."""
    while idle_mailboxes:
        idle = idle_mailboxes.pop()
        with suppress(RayError):
            ray.get(idle.begin.remote(watch_id), timeout=_MAX_POLL_SECONDS)
            return idle
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
    mailbox.begin.remote(watch_id)
    return mailbox


def _read_reports_and_kill_stalled(
    mailbox: Any,  # noqa: ANN401 - an actor's handle
    stall_seconds: float,
    poll_seconds: float,
    stop: threading.Event,
    on_reports: ReportsCallback | None,
) -> None:
    read_seconds = min(_MAX_READ_SECONDS, stall_seconds / 6)
    meter = SilenceMeter(stall_seconds, 2 * read_seconds)
    while not stop.wait(poll_seconds):
        try:
            reports: dict[WatchedProcess, Report] = ray.get(mailbox.read.remote(), timeout=read_seconds)
            if on_reports is not None and not stop.is_set():
                on_reports(
                    sum(each.n_texts for each in reports.values()), sum(each.n_chars for each in reports.values())
                )
        except RayError as error:  # the mailbox is being started again
            log.debug("cannot watch for stalls: %s", error)
            continue
        for stall in meter.update(reports, time.monotonic()):
            try:
                _kill_and_log(stall)
            except RayError as error:  # a node is lost, which Ray handles itself
                log.debug("cannot kill process %d on %s: %s", stall.process.pid, stall.process.host, error)
            else:
                mailbox.forget.remote(stall.process)


def _kill_and_log(stall: Stall) -> None:
    process = stall.process
    there = NodeAffinitySchedulingStrategy(process.node_id, soft=False)
    kill: Any = ray.remote(kill_process).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    if ray.get(kill.remote(process), timeout=_KILL_TIMEOUT_SECONDS):
        place = {"": "while it waited for work", LOADING: "while it loaded the models"}.get(stall.work, stall.work)
        log.warning(
            "%s: an actor (process %d on %s) made no progress for %.3g minutes (tag.stall_minutes): it was killed and "
            "is started again", place, process.pid, process.host, stall.seconds / 60,
        )  # fmt: skip


def kill_process(process: WatchedProcess) -> bool:
    """Kill a process of this machine, even a stopped one. Return False if it had ended before."""
    if not is_running(process.pid, process.start):
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    return True
