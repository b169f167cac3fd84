"""What processes read besides files: clocks, process numbers, threads and Ray. Each is replaced by a simulated one."""

import functools
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from rayner.corpus import reading
from rayner.runs import kernel_lock, lock, process_identity, progress
from rayner.steps.tag import actors, scored_units
from tests.simulation.patches import replace_system_calls
from tests.simulation.pool import ActorPool
from tests.simulation.world import current_world


class _Event:
    """A threading.Event whose time is simulated."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        world = current_world()
        world.wait(self.is_set, None if timeout is None else world.clock + timeout)
        return self._is_set


class _Thread:
    """A threading.Thread of the simulated process that makes it."""

    def __init__(self, target: Callable[..., None], args: Sequence[Any] = (), daemon: bool = False) -> None:
        self._call, self._task = functools.partial(target, *args), None

    def start(self) -> None:
        world = current_world()
        self._task = world.start_thread(world.current_process(), self._call)

    def join(self, timeout: float | None = None) -> None:
        current_world().wait(lambda: self._task is None or self._task.greenlet.dead)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.greenlet.dead


class _Executor:
    """A ThreadPoolExecutor that runs each call at once."""

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers

    def __enter__(self) -> "_Executor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _ProcessTable:
    """A psutil.Process of a simulated process.

    The start time is the time since the start of the machine, added to the time at which the machine seems to have
    started. That time moves when the clock is stepped.
    """

    def __init__(self, pid: int | None = None) -> None:
        world = current_world()
        self.pid = world.current_process().pid if pid is None else pid
        found = [process for process in world.living_processes() if process.pid == self.pid]
        if not found:
            raise psutil.NoSuchProcess(self.pid)
        self._process, self._reader = found[0], world.current_process()

    def create_time(self) -> float:
        return self._reader.booted + self._process.started

    def status(self) -> str:
        return psutil.STATUS_RUNNING


def _read_stat(pid: int) -> list[str] | None:
    """Return the fields of `/proc/PID/stat` after the name: the state, and the start in ticks since the boot."""
    world = current_world()
    started = next((process.started for process in world.living_processes() if process.pid == pid), None)
    return None if started is None else ["R", *["0"] * 18, str(int(started * 100)), "0"]


def _send_signal(pid: int, number: int) -> None:
    world = current_world()
    for process in world.living_processes():
        if process.pid == pid:
            if number:
                process.signals.append(SystemExit(128 + number))
            return
    raise ProcessLookupError(pid)


def _random_uuid() -> uuid.UUID:
    return uuid.UUID(int=current_world().rng.getrandbits(128), version=4)


def _getpid() -> int:
    world = current_world()
    return os.getppid() if world.current is None else world.current_process().pid


def _open_unbuffered(real: Callable[..., None]) -> Callable[..., None]:
    # Otherwise Arrow reads ahead in a thread of its own, and the order of the operations is no longer fixed.
    def open_file(file: pq.ParquetFile, *args: Any, **kwargs: Any) -> None:
        real(file, *args, **{**kwargs, "pre_buffer": False})

    return open_file


def _read_in_this_thread(real: Callable[..., pa.Table]) -> Callable[..., pa.Table]:
    def read(file: pq.ParquetFile, *args: Any, **kwargs: Any) -> pa.Table:
        return real(file, *args, **{**kwargs, "use_threads": False})

    return read


@functools.cache
def _find_caches() -> list[Any]:
    """Return the caches of rayner's functions that read files; each process starts without them."""
    rooms = ("rayner.steps.tag", "rayner.corpus", "rayner.runs")
    values = [
        value for name, module in list(sys.modules.items()) if name.startswith(rooms) for value in vars(module).values()
    ]
    return list({id(value): value for value in values if isinstance(value, functools._lru_cache_wrapper)}.values())


def clear_caches() -> None:
    """Empty the caches that a new process would not have."""
    for cache in _find_caches():
        cache.cache_clear()


class MessageCollector(logging.Handler):
    """Collects the log lines of a world."""

    def emit(self, record: logging.LogRecord) -> None:
        current_world().messages.append(record.getMessage())


@contextmanager
def simulated_environment() -> Iterator[None]:
    """Replace what processes read, for any number of worlds."""
    threads = SimpleNamespace(Thread=_Thread, Event=_Event, Lock=threading.Lock)
    fake_ray = SimpleNamespace(
        data=SimpleNamespace(from_items=ActorPool, ActorPoolStrategy=SimpleNamespace),
        cluster_resources=lambda: {"CPU": 2.0},
    )
    log, handler = logging.getLogger("rayner"), MessageCollector()
    before = (log.handlers, log.level, log.propagate)
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    with ExitStack() as stack:
        stack.enter_context(replace_system_calls())
        for target, name, value in (
            (time, "time", lambda: current_world().wall_time()),
            (time, "monotonic", lambda: current_world().clock),
            (time, "clock_gettime", lambda _: current_world().clock),
            (time, "sleep", lambda seconds: current_world().sleep(seconds)),
            (uuid, "uuid4", _random_uuid),
            (lock, "threading", threads),
            (psutil, "Process", _ProcessTable),
            (process_identity, "_read_stat", _read_stat),
            (kernel_lock, "_held_descriptors", set()),
            (os, "getpid", _getpid),
            (os, "kill", _send_signal),
            (reading, "ThreadPoolExecutor", _Executor),
            (progress, "_stderr_is_terminal", lambda: False),
            (actors, "ray", fake_ray),
            (actors, "start_logging", lambda: None),
            (scored_units, "start_logging", lambda: None),
            (actors, "watch_for_stalls", lambda *_: nullcontext()),  # a stalled actor is killed, as others are
            (pq.ParquetFile, "__init__", _open_unbuffered(pq.ParquetFile.__init__)),
            (pq.ParquetFile, "read", _read_in_this_thread(pq.ParquetFile.read)),
        ):
            stack.enter_context(patch.object(target, name, value))
        try:
            yield
        finally:
            log.handlers, log.level, log.propagate = before
