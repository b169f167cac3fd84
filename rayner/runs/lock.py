"""One job a folder: a lock that a dead job leaves behind does not hold up the next one.

The lock is a file that its owner renews every few seconds. On the owner's own machine one sees at once whether it
still lives; from elsewhere, a lock that is not renewed while one watches is dead. No clocks are compared. In a local
file system an exclusive lock of the kernel guards the moment of taking it; elsewhere whoever wrote last has it, and
the others see so when they look again.
"""

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from rayner.errors import ConfigError
from rayner.runs.storage import StoragePath, atomic_writer, remove_file

LOCK_FILE = "lock.json"
RENEW_SECONDS = 5.0  # seconds between two renewals
_SETTLE = 1.0  # seconds after which a write to an object store has overtaken those begun before it


@contextmanager
def hold_lock(folder: StoragePath, renew_seconds: float = RENEW_SECONDS) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    Raises ConfigError, naming the owner, if another job holds it: at once if that job runs on this machine, else after
    seeing the lock renewed. A job that loses its lock, as one that slept for long may, gets SIGTERM.
    """
    path, mine = folder / LOCK_FILE, _new_owner()
    _wait_until_free(path, renew_seconds)
    with _exclusive_access(folder):
        owner = _read_owner(path)
        if owner and owner != mine and _lives_here(owner):
            raise _locked_error(folder, owner)
        _write_owner(path, mine)
    if not isinstance(folder, Path):
        time.sleep(_SETTLE)
    now = _read_owner(path)
    if now is None or now["owner"] != mine["owner"]:
        raise _locked_error(folder, now or {})
    stop = threading.Event()
    keeper = threading.Thread(target=_renew_until_stopped, args=(path, mine, stop, renew_seconds), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()
        now = _read_owner(path)
        if now is not None and now["owner"] == mine["owner"]:
            remove_file(path)


def _wait_until_free(path: StoragePath, renew: float) -> None:
    """Return when nobody alive holds the lock. Raises ConfigError for an owner that lives."""
    first = now = _read_owner(path)
    deadline = time.monotonic() + 3 * renew
    while now is not None and not _dead_here(now):
        if _lives_here(now) or now != first:  # renewed, or taken by a third
            raise _locked_error(path.parent, now)
        if time.monotonic() > deadline:
            return
        time.sleep(min(0.5, renew / 4))
        now = _read_owner(path)


def _renew_until_stopped(path: StoragePath, mine: dict[str, Any], stop: threading.Event, renew: float) -> None:
    beat = 0
    while not stop.wait(renew):
        try:
            now = _read_owner(path)
            if now is None or now["owner"] != mine["owner"]:
                os.kill(os.getpid(), 15)
                return
            beat += 1
            _write_owner(path, {**mine, "beat": beat})
        except Exception:
            continue  # the storage is away: as long as it is, nobody else can take the lock either


def _new_owner() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "owner": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "machine": _machine_id(),
        "pid": process.pid,
        "started": process.create_time(),
        "beat": 0,
    }


def _machine_id() -> str:
    """What tells this machine, since it was started, and this container from all others."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    pids = Path("/proc/self/ns/pid")
    found = boot.read_text().strip() if boot.exists() else str(psutil.boot_time())
    return f"{socket.gethostname()} {found} {os.readlink(pids) if pids.exists() else ''}"


def _lives_here(owner: dict[str, Any]) -> bool:
    """Whether the owner runs on this machine."""
    return owner.get("machine") == _machine_id() and not _dead_here(owner)


def _dead_here(owner: dict[str, Any]) -> bool:
    """Whether the owner ran on this machine and does no more."""
    if owner.get("machine") != _machine_id():
        return False
    try:
        process = psutil.Process(owner["pid"])
        return process.create_time() != owner["started"] or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def _exclusive_access(folder: StoragePath) -> Iterator[None]:
    """Keep others of a local file system out while the lock is looked at and taken."""
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


def _locked_error(folder: StoragePath, owner: dict[str, Any]) -> ConfigError:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', 'another machine')}"
    return ConfigError(f"{folder}: expected a folder that no other job works on, found it locked by {who}")


def _read_owner(path: StoragePath) -> dict[str, Any] | None:
    try:
        owner: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return owner


def _write_owner(path: StoragePath, owner: dict[str, Any]) -> None:
    with atomic_writer(path) as stream:
        stream.write(json.dumps(owner).encode())
