"""Simulated processes and their threads, of which one runs at a time, in an order that a seed decides.

Each thread of a simulated process is a greenlet. Only one runs at a time. It may give way to another one at each file
operation. A process that died raises ProcessDied at every operation that its `except` and `finally`
blocks still try, so they have no effect.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import greenlet

_START = 1_800_000_000.0  # Unix seconds
_MAX_ORPHAN_OPERATIONS = 60
_MAX_STEPS = 200_000  # of one run; more of them mean that it will not end


class ProcessDied(BaseException):
    """A simulated process is dead."""


class DeadlockError(Exception):
    """Every process waits for another one."""


@dataclass(eq=False)
class Process:
    """A process.

    parent: the process whose death ends this one, unless it is left as an orphan.
    booted: the start time of the machine as this process read it.
    operations_left: how many operations an orphan still does before Ray ends it.
    signals: exceptions to raise at its next operation, as signal handlers do.
    """

    name: str
    pid: int
    started: float
    booted: float
    is_actor: bool
    parent: "Process | None" = None
    alive: bool = True
    operations_left: int | None = None
    signals: list[BaseException] = field(default_factory=list)


class Task:
    """A thread of a process."""

    def __init__(self, world: "Scheduler", process: Process, target: Callable[[], None]) -> None:
        self.world, self.process = world, process
        self.is_main = all(task.process is not process for task in world.tasks)
        self.is_ready: Callable[[], bool] | None = None  # None: it is ready
        self.wake_time: float | None = None
        self.greenlet = greenlet.greenlet(self._run)
        self._target = target

    def _run(self) -> None:
        with suppress(ProcessDied):
            self._target()

    def can_run(self) -> bool:
        if not self.process.alive or self.is_ready is None or self.is_ready():
            return True
        return self.wake_time is not None and self.world.clock >= self.wake_time


class Scheduler:
    """The processes, their clocks, and who runs next."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"world {seed}")
        self.clock, self.clock_offset = 0.0, 0.0
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self._next_pid, self._n_steps = 1000, 0
        self._hub: greenlet.greenlet | None = None

    # ---- time

    def wall_time(self) -> float:
        """Return the time of the clock that faults may step."""
        return _START + self.clock + self.clock_offset

    def sleep(self, seconds: float) -> None:
        """Let other tasks run until the time has passed."""
        wake_time = self.clock + max(0.0, seconds)
        self.wait(lambda: False, wake_time)

    def wait(self, is_ready: Callable[[], bool], wake_time: float | None = None) -> None:
        """Let other tasks run until a condition holds or a time has come."""
        task = self.require_current()
        while True:
            self.raise_if_dead(task.process)
            if is_ready() or (wake_time is not None and self.clock >= wake_time):
                return
            task.is_ready, task.wake_time = is_ready, wake_time
            self.leave(task)

    # ---- processes and tasks

    def start_process(
        self, name: str, target: Callable[[], None], *, parent: Process | None = None, is_actor: bool = False
    ) -> Process:
        """Start a process that calls a function."""
        self._next_pid += 1
        process = Process(name, self._next_pid, self.clock, _START + self.clock_offset, is_actor, parent)
        self.start_thread(process, target)
        return process

    def start_thread(self, process: Process, target: Callable[[], None]) -> Task:
        """Start a thread of a process."""
        task = Task(self, process, target)
        self.tasks.append(task)
        return task

    def current_process(self) -> Process:
        """Return the process that runs now."""
        return self.require_current().process

    def living_processes(self) -> Iterator[Process]:
        """Yield the processes that are alive."""
        yield from dict.fromkeys(task.process for task in self.tasks if task.process.alive)

    def kill(self, process: Process, *, leave_orphans: bool = False) -> None:
        """Kill a process and, unless they are left as orphans, its actors."""
        process.alive = False
        for child in list(self.living_processes()):
            if child.parent is process:
                if leave_orphans:
                    child.parent, child.operations_left = None, self.rng.randrange(_MAX_ORPHAN_OPERATIONS)
                else:
                    self.kill(child)

    def run(self, is_done: Callable[[], bool]) -> None:
        """Run tasks in a seeded order until a condition holds; then unwind those of dead processes."""
        self._hub = greenlet.getcurrent()
        while True:
            dead = next((task for task in self.tasks if not task.process.alive), None)
            if dead is not None:
                self._enter(dead)
                continue
            if is_done():
                return
            ready = [task for task in self.tasks if task.can_run()]
            if ready:
                self._enter(ready[0] if len(ready) == 1 else self.rng.choice(ready))
                continue
            times = [task.wake_time for task in self.tasks if task.wake_time is not None]
            if not times:
                raise DeadlockError("every process waits for another one")
            self.clock = max(self.clock, min(times))

    def _enter(self, task: Task) -> None:
        self._n_steps += 1
        if self._n_steps > _MAX_STEPS:
            raise DeadlockError("the run does not end")
        task.is_ready, task.wake_time = None, None
        task.greenlet.parent = self._hub  # to which it returns when it ends
        self.current = task
        task.greenlet.switch()
        self.current = None
        if task.greenlet.dead:
            self.tasks.remove(task)

    def leave(self, task: Task) -> None:
        """Let the hub choose who runs next."""
        assert self._hub is not None
        self._hub.switch()
        self.current = task

    def require_current(self) -> Task:
        """Return the task that runs now."""
        assert self.current is not None, "a simulated operation outside a simulated process"
        return self.current

    def raise_if_dead(self, process: Process) -> None:
        """Raise ProcessDied in a dead process, and the signals that a process was sent."""
        if not process.alive:
            raise ProcessDied
        task = self.require_current()
        if process.signals and task.process is process and task.is_main:  # as Python does
            raise process.signals.pop(0)
