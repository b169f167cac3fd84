"""How a running job tells how far it is: to its log, to a terminal, and in the run folder (`rayner.runs.status`).

A process has one board at most, that of the job it runs; elsewhere there is none and telling it anything does nothing.
A worker tells into a file instead (`progress_file_writer`), which the job follows (`mirror_progress_file`).
"""

import dataclasses
import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rayner.errors import RaynerError, TooManySetAsideError
from rayner.runs.run_folder import read_json, write_json
from rayner.runs.status import (
    STATUS_FILE,
    JobStatus,
    StepProgress,
    format_progress,
    format_progress_bar,
    rate_and_seconds_left,
    status_from_json,
)
from rayner.runs.storage import StoragePath, remove_file

log = logging.getLogger("rayner")
_LOCAL, _AWAY = 5.0, 30.0  # seconds between two updates in a local folder, and on an object store
_REDRAWN = 0.2  # seconds between two drawings of a bar
_ERASE = "\r\x1b[K"  # to the line's beginning, and nothing right of it


class StatusWriter:
    """The status of a job, kept current in its run folder by a thread of its own, with a beat each few seconds."""

    def __init__(self, folder: StoragePath, job: str, every: float | None = None) -> None:
        self.path = folder / STATUS_FILE
        self.status = _new_status(job, every or _update_seconds(folder))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self, state: str, error: str = "") -> None:
        """Say how the job ended, and no more after that."""
        self._stop.set()
        self._thread.join()
        self.status = replace(self.status, state=state, error=error)
        self._write()

    def _keep(self) -> None:
        self._write()
        while not self._stop.wait(self.status.every):
            self._write()

    def _write(self) -> None:
        _write_status(self.path, self.status)


def _new_status(job: str, every: float) -> JobStatus:
    now = time.time()
    return JobStatus(job, socket.gethostname(), os.getpid(), now, now, every, name=job)


def _update_seconds(place: StoragePath) -> float:
    return _LOCAL if isinstance(place, Path) else _AWAY


def _write_status(path: StoragePath, status: JobStatus) -> None:
    try:
        write_json(path, dataclasses.asdict(replace(status, updated=time.time())))
    except Exception as error:  # whatever the storage has: no job ends for want of a status
        log.debug("%s: %s", path, error)


_board: StatusWriter | None = None


@contextmanager
def write_status_while_running(folder: StoragePath, job: str, update_seconds: float | None = None) -> Iterator[None]:
    """Keep `folder/status.json` while the block runs, and say there how it ended."""
    global _board
    _board = board = StatusWriter(folder, job, update_seconds)
    try:
        yield
    except BaseException as error:
        board.close(*_final_state(error))
        raise
    else:
        board.close("done")
    finally:
        _board = None
        erase_bar()


def _final_state(error: BaseException) -> tuple[str, str]:
    """State and one line for what ended a job."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "stopped", ""
    first = str(error).partition("\n")[0]
    if isinstance(error, RaynerError):
        return ("done" if isinstance(error, TooManySetAsideError) else "failed"), first
    return "failed", f"{type(error).__name__}: {first}"


def record_step_start(number: int, n_steps: int, name: str) -> None:
    """Say that a step begins, the so manieth of all."""
    if _board:
        _board.status = _board.status.with_step(number, n_steps, name)


ProgressCallback = Callable[[StepProgress], None]


def _log_line(line: str) -> None:
    log.info("%s", line)


def ignore_progress(count: StepProgress) -> None:
    """Tells nobody."""


def progress_display(print_line: Callable[[str], None] | None = None, log_seconds: float = 5.0) -> ProgressCallback:
    """Tells the board; and people, by a bar on a terminal, else by lines, at most one each few seconds.

    say: takes the lines; by default the log.
    """
    print_line = print_line or _log_line
    said, drawn = time.time(), 0.0

    def tell(count: StepProgress) -> None:
        nonlocal said, drawn
        if _board:
            _board.status = _board.status.with_progress(count)
        now, ended, live = time.time(), count.done >= count.total, _stderr_is_terminal()
        if live and not ended and now - drawn >= _REDRAWN:
            drawn = now
            _draw_bar(format_progress_bar(count, shutil.get_terminal_size().columns))
        if ended or (now - said >= log_seconds and not (live and sys.stdout.isatty())):
            said = now
            erase_bar()
            print_line(format_progress(count))

    return tell


def progress_file_writer(path: StoragePath, every: float | None = None) -> ProgressCallback:
    """Tells a file, at once, then at most each few seconds, and at the end."""
    written, status = 0.0, _new_status("", every or _update_seconds(path))

    def tell(count: StepProgress) -> None:
        nonlocal written
        now = time.time()
        if now - written >= status.every or count.done >= count.total:
            written = now
            _write_status(path, status.with_progress(count))

    return tell


@contextmanager
def mirror_progress_file(
    path: StoragePath, tell: ProgressCallback | None = None, every: float | None = None
) -> Iterator[None]:
    """While the block runs, show what another process writes with `progress_file_writer`. Existing content is ignored.

    However the block ends, what was told last is told here too.
    """
    tell, over = tell or progress_display(), threading.Event()
    last: StepProgress | None = None

    def look() -> None:
        nonlocal last
        try:
            count = status_from_json(read_json(path), str(path)).current_progress
        except Exception as error:  # not there yet, or as with _write
            log.debug("%s: %s", path, error)
            return
        if count != last:
            last = count
            tell(count)

    def follow() -> None:
        while not over.wait(every or _update_seconds(path)):
            look()
        look()

    remove_file(path)
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Progress:
    """done/total, rate and time left of what this process does.

    before: what was done already by an earlier process; it counts as done, but not for the rate.
    """

    def __init__(
        self, task: str, total: int, unit: str, callback: ProgressCallback | None = None, done_before: int = 0
    ) -> None:
        self.what, self.total, self.unit = task, total, unit
        self.tell = callback or progress_display()
        self.done = self.before = done_before
        self.begun = time.time()

    def advance(self, amount: int, note: str = "") -> None:
        """Say that so much more is done."""
        self.done += amount
        rate, left = rate_and_seconds_left(self.done - self.before, self.total - self.before, time.time() - self.begun)
        self.tell(StepProgress(self.what, self.done, self.total, self.unit, rate, left, note))


def print_to_stderr(line: str) -> None:
    """For commands, whose output is something else."""
    print(line, file=sys.stderr, flush=True)


def rate_limited(say: Callable[[str], None], every: float = 5.0) -> Callable[[str], None]:
    """Passes a line on if the last was passed on so many seconds ago: where the total is not known."""
    last = time.monotonic()

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            say(line)

    return tell


# ---- the terminal

_shown = False  # whether a bar stands in the terminal's last line


def erase_bar(record: object = None) -> bool:
    """Take the bar away, if there is one, so that a line may be written. Fit to be a filter of a logging handler."""
    global _shown
    if _shown:
        _shown = False
        sys.stderr.write(_ERASE)
        sys.stderr.flush()
    return True


def _stderr_is_terminal() -> bool:
    """Whether the standard error is a terminal that knows what to do with a bar."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _draw_bar(line: str) -> None:
    global _shown
    _shown = True
    sys.stderr.write(_ERASE + line)
    sys.stderr.flush()
