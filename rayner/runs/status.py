"""How far a job is: the record that lies in its run folder as `status.json`, and how people are told of it."""

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rayner.errors import DataError

STATUS_FILE = "status.json"
JOB_STATES = ("running", "done", "failed", "stopped")
_MISSED_UPDATES = 4  # updates that may be missed until a job is told to give no sign of life
_MIN_SECONDS = 1e-9  # seconds
_MAX_NUMBER = 1e15  # no number of a status is so large, nor is one that is none


class StepProgress(NamedTuple):
    """How far something is: done of total, in units; rate, units a second; left, seconds; what else is to say of it."""

    doing: str
    done: int
    total: int
    unit: str
    rate: float
    left: float
    note: str = ""


_NOTHING = StepProgress("", 0, 0, "", 0.0, 0.0)


@dataclass(frozen=True)
class JobStatus:
    """What a job last said of itself. Times are Unix seconds by the clock of its own machine.

    step: which of `steps` is under way, counted from 1, and its `name`; from `doing` to `note` how far that is, a
    `StepProgress`, where it counts something; else total is 0.
    every: seconds between two updates, at most; error: the one line of what went wrong.
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
        """The same job, at the beginning of a step."""
        return replace(self, step=step, steps=steps, name=name).with_progress(_NOTHING)

    def with_progress(self, count: StepProgress) -> "JobStatus":
        """The same step, so far."""
        return replace(self, **count._asdict())

    @property
    def current_progress(self) -> StepProgress:
        """How far its step is."""
        return StepProgress(self.doing, self.done, self.total, self.unit, self.rate, self.left, self.note)

    def seconds_unresponsive(self, now: float) -> float:
        """For how many seconds a job that should be running has said nothing; 0 if that is not worth a word."""
        age = now - self.updated
        return age if self.state == "running" and age > _MISSED_UPDATES * self.every else 0.0


def status_from_json(value: Any, where: str) -> JobStatus:  # noqa: ANN401 - whatever the file holds
    """The record in a file's JSON; keys that a newer rayner may have added are passed over.

    Raises DataError, beginning with `where`, for anything else.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: expected the status of a job, found {type(value).__name__}")
    found: dict[str, Any] = {}
    for item in dataclasses.fields(JobStatus):
        if item.name not in value:
            if item.default is dataclasses.MISSING:
                raise DataError(f"{where}: expected the status of a job, found no {item.name!r}")
            continue
        given, numeric = value[item.name], item.type in (int, float)
        good = isinstance(given, int | float) and abs(given) < _MAX_NUMBER if numeric else isinstance(given, str)
        if not good or isinstance(given, bool):
            raise DataError(f"{where}: expected {item.name} to be a {'number' if numeric else 'text'}, found {given!r}")
        found[item.name] = given
    if found.get("state", JOB_STATES[0]) not in JOB_STATES:
        raise DataError(f"{where}: expected a state of {', '.join(JOB_STATES)}, found {found['state']!r}")
    return JobStatus(**found)


def format_status(status: JobStatus, where: str, now: float) -> str:
    """Two to four lines for people, without control characters. now: Unix seconds."""
    silent = status.seconds_unresponsive(now)
    spent = format_duration((now if status.state == "running" and not silent else status.updated) - status.started)
    how = {
        "running": f"running for {spent}",
        "done": f"done in {spent}",
        "failed": f"failed after {spent}",
        "stopped": f"stopped after {spent}; the same command goes on there",
    }[status.state]
    if silent:
        how = f"no sign of life for {format_duration(silent)}, after {spent}: it was killed, or its machine is away"
    lines = [f"{where}: {status.job}: {how}", f"  process {status.pid} on {status.host}"]
    if status.state != "done":
        lines.append(f"  step {status.step}/{status.steps}: {status.name}")
        if status.total:
            lines[-1] += f" - {format_progress(status.current_progress)}"
    if status.error:
        lines.append(f"  {status.error}")
    return "\n".join(map(_replace_control_characters, lines))


def format_progress(count: StepProgress) -> str:
    """Such as `tag 1,000/9,000 characters, 82.5 a second, 1 min 37 s left`, and the note."""
    doing, done, total, unit, rate, left, note = count
    note = f", {note}" if note else ""
    return f"{doing} {done:,}/{total:,} {unit}, {rate:,.1f} a second, {format_duration(left)} left{note}"


def format_progress_bar(count: StepProgress, columns: int) -> str:
    """The same with a bar before it, in less than `columns` characters."""
    said, done, total = format_progress(count), count.done, count.total
    width = min(30, columns - len(said) - 4)
    if width >= 5:
        full = width if total <= 0 else min(width, width * done // total)
        said = f"[{'#' * full}{'.' * (width - full)}] {said}"
    return said[: max(0, columns - 1)]


def rate_and_seconds_left(done: int, total: int, seconds: float) -> tuple[float, float]:
    """Units a second so far, and the seconds that the rest takes at that rate."""
    rate = done / max(seconds, _MIN_SECONDS)
    return rate, max(0, total - done) / max(rate, _MIN_SECONDS)


def format_duration(seconds: float) -> str:
    """Such as `42 s`, `3 min 20 s`, `5 h 2 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _replace_control_characters(line: str) -> str:
    """A line that cannot change what a terminal shows beside it."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") else char for char in line)
