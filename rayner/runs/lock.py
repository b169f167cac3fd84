"""The lock of a folder, which lets one job at a time work there. The lock of a dead job does not block the next job.

Two signs show that a job holds a folder:

- A lock of the kernel on the folder, in a local folder. It ends with the process, and nothing else takes it away.
- The lock file `lock.json`, which its owner renews every few seconds. It names the owner, and it works between
  machines. On the owner's machine, the process table shows whether the owner is alive. A job on another machine watches
  the file for a few renewal periods. If it does not change in that time, its owner counts as dead.

No clock is compared, so a clock that is set anew changes nothing. If the lock file is deleted, damaged or restored from
a backup while its owner works, its owner writes it again. On an object store, the last writer holds the lock. The other
writers notice this when they read the file again.
"""

import json
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.json_files import damaged_file_error, parse_json
from rayner.runs.kernel_lock import KernelLock
from rayner.runs.process_identity import is_running, machine_id, process_start
from rayner.runs.storage import StoragePath, atomic_writer, remove_file
from rayner.text.json_records import parse_record

log = logging.getLogger("rayner")
LOCK_FILE = "lock.json"
RENEW_SECONDS = 5.0
_DEAD_AFTER_PERIODS = 3  # a lock that nobody has renewed for so many periods is free
_SETTLE_SECONDS = 1.0  # after this time, a write has replaced all writes of other machines that began before it
_NAMING_SECONDS = 1.0  # how long a refused job waits for a living owner to be named
_REMEDY = "delete it"


@dataclass(frozen=True)
class LockOwner:
    """The content of the lock file: the process that holds the lock.

    owner: a random name of this lock.
    machine: an identifier of the machine since its last boot, and of the container.
    start: what tells the process from others with the same number (`process_start`).
    beat: how often the lock has been renewed.
    """

    owner: str
    host: str
    machine: str
    pid: int
    start: str
    beat: int = 0

    def is_alive_here(self) -> bool | None:
        """Return whether the owner is a process of this machine that runs; None if this cannot be told from here."""
        return is_running(self.pid, self.start) if self.machine == machine_id() else None

    def is_same_process_as(self, other: "LockOwner") -> bool:
        """Return whether another lock is or was held by the same process."""
        return (self.machine, self.pid, self.start) == (other.machine, other.pid, other.start)


@dataclass(frozen=True)
class _LockFile:
    """A reading of the lock file. content: None if there is no file. owner: None if the content names none."""

    content: bytes | None
    owner: LockOwner | None

    def is_owner_alive(self) -> bool | None:
        """Return whether the owner is a process of this machine that runs; None if this cannot be told from here."""
        return self.owner.is_alive_here() if self.owner else None


@contextmanager
def hold_lock(folder: StoragePath, renew_seconds: float = RENEW_SECONDS) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    Raises ConfigError, which names the owner, if another job holds the lock. If that job runs on this machine, the
    error comes at once; otherwise it comes after the lock was seen to be renewed. A job that was suspended for so long
    that it lost its lock logs this and gets SIGTERM.
    """
    kernel_lock = KernelLock(folder) if isinstance(folder, Path) else None
    try:
        if kernel_lock is not None:
            _take_kernel_lock(kernel_lock)
        keeper = _LockKeeper(folder, kernel_lock, renew_seconds)
        keeper.take()
        try:
            yield
        finally:
            keeper.release()
    finally:
        if kernel_lock is not None:
            kernel_lock.release()


class _LockKeeper:
    """Takes the lock file for this process, renews it in a thread, and removes it."""

    def __init__(self, folder: StoragePath, kernel_lock: KernelLock | None, renew_seconds: float) -> None:
        self.folder, self.path, self.kernel_lock = folder, folder / LOCK_FILE, kernel_lock
        self.renew_seconds = renew_seconds
        self.owner = _describe_this_process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, daemon=True)
        self._last_renewal = 0.0

    def take(self) -> None:
        """Wait until it is certain that no other job works here, then write the lock file and begin to renew it."""
        may_be_shared = self._wait_until_free() or not isinstance(self.folder, Path)
        self._write()
        if may_be_shared:
            time.sleep(_SETTLE_SECONDS)
            found = _read_lock_file(self.path)
            if found.owner is None or found.owner.owner != self.owner.owner:
                raise _locked_error(self.folder, found.owner)
        self._thread.start()

    def release(self) -> None:
        """Stop the renewal, and remove the lock file if it is still that of this process."""
        if os.getpid() != self.owner.pid:
            return  # a forked child, which does not hold the lock
        self._stop.set()
        self._thread.join()
        try:
            found = _read_lock_file(self.path)
            if found.content is not None and self._is_mine_or_nobodys(found):
                remove_file(self.path)
        except Exception as error:  # the job is done; the next job finds that this process has ended
            log.warning("%s: could not be removed: %s", self.path, error)

    def _wait_until_free(self) -> bool:
        """Wait until it is certain that no other job works here; return whether a job of another machine may have.

        Raises ConfigError if another job holds the lock.
        """
        first = found = _read_lock_file(self.path)
        deadline = time.monotonic() + _DEAD_AFTER_PERIODS * self.renew_seconds
        if first.content is not None and first.is_owner_alive() is None:
            log.info("%s: found; waits to see whether another job renews it", self.path)
        while found.content is not None:
            is_alive = found.is_owner_alive()
            if is_alive is False or self._is_left_by_this_process(found):
                return False
            if is_alive or found.content != first.content:  # renewed, or taken by a third process
                raise _locked_error(self.folder, found.owner)
            if time.monotonic() > deadline:
                holder = f"process {found.owner.pid} on {found.owner.host}" if found.owner else "nobody: it is damaged"
                log.warning("%s: taken over, because it was not renewed; it named %s", self.path, holder)
                return True
            time.sleep(min(0.5, self.renew_seconds / 4))
            found = _read_lock_file(self.path)
        return False

    def _is_left_by_this_process(self, found: _LockFile) -> bool:
        """Return whether this process held the lock before, and the storage failed when it removed the file."""
        holds_kernel_lock = self.kernel_lock is not None and self.kernel_lock.is_held()
        return holds_kernel_lock and found.owner is not None and found.owner.is_same_process_as(self.owner)

    def _write(self) -> None:
        with atomic_writer(self.path) as stream:
            stream.write(json.dumps(asdict(self.owner)).encode())
        self._last_renewal = _now()

    def _renew_until_stopped(self) -> None:
        # A machine that was suspended continues in the middle of a wait, so the waits are short.
        while not self._stop.wait(self.renew_seconds / 5):
            if _now() - self._last_renewal < self.renew_seconds:
                continue
            try:
                if not self._renew():
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            except Exception as error:  # the storage cannot be reached; then no other job can take the lock either
                log.debug("%s: %s", self.path, error)

    def _renew(self) -> bool:
        """Write the lock file again; return False if another job may have taken the lock."""
        try:
            found = _read_lock_file(self.path)
        except DamagedFileError:  # a folder has the name of the file, so no other job can write it either
            self._last_renewal = _now()
            return True
        if not self._is_mine_or_nobodys(found):
            owner = f"process {found.owner.pid} on {found.owner.host}" if found.owner else "a process that has ended"
            log.error("%s: lost: this job did not renew it in time, and %s took it; this job ends", self.path, owner)
            return False
        if found.owner is None or found.owner.owner != self.owner.owner:
            log.warning("%s: was deleted or changed while this job works here; written again", self.path)
        self.owner = replace(self.owner, beat=self.owner.beat + 1)
        self._write()
        return True

    def _is_mine_or_nobodys(self, found: _LockFile) -> bool:
        """Return whether the lock is still this process's, or the file was deleted, damaged or replaced by a person."""
        if found.owner is not None and found.owner.owner == self.owner.owner:
            return True
        if self.kernel_lock is not None and not self.kernel_lock.acquire():
            return False  # the folder was replaced, and another process works in the new one
        if found.owner is not None:
            # With the kernel's lock here, no living process of this machine can have taken it.
            is_held = self.kernel_lock is not None and self.kernel_lock.is_held()
            return is_held and found.owner.machine == self.owner.machine
        # No other job takes a lock that was renewed a moment ago. Later, one may have taken it and ended.
        return _now() - self._last_renewal < _DEAD_AFTER_PERIODS * self.renew_seconds


def _now() -> float:
    """Return seconds on a clock that nobody can set. On Linux it also counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _describe_this_process() -> LockOwner:
    pid = os.getpid()
    return LockOwner(uuid.uuid4().hex, socket.gethostname(), machine_id(), pid, process_start(pid) or "")


def _take_kernel_lock(lock: KernelLock) -> None:
    """Take the kernel's lock on a folder. Raises ConfigError, which names the owner, if another process holds it.

    While the lock file names no living owner, this waits for a moment: the owner may not have written its name yet, or
    a child that a killed job has just forked may not have closed the folder yet.
    """
    deadline = time.monotonic() + _NAMING_SECONDS
    while not lock.acquire():
        try:
            owner = _read_lock_file(lock.folder / LOCK_FILE).owner
        except DamagedFileError:
            owner = None
        is_alive = owner.is_alive_here() if owner is not None else False
        if is_alive:
            raise _locked_error(lock.folder, owner)
        if time.monotonic() > deadline:
            raise _locked_error(lock.folder, owner if is_alive is None else None)
        time.sleep(0.05)


def _locked_error(folder: StoragePath, owner: LockOwner | None) -> ConfigError:
    process = f"process {owner.pid} on {owner.host}" if owner else f"another process, which {LOCK_FILE} does not name"
    return ConfigError(
        f"{folder}: expected a folder that no other job works on, found it locked by {process}: wait until that job "
        "has ended, or name another folder"
    )


def _read_lock_file(path: StoragePath) -> _LockFile:
    """Read the lock file. Raises DamagedFileError if it is a folder."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _LockFile(None, None)
    except IsADirectoryError:
        raise damaged_file_error(path, "a folder", _REMEDY) from None
    try:
        value = parse_json(content, path, _REMEDY)
        owner = parse_record(LockOwner, value, path, expected="a lock", remedy=_REMEDY, ignore_unknown=True)
    except DamagedFileError:
        return _LockFile(content, None)
    return _LockFile(content, owner)
