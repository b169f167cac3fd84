"""Show the progress of a running job in its log, on a terminal, and in `status.json` of its run folder.

A process has at most one `StatusWriter`, which writes the status of the job that the process runs. Without a
`StatusWriter`, recording a step does nothing. A worker in another process writes its progress into a file
(`progress_file_writer`). The job reads and shows that file (`watch_progress_file`).
"""

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rayner.errors import RaynerError, TooManySetAsideError
from rayner.runs.error_messages import first_line
from rayner.runs.json_files import read_json
from rayner.runs.status import (
    StepProgress,
    format_progress,
    format_progress_bar,
    rate_and_seconds_left,
    status_from_json,
)
from rayner.runs.status_writing import StatusWriter, choose_update_seconds, new_status, try_write_status
from rayner.runs.storage import StoragePath, remove_file

log = logging.getLogger("rayner")
_REDRAW_SECONDS = 0.2  # between two drawings of a bar
_ERASE_LINE = "\r\x1b[K"


_status_writer: StatusWriter | None = None


@contextmanager
def write_status_while_running(folder: StoragePath, job: str, update_seconds: float | None = None) -> Iterator[None]:
    """Keep `folder/status.json` current while the block runs, then write there how the block ended."""
    global _status_writer
    _status_writer = writer = StatusWriter(folder, job, update_seconds)
    try:
        yield
    except BaseException as error:
        writer.close(*_final_state_and_message(error))
        raise
    else:
        writer.close("done")
    finally:
        _status_writer = None
        erase_bar()


def _final_state_and_message(error: BaseException) -> tuple[str, str]:
    """Return the final state of a job that an exception ended, and one line with the reason."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "stopped", ""
    message = first_line(error)
    if isinstance(error, RaynerError):
        return ("done" if isinstance(error, TooManySetAsideError) else "failed"), message
    return "failed", f"{type(error).__name__}: {message}"


def record_interruption() -> None:
    """Write that the job has stopped. For a process that ends without leaving `write_status_while_running`."""
    if _status_writer:
        try_write_status(_status_writer.path, replace(_status_writer.status, state="stopped"))


def record_step_start(number: int, n_steps: int, name: str) -> None:
    """Record that a step of the job has started.

    number: the number of the step, counted from 1.
    """
    if _status_writer:
        _status_writer.status = _status_writer.status.with_step(number, n_steps, name)


ProgressCallback = Callable[[StepProgress], None]


def _log_line(line: str) -> None:
    log.info("%s", line)


def ignore_progress(progress: StepProgress) -> None:
    """Ignore the progress of a step."""


def progress_display(print_line: Callable[[str], None] | None = None, log_seconds: float = 5.0) -> ProgressCallback:
    """Return a callback that shows progress in the job's status and to the user.

    On a terminal the callback draws a bar. Elsewhere it prints at most one line every `log_seconds` seconds. The
    first progress (`Progress.show_start`), and the last line, when all units are done, are printed in any case.

    print_line: prints a line; by default into the log.
    """
    print_line = print_line or _log_line
    last_printed, last_drawn, has_started = time.time(), 0.0, False

    def show(progress: StepProgress) -> None:
        nonlocal last_printed, last_drawn, has_started
        if _status_writer:
            _status_writer.status = _status_writer.status.with_progress(progress)
        now, is_complete, has_terminal = time.time(), progress.done >= progress.total, _stderr_is_terminal()
        if has_terminal and not is_complete and now - last_drawn >= _REDRAW_SECONDS:
            last_drawn = now
            _draw_bar(format_progress_bar(progress, shutil.get_terminal_size().columns))
        bar_suffices = has_terminal and sys.stdout.isatty()
        is_start, has_started = progress.rate == 0 and not has_started, True
        if is_complete or ((is_start or now - last_printed >= log_seconds) and not bar_suffices):
            last_printed = now
            erase_bar()
            print_line(format_progress(progress))

    return show


def progress_file_writer(path: StoragePath, update_seconds: float | None = None) -> ProgressCallback:
    """Return a callback that writes progress to a file.

    The callback writes the first and the last progress, and between them one every few seconds.
    """
    last_written, status = 0.0, new_status("", update_seconds or choose_update_seconds(path))

    def write(progress: StepProgress) -> None:
        nonlocal last_written
        now = time.time()
        if now - last_written >= status.every or progress.done >= progress.total:
            last_written = now
            try_write_status(path, status.with_progress(progress))

    return write


@contextmanager
def watch_progress_file(
    path: StoragePath, callback: ProgressCallback | None = None, update_seconds: float | None = None
) -> Iterator[None]:
    """While the block runs, read the progress that another process writes to a file, and pass it to a callback.

    A file that exists before the block is removed. When the block ends, even by an error, the last progress is passed
    on too.

    callback: receives the progress; by default `progress_display`.
    """
    callback, stopped = callback or progress_display(), threading.Event()
    last: StepProgress | None = None

    def pass_on_news() -> None:
        nonlocal last
        try:
            progress = status_from_json(read_json(path), str(path)).current_progress
        except Exception as error:  # the file does not exist yet, or the storage cannot be reached
            log.debug("%s: %s", path, error)
            return
        if progress != last:
            last = progress
            callback(progress)

    def pass_on_until_stopped() -> None:
        while not stopped.wait(update_seconds or choose_update_seconds(path)):
            pass_on_news()
        pass_on_news()

    remove_file(path)
    thread = threading.Thread(target=pass_on_until_stopped, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Progress:
    """Counts the units that this process has done, and passes the count, the rate and the time left to a callback.

    Other threads may report units in progress meanwhile.

    task: the name of the task, such as `tag`.
    total: the number of units, including those of earlier processes.
    unit: the name of the units in the plural, such as `characters`.
    callback: receives the progress; by default `progress_display`.
    done_before: units that an earlier process did. They count as done, but the rate leaves them out.
    """

    def __init__(
        self, task: str, total: int, unit: str, callback: ProgressCallback | None = None, done_before: int = 0
    ) -> None:
        self.task, self.total, self.unit = task, total, unit
        self.callback = callback or progress_display()
        self.done = self.done_before = self._shown = done_before
        self.start_time = time.time()
        self._lock, self._note = threading.Lock(), ""

    def show_start(self, note: str = "") -> None:
        """Show the task before anything is done, because its first unit may take minutes. note: see `advance`."""
        self._note = note
        self.callback(StepProgress(self.task, self.done, self.total, self.unit, 0.0, 0.0, note))

    def advance(self, amount: int, note: str = "") -> None:
        """Count more units as done.

        amount: the number of units done since the last call.
        note: further text to print, such as the loss.
        """
        with self._lock:
            self.done += amount
            self._show(self.done, note)

    def show_unfinished(self, amount: int) -> None:
        """Show, for now, that a part of the units in progress is done too, unless more has been shown.

        amount: the part that is done. Once its units are complete, they are counted by `advance`.
        """
        with self._lock:
            shown = min(self.done + amount, self.total - 1)
            if shown > self._shown:
                self._show(shown, self._note)

    def _show(self, shown: int, note: str) -> None:
        self._shown = max(shown, self._shown)
        done, total = self._shown - self.done_before, self.total - self.done_before
        rate, left = rate_and_seconds_left(done, total, time.time() - self.start_time)
        self.callback(StepProgress(self.task, self._shown, self.total, self.unit, rate, left, note))


def print_to_stderr(line: str) -> None:
    """Print a line of progress to the standard error, because a command prints its result to the standard output."""
    print(line, file=sys.stderr, flush=True)


def rate_limited(print_line: Callable[[str], None], min_seconds: float = 5.0) -> Callable[[str], None]:
    """Return a function that prints a line only if `min_seconds` have passed since the last line.

    Use it for tasks whose total is unknown. For the first line, the time since this call counts.
    """
    last_printed = time.monotonic()

    def print_if_due(line: str) -> None:
        nonlocal last_printed
        if time.monotonic() - last_printed >= min_seconds:
            last_printed = time.monotonic()
            print_line(line)

    return print_if_due


# ---- the terminal

_bar_is_shown = False  # whether the last line of the terminal is a progress bar


def erase_bar(record: object = None) -> bool:
    """Erase the progress bar, if there is one, so that a line can be printed.

    Returns True, so that the function can be used as a logging filter.
    """
    global _bar_is_shown
    if _bar_is_shown:
        _bar_is_shown = False
        sys.stderr.write(_ERASE_LINE)
        sys.stderr.flush()
    return True


def _stderr_is_terminal() -> bool:
    """Return whether the standard error is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _draw_bar(line: str) -> None:
    global _bar_is_shown
    _bar_is_shown = True
    sys.stderr.write(_ERASE_LINE + line)
    sys.stderr.flush()
