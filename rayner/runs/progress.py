"""How a running job tells how far it is: to its log, to a terminal, and in the run folder (`rayner.runs.status`).

A process has one board at most, that of the job it runs; elsewhere there is none and telling it anything does nothing.
A worker tells into a file instead (`into`), which the job follows (`following`).
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

from rayner.errors import BudgetError, RaynerError
from rayner.runs.run_folder import read_json, write_json
from rayner.runs.status import NAME, Count, Status, bar, counted, pace, read_status
from rayner.runs.storage import Place, remove

log = logging.getLogger("rayner")
_LOCAL, _AWAY = 5.0, 30.0  # seconds between two updates in a local folder, and on an object store
_REDRAWN = 0.2  # seconds between two drawings of a bar
_ERASE = "\r\x1b[K"  # to the line's beginning, and nothing right of it


class Board:
    """The status of a job, kept current in its run folder by a thread of its own, with a beat each few seconds."""

    def __init__(self, folder: Place, job: str, every: float | None = None) -> None:
        self.path = folder / NAME
        self.status = _beginning(job, every or _every(folder))
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
        _write(self.path, self.status)


def _beginning(job: str, every: float) -> Status:
    now = time.time()
    return Status(job, socket.gethostname(), os.getpid(), now, now, every, name=job)


def _every(place: Place) -> float:
    return _LOCAL if isinstance(place, Path) else _AWAY


def _write(path: Place, status: Status) -> None:
    try:
        write_json(path, dataclasses.asdict(replace(status, updated=time.time())))
    except Exception as error:  # whatever the storage has: no job ends for want of a status
        log.debug("%s: %s", path, error)


_board: Board | None = None


@contextmanager
def reporting(folder: Place, job: str, every: float | None = None) -> Iterator[None]:
    """Keep `folder/status.json` while the block runs, and say there how it ended."""
    global _board
    _board = board = Board(folder, job, every)
    try:
        yield
    except BaseException as error:
        board.close(*_ending(error))
        raise
    else:
        board.close("done")
    finally:
        _board = None
        clear()


def _ending(error: BaseException) -> tuple[str, str]:
    """State and one line for what ended a job."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "stopped", ""
    first = str(error).partition("\n")[0]
    if isinstance(error, RaynerError):
        return ("done" if isinstance(error, BudgetError) else "failed"), first
    return "failed", f"{type(error).__name__}: {first}"


def at_step(step: int, steps: int, name: str) -> None:
    """Say that a step begins, the so manieth of all."""
    if _board:
        _board.status = _board.status.at_step(step, steps, name)


Tell = Callable[[Count], None]


def _log(line: str) -> None:
    log.info("%s", line)


def nowhere(count: Count) -> None:
    """Tells nobody."""


def here(say: Callable[[str], None] | None = None, every: float = 5.0) -> Tell:
    """Tells the board; and people, by a bar on a terminal, else by lines, at most one each few seconds.

    say: takes the lines; by default the log.
    """
    say = say or _log
    said, drawn = time.time(), 0.0

    def tell(count: Count) -> None:
        nonlocal said, drawn
        if _board:
            _board.status = _board.status.at(count)
        now, ended, live = time.time(), count.done >= count.total, _live()
        if live and not ended and now - drawn >= _REDRAWN:
            drawn = now
            _draw(bar(count, shutil.get_terminal_size().columns))
        if ended or (now - said >= every and not (live and sys.stdout.isatty())):
            said = now
            clear()
            say(counted(count))

    return tell


def into(path: Place, every: float | None = None) -> Tell:
    """Tells a file, at once, then at most each few seconds, and at the end."""
    written, status = 0.0, _beginning("", every or _every(path))

    def tell(count: Count) -> None:
        nonlocal written
        now = time.time()
        if now - written >= status.every or count.done >= count.total:
            written = now
            _write(path, status.at(count))

    return tell


@contextmanager
def following(path: Place, tell: Tell | None = None, every: float | None = None) -> Iterator[None]:
    """While the block runs, tell here what another process tells `into` the file; what lay there before is no news.

    However the block ends, what was told last is told here too.
    """
    tell, over = tell or here(), threading.Event()
    last: Count | None = None

    def look() -> None:
        nonlocal last
        try:
            count = read_status(read_json(path), str(path)).count
        except Exception as error:  # not there yet, or as with _write
            log.debug("%s: %s", path, error)
            return
        if count != last:
            last = count
            tell(count)

    def follow() -> None:
        while not over.wait(every or _every(path)):
            look()
        look()

    remove(path)
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

    def __init__(self, what: str, total: int, unit: str, tell: Tell | None = None, before: int = 0) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.tell = tell or here()
        self.done = self.before = before
        self.begun = time.time()

    def add(self, amount: int, note: str = "") -> None:
        """Say that so much more is done."""
        self.done += amount
        rate, left = pace(self.done - self.before, self.total - self.before, time.time() - self.begun)
        self.tell(Count(self.what, self.done, self.total, self.unit, rate, left, note))


def say_on_stderr(line: str) -> None:
    """For commands, whose output is something else."""
    print(line, file=sys.stderr, flush=True)


def now_and_then(say: Callable[[str], None], every: float = 5.0) -> Callable[[str], None]:
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


def clear(record: object = None) -> bool:
    """Take the bar away, if there is one, so that a line may be written. Fit to be a filter of a logging handler."""
    global _shown
    if _shown:
        _shown = False
        sys.stderr.write(_ERASE)
        sys.stderr.flush()
    return True


def _live() -> bool:
    """Whether the standard error is a terminal that knows what to do with a bar."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _draw(line: str) -> None:
    global _shown
    _shown = True
    sys.stderr.write(_ERASE + line)
    sys.stderr.flush()
