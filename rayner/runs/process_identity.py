"""Tell whether a process still runs. Neither a reused process number nor a step of the clock leads to a wrong answer.

On Linux the kernel counts a process's start in ticks since the boot (`/proc/PID/stat`), which no setting of the clock
changes. The start as Unix time, which psutil computes from it, moves with the clock.
"""

import os
import socket
import uuid
from pathlib import Path

import psutil

_PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19  # of /proc/PID/stat, counted after the name of the program
_ENDED_STATES = ("Z", "X", "x")  # a zombie, and a process that is being removed
_START_TOLERANCE_SECONDS = 2.0  # between two readings of a start as Unix time


def machine_id() -> str:
    """Return an identifier of this machine since its last boot, and of this container."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode()}"
    return f"{socket.gethostname()} {boot} {_namespace('pid')} {_namespace('time')}".rstrip()


def _namespace(name: str) -> str:
    try:
        return os.readlink(_PROC / "self/ns" / name)
    except OSError:  # an old kernel
        return ""


def process_start(pid: int) -> str | None:
    """Return what tells a process from earlier ones of the same number; None if no such process can be seen.

    The text is `ticks N` on Linux and `unix T` elsewhere.
    """
    if (_PROC / "self/stat").exists():
        fields = _read_stat(pid)
        return None if fields is None else f"ticks {fields[_START_FIELD]}"
    try:
        return f"unix {psutil.Process(pid).create_time()}"
    except psutil.Error:
        return None


def is_running(pid: int, start: str) -> bool | None:
    """Return whether the process that had this number and this start on this machine still runs.

    A stopped process runs. The result is None if this cannot be told.

    start: what `process_start` returned for it.
    """
    current_start = process_start(pid)
    if current_start is None:
        return None if _exists_unseen(pid) else False
    clock, _, value = start.partition(" ")
    current_clock, _, current_value = current_start.partition(" ")
    if clock != current_clock:
        return None
    if clock == "ticks":
        return value == current_value and not _has_ended(pid)
    try:
        difference = abs(float(value) - float(current_value))
    except ValueError:
        return None
    return difference <= _START_TOLERANCE_SECONDS and not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Return whether a process is a zombie or gone."""
    if (_PROC / "self/stat").exists():
        fields = _read_stat(pid)
        return fields is None or fields[_STATE_FIELD] in _ENDED_STATES
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def _read_stat(pid: int) -> list[str] | None:
    try:
        content = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return content.rpartition(")")[2].split()  # the name of the program may contain spaces and brackets


def _exists_unseen(pid: int) -> bool:
    """Return whether a process that the process table does not show exists: `/proc` can hide those of other users."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False  # it belongs to this user, so the table would show it: it has just ended
