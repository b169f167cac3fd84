"""Processes that share a file system in memory, and faults that strike at its operations."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.simulation.faults import ERRORS, Fault, fault_applies
from tests.simulation.file_system import File, FileSystem, raise_os_error
from tests.simulation.scheduler import Process, ProcessDied, Scheduler


@dataclass(eq=False)
class OpenFile:
    """An open file or folder."""

    node: Any
    path: str
    process: Process
    writes: bool = False
    appends: bool = False
    offset: int = 0


class World(Scheduler):
    """Everything that a run of the simulation shares.

    switch_share: how often a task gives way to another one at an operation.
    seconds_per_operation: how much time an operation takes.
    """

    def __init__(
        self,
        seed: int,
        file_system: FileSystem,
        faults: list[Fault],
        *,
        switch_share: float = 0.2,
        seconds_per_operation: float = 0.001,
    ) -> None:
        super().__init__(seed)
        self.file_system = file_system
        self.faults = sorted(faults, key=lambda fault: fault.operation)
        self.on_fault: dict[str, Callable[[], None]] = {}
        self.lasting_errors: list[Fault] = []
        self.injected: list[tuple[int, Fault]] = []
        self.switch_share, self.seconds_per_operation = switch_share, seconds_per_operation
        self.n_operations = 0
        self.log: list[tuple[str, str, str]] = []
        self.messages: list[str] = []
        self.violations: list[str] = []
        self.working: list[Process] = []  # the jobs that tag
        self.batches: list[tuple[str, ...]] = []  # the texts of each call of a model
        self.n_actor_deaths = 0  # of actors whose job went on
        self.files: dict[int, OpenFile] = {}
        self.folder_locks: dict[Any, OpenFile] = {}
        self._thread = threading.get_ident()

    def kill(self, process: Process, *, leave_orphans: bool = False) -> None:
        """Kill a process and, unless they are left as orphans, its actors. Its locks are released."""
        super().kill(process, leave_orphans=leave_orphans)
        for file in [file for file in self.folder_locks.values() if file.process is process]:
            del self.folder_locks[file.node]

    def operate(
        self,
        kind: str,
        path: str,
        effect: Callable[[Any], Any],
        data: bytes | None = None,
        process: Process | None = None,
    ) -> Any:
        """Count a file operation, let faults strike, and call `effect` with the data to write.

        process: the process that opened the file; by default the one that runs now.
        """
        task = self.require_current()
        process = process or task.process
        self.raise_if_dead(process)
        can_switch = threading.get_ident() == self._thread  # Arrow reads in threads of its own
        if can_switch and len(self.tasks) > 1 and self.rng.random() < self.switch_share:
            self.leave(task)
            self.raise_if_dead(process)
        if process.operations_left is not None:
            process.operations_left -= 1
            if process.operations_left < 0:
                self.kill(process)
                raise ProcessDied
        number = self.n_operations
        self.n_operations += 1
        self.clock += self.seconds_per_operation
        self.log.append((process.name, kind, path))
        for lasting in self.lasting_errors:
            if fault_applies(lasting, kind, path, is_actor=process.is_actor):
                self._fail(lasting, path, effect, data)
        if self.faults and self.faults[0].operation <= number:
            for i, fault in enumerate(self.faults):
                if fault.operation > number:
                    break
                if fault_applies(fault, kind, path, is_actor=process.is_actor):
                    del self.faults[i]
                    self.injected.append((number, fault))
                    return self._inject(fault, process, path, effect, data)
        return effect(data)

    def _inject(
        self, fault: Fault, process: Process, path: str, effect: Callable[[Any], Any], data: bytes | None
    ) -> Any:
        if fault.kind in ERRORS:
            if fault.lasts:
                self.lasting_errors.append(fault)
            self._fail(fault, path, effect, data)
        if fault.kind == "torn_write":
            assert data is not None
            effect(data[: self.rng.randrange(len(data))])
            self._die(process)
        if fault.kind.startswith(("kill", "orphans", "power")):
            result = effect(data) if fault.kind.endswith("after") else None
            if fault.kind.startswith("kill_actor"):
                self.kill(process)
                raise ProcessDied
            self._die(process, power=fault.kind.startswith("power"), leave_orphans=fault.kind.startswith("orphans"))
            return result if fault.kind.endswith("after") else effect(data)  # an orphan goes on
        self.on_fault[fault.kind]()
        self.raise_if_dead(process)
        return effect(data)

    def _die(self, process: Process, *, power: bool = False, leave_orphans: bool = False) -> None:
        """Kill the whole job of a process, or with a power cut every process. Only an orphan survives this."""
        if power:
            for each in list(self.living_processes()):
                self.kill(each)
            self.file_system.cut_power(self.rng)
        else:
            driver = process.parent or process
            self.kill(driver, leave_orphans=leave_orphans)
        self.raise_if_dead(process)

    def _fail(self, fault: Fault, path: str, effect: Callable[[Any], Any], data: bytes | None) -> None:
        number = ERRORS[fault.kind][0]
        if data and number == errno.ENOSPC:  # a full disk still takes a part
            effect(data[: self.rng.randrange(len(data))])
        raise_os_error(number, path)

    # ---- damage at rest

    def flip_bit(self, path: str) -> None:
        """Flip one bit of a file."""
        file = self.file_system.find(path)
        assert isinstance(file, File)
        if file.data:
            bit = self.rng.randrange(8 * len(file.data))
            file.data[bit // 8] ^= 1 << bit % 8
            file.durable = bytes(file.data)


_world: World | None = None


def current_world() -> World:
    """Return the world that is simulated now."""
    assert _world is not None, "no simulation runs"
    return _world


@contextmanager
def simulate_world(world: World) -> Iterator[None]:
    """Make a world the current one while the block runs."""
    global _world
    before, _world = _world, world
    try:
        yield
    finally:
        _world = before
