"""The status of a job: the record in `status.json` of its run folder, and functions that format it for printing."""

import dataclasses
import unicodedata
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rayner.text.json_records import damaged_record_error, describe_json, parse_record

STATUS_FILE = "status.json"
STATUS_REMEDY = "rerun the job, which writes it again"
JOB_STATES = ("running", "done", "failed", "stopped")
_MISSED_UPDATES = 4  # after this many missed updates, a running job counts as unresponsive
_MIN_SECONDS = 1e-9
_MAX_NUMBER = 1e15  # a status with a larger number, such as infinity, is invalid


class StepProgress(NamedTuple):
    """The progress of a step.

    doing: the name of the task, such as `tag`.
    done: the number of units that are done.
    total: the number of all units.
    unit: the name of the units in the plural, such as `characters`.
    rate: units a second.
    left: seconds left.
    note: further text to print, such as the loss.
    """

    doing: str
    done: int
    total: int
    unit: str
    rate: float
    left: float
    note: str = ""


_NO_PROGRESS = StepProgress("", 0, 0, "", 0.0, 0.0)


@dataclass(frozen=True)
class JobStatus:
    """The last status that a job wrote. Times are Unix seconds by the clock of its own machine.

    every: the longest time between two updates, in seconds.
    step: the number of the current step, counted from 1.
    steps: the number of steps.
    name: the name of the current step.
    doing, done, total, unit, rate, left, note: the progress of the current step, as in `StepProgress`. If the step
        counts nothing, total is 0.
    error: the first line of the error that ended the job; empty if there is none.
    """

    job: str
    host: str
    pid: int
    started: float
    updated: float
    every: float
    state: str = "running"
    step: int = 1
    steps: int = 1
    name: str = ""
    doing: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    rate: float = 0.0
    left: float = 0.0
    note: str = ""
    error: str = ""

    def with_step(self, step: int, steps: int, name: str) -> "JobStatus":
        """Return a copy of the status in which this step has just started."""
        return replace(self, step=step, steps=steps, name=name).with_progress(_NO_PROGRESS)

    def with_progress(self, progress: StepProgress) -> "JobStatus":
        """Return a copy of the status with new progress of the same step."""
        return replace(self, **progress._asdict())

    @property
    def current_progress(self) -> StepProgress:
        """The progress of the current step."""
        return StepProgress(self.doing, self.done, self.total, self.unit, self.rate, self.left, self.note)

    def seconds_unresponsive(self, now: float) -> float:
        """Return the seconds since the last update of a running job that counts as unresponsive, else 0.

        now: the current time in Unix seconds.
        """
        age = now - self.updated
        return age if self.state == "running" and age > _MISSED_UPDATES * self.every else 0.0


def status_from_json(content: Any, where: str) -> JobStatus:  # noqa: ANN401 - whatever the file holds
    """Convert the content of a status file to a status.

    Unknown keys are ignored, because a newer version of rayner may have added them.

    where: the path of the file, with which error messages begin.
    Raises DamagedFileError if the content is not a status.
    """
    status = parse_record(
        JobStatus, content, where, expected="the status of a job", remedy=STATUS_REMEDY, ignore_unknown=True
    )
    for name, value in dataclasses.asdict(status).items():
        if not isinstance(value, str) and abs(value) >= _MAX_NUMBER:
            reason = f"{name}: expected a number below {_MAX_NUMBER:g}, found {describe_json(value)}"
            raise damaged_record_error(where, reason, STATUS_REMEDY)
    if status.state not in JOB_STATES:
        reason = f"state: expected {' | '.join(JOB_STATES)}, found {describe_json(status.state)}"
        raise damaged_record_error(where, reason, STATUS_REMEDY)
    return status


def format_status(status: JobStatus, run_folder: str, now: float) -> str:
    """Format a status as two to four lines without control characters.

    run_folder: the run folder as the user wrote it.
    now: the current time in Unix seconds.
    """
    unresponsive = status.seconds_unresponsive(now)
    end = now if status.state == "running" and not unresponsive else status.updated
    elapsed = format_duration(end - status.started)
    state = {
        "running": f"running for {elapsed}",
        "done": f"done in {elapsed}",
        "failed": f"failed after {elapsed}",
        "stopped": f"stopped after {elapsed}; rerun the same command to resume",
    }[status.state]
    if unresponsive:
        state = f"unresponsive for {format_duration(unresponsive)}, after {elapsed}: killed, or its machine is away"
    lines = [f"{run_folder}: {status.job}: {state}", f"  process {status.pid} on {status.host}"]
    if status.state != "done":
        lines.append(f"  step {status.step}/{status.steps}: {status.name}")
        if status.total:
            lines[-1] += f" - {format_progress(status.current_progress)}"
    if status.error:
        lines.append(f"  {status.error}")
    return "\n".join(map(_replace_control_characters, lines))


def format_progress(progress: StepProgress) -> str:
    """Format progress and its note, such as `tag 1,000/9,000 characters, 82.5 a second, 1 min 37 s left, loss 0.5`.

    Before anything is done there is no rate, and so no time left.
    """
    doing, done, total, unit, rate, left, note = progress
    note = f", {note}" if note else ""
    if not rate and done < total:
        return f"{doing} {done:,}/{total:,} {unit}, starting{note}"
    return f"{doing} {done:,}/{total:,} {unit}, {rate:,.1f} a second, {format_duration(left)} left{note}"


def format_progress_bar(progress: StepProgress, columns: int) -> str:
    """Format progress as in `format_progress`, with a bar before it, in fewer than `columns` characters."""
    line, done, total = format_progress(progress), progress.done, progress.total
    width = min(30, columns - len(line) - 4)
    if width >= 5:
        filled = width if total <= 0 else min(width, width * done // total)
        line = f"[{'#' * filled}{'.' * (width - filled)}] {line}"
    return line[: max(0, columns - 1)]


def rate_and_seconds_left(done: int, total: int, seconds: float) -> tuple[float, float]:
    """Return the units a second so far, and the seconds that the remaining units take at that rate."""
    rate = done / max(seconds, _MIN_SECONDS)
    return rate, max(0, total - done) / max(rate, _MIN_SECONDS)


def format_duration(seconds: float) -> str:
    """Format a duration, such as `42 s`, `3 min 20 s` or `5 h 2 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _replace_control_characters(line: str) -> str:
    """Replace control and invisible formatting characters by spaces, because a terminal might obey them."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") else char for char in line)
