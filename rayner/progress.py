"""How a running job tells how far it is: to its log, to a terminal, and in the run folder (`rayner.status`).

A process has one board at most, that of the job it runs; elsewhere, as in a worker, there is none and telling it
anything does nothing.
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
from rayner.run import write_json
from rayner.status import NAME, Status, bar, counted, pace
from rayner.storage import Place

log = logging.getLogger("rayner")
_LOCAL, _AWAY = 5.0, 30.0  # seconds between two updates in a local folder, and on an object store
_REDRAWN = 0.2  # seconds between two drawings of a bar
_ERASE = "\r\x1b[K"  # to the line's beginning, and nothing right of it


class Board:
    """The status of a job, kept current in its run folder by a thread of its own, with a beat each few seconds."""

    def __init__(self, folder: Place, job: str, every: float | None = None) -> None:
        self.path = folder / NAME
        every = every or (_LOCAL if isinstance(folder, Path) else _AWAY)
        now = time.time()
        self.status = Status(job, socket.gethostname(), os.getpid(), now, now, every, name=job)
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
        try:
            write_json(self.path, dataclasses.asdict(replace(self.status, updated=time.time())))
        except Exception as error:  # whatever the storage has: no job ends for want of a status
            log.debug("%s: %s", self.path, error)


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


class Progress:
    """done/total, rate and time left: as a bar on a terminal, else as lines, at most one each few seconds.

    say: takes the lines; by default the log.
    """

    def __init__(
        self, what: str, total: int, unit: str, every: float = 5.0, say: Callable[[str], None] | None = None
    ) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.say = say or (lambda line: log.info("%s", line))
        self.done = 0
        self.begun = self.last = time.time()
        self.drawn = 0.0

    def add(self, amount: int) -> None:
        """Say that so much more is done."""
        self.done += amount
        now = time.time()
        rate, left = pace(self.done, self.total, now - self.begun)
        told = (self.what, self.done, self.total, self.unit, rate, left)
        if _board:
            names = ("doing", "done", "total", "unit", "rate", "left")
            _board.status = replace(_board.status, **dict(zip(names, told, strict=True)))  # type: ignore[arg-type]
        ended, live = self.done >= self.total, _live()
        if live and not ended and now - self.drawn >= _REDRAWN:
            self.drawn = now
            _draw(bar(*told, shutil.get_terminal_size().columns))
        if ended or (now - self.last >= self.every and not (live and sys.stdout.isatty())):
            self.last = now
            clear()
            self.say(counted(*told))


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
