"""The lock of a folder, which lets one job at a time work there. The lock of a dead job does not block the next job.

The lock is a file that its owner renews every few seconds.

- On the owner's machine, the process table shows whether the owner is alive.
- A job on another machine watches the lock for a few renewal periods. If the lock is not renewed in that time, its
  owner counts as dead. Clocks are not compared.
- In a local file system, a kernel lock keeps other processes out while a job takes the lock.
- On an object store, the last writer holds the lock. The other writers notice this when they read the file again.
"""

import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import psutil

from rayner.errors import ConfigError
from rayner.runs.storage import StoragePath, atomic_writer, remove_file

LOCK_FILE = "lock.json"
RENEW_SECONDS = 5.0
_SETTLE_SECONDS = 1.0  # after this time, a write to an object store has replaced all writes that began before it


@dataclass(frozen=True)
class LockOwner:
    """The content of the lock file: the process that holds the lock.

    owner: a random name of this lock.
    machine: an identifier of the machine since its last boot, and of the container.
    started: the start time of the process in Unix seconds, as its machine reports it.
    beat: how often the lock has been renewed.
    """

    owner: str
    host: str
    machine: str
    pid: int
    started: float
    beat: int = 0


@contextmanager
def hold_lock(folder: StoragePath, renew_seconds: float = RENEW_SECONDS) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    Raises ConfigError, which names the owner, if another job holds the lock. If that job runs on this machine, the
    error comes at once; otherwise it comes after the lock was seen to be renewed. A job that was suspended for so long
    that it lost its lock gets SIGTERM.
    """
    path, this_process = folder / LOCK_FILE, _describe_this_process()
    _raise_if_owner_is_alive(path, renew_seconds)
    with _exclusive_access(folder):
        owner = _read_owner(path)
        if owner and owner != this_process and _lives_here(owner):
            raise _locked_error(folder, owner)
        _write_owner(path, this_process)
    if not isinstance(folder, Path):
        time.sleep(_SETTLE_SECONDS)
    owner = _read_owner(path)
    if owner is None or owner.owner != this_process.owner:
        raise _locked_error(folder, owner)
    stop = threading.Event()
    thread = threading.Thread(
        target=_renew_lock_or_terminate, args=(path, this_process, stop, renew_seconds), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        owner = _read_owner(path)
        if owner is not None and owner.owner == this_process.owner:
            remove_file(path)


def _raise_if_owner_is_alive(path: StoragePath, renew_seconds: float) -> None:
    """Wait until it is certain that no living process holds the lock.

    Raises ConfigError if a living process holds it.
    """
    first = owner = _read_owner(path)
    deadline = time.monotonic() + 3 * renew_seconds
    while owner is not None and not _died_here(owner):
        if _lives_here(owner) or owner != first:  # renewed, or taken by a third process
            raise _locked_error(path.parent, owner)
        if time.monotonic() > deadline:
            return
        time.sleep(min(0.5, renew_seconds / 4))
        owner = _read_owner(path)


def _renew_lock_or_terminate(
    path: StoragePath, this_process: LockOwner, stop: threading.Event, renew_seconds: float
) -> None:
    beat = 0
    while not stop.wait(renew_seconds):
        try:
            owner = _read_owner(path)
            if owner is None or owner.owner != this_process.owner:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            beat += 1
            _write_owner(path, replace(this_process, beat=beat))
        except Exception:
            continue  # the storage cannot be reached; then no other job can take the lock either


def _describe_this_process() -> LockOwner:
    process = psutil.Process()
    return LockOwner(uuid.uuid4().hex, socket.gethostname(), _machine_id(), process.pid, process.create_time())


def _machine_id() -> str:
    """Return an identifier of this machine since its last boot, and of this container."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    pid_namespace = Path("/proc/self/ns/pid")
    boot_id = boot.read_text().strip() if boot.exists() else str(psutil.boot_time())
    return f"{socket.gethostname()} {boot_id} {os.readlink(pid_namespace) if pid_namespace.exists() else ''}"


def _lives_here(owner: LockOwner) -> bool:
    """Return whether the owner runs on this machine."""
    return owner.machine == _machine_id() and not _died_here(owner)


def _died_here(owner: LockOwner) -> bool:
    """Return whether the owner ran on this machine and has ended."""
    if owner.machine != _machine_id():
        return False
    try:
        process = psutil.Process(owner.pid)
        return process.create_time() != owner.started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def _exclusive_access(folder: StoragePath) -> Iterator[None]:
    """Keep other processes out while the lock is read and taken.

    On an object store this does nothing.
    """
    if not isinstance(folder, Path):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _locked_error(folder: StoragePath, owner: LockOwner | None) -> ConfigError:
    process = f"process {owner.pid} on {owner.host}" if owner else "process ? on another machine"
    return ConfigError(f"{folder}: expected a folder that no other job works on, found it locked by {process}")


def _read_owner(path: StoragePath) -> LockOwner | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    names = {field.name for field in fields(LockOwner)}
    return LockOwner(**{name: value for name, value in content.items() if name in names})


def _write_owner(path: StoragePath, owner: LockOwner) -> None:
    with atomic_writer(path) as stream:
        stream.write(json.dumps(asdict(owner)).encode())
