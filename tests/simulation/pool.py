"""Ray Data's pool of actors, as far as rayner uses it: units in a seeded order, actors that die and are replaced."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from ray.exceptions import RayActorError

from tests.simulation.scheduler import Process, ProcessDied
from tests.simulation.world import World, current_world


class ActorPool:
    """A data set of rows that actors map. It stands for `ray.data.from_items(rows).map(...)`."""

    def __init__(self, rows: list[dict[str, Any]], **_: object) -> None:
        self.world: World = current_world()
        self.driver: Process = self.world.current_process()
        others = [process.name for process in self.world.working if process.alive and process is not self.driver]
        if others:
            self.world.violations.append(
                f"{self.driver.name} and {', '.join(others)} work in one folder at the same time"
            )
        self.world.working.append(self.driver)
        self.pending = list(rows)
        self.world.rng.shuffle(self.pending)
        self.n_rows = len(rows)
        self.results: list[dict[str, Any]] = []
        self.done: set[str] = set()
        self.in_hand: dict[Process, dict[str, Any]] = {}
        self.error: BaseException | None = None
        self.n_restarts = self.n_started = 0

    def map(
        self,
        actor_class: Callable[..., Any],
        *,
        fn_constructor_kwargs: dict[str, Any],
        compute: SimpleNamespace,
        max_restarts: int,
        **_: object,
    ) -> "ActorPool":
        """Set what the actors are."""
        self.make_actor = lambda: actor_class(**fn_constructor_kwargs)
        self.n_actors, self.max_restarts = compute.size, max_restarts
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """Start the actors and yield their results."""
        pools = self.world.on_fault
        pools["repeat_unit"] = self.repeat_unit
        for _ in range(min(self.n_actors, self.n_rows)):
            self.start_actor()
        n_results = 0
        try:
            while n_results < self.n_rows:
                self.world.wait(lambda: bool(self.results) or self.error is not None)
                if self.results:
                    n_results += 1
                    yield self.results.pop(0)
                elif self.error is not None:
                    raise self.error
        finally:
            if self.driver.alive:
                self.stop_actors()

    def stop_actors(self) -> None:
        """Kill the actors, as Ray does when nobody needs them any more; and long before, those of an earlier job."""
        for process in list(self.world.living_processes()):
            if process.is_actor and process.parent in (self.driver, None):
                self.world.kill(process)

    def repeat_unit(self) -> None:
        """Give a unit in hand to another actor too, as if the first were cut off from the cluster but alive."""
        living = [row for process, row in self.in_hand.items() if process.alive]
        if living:
            self.pending.append(self.world.rng.choice(living))
            self.start_actor()

    def start_actor(self) -> None:
        """Start an actor, which takes units until there are none."""
        from tests.simulation.environment import clear_caches

        def act() -> None:
            clear_caches()
            try:
                self._take_units(process)
            except (ProcessDied, KeyboardInterrupt, SystemExit):
                process.alive = False
                self._replace(process)
                raise ProcessDied from None
            process.alive = False

        self.n_started += 1
        process = self.world.start_process(
            f"{self.driver.name} actor {self.n_started}", act, parent=self.driver, is_actor=True
        )

    def _take_units(self, process: Process) -> None:
        try:
            actor = self.make_actor()
        except Exception as error:
            self.error = RayActorError(error_msg=f"{type(error).__name__}: {error}", actor_init_failed=True)
            return
        while self.pending:
            row = self.pending.pop(0)
            if row["unit"] in self.done:
                continue
            self.in_hand[process] = row
            result = actor(row)
            del self.in_hand[process]
            if row["unit"] not in self.done:
                self.done.add(row["unit"])
                self.results.append(result)

    def _replace(self, process: Process) -> None:
        """Give the unit of a dead actor to a new one."""
        row = self.in_hand.pop(process, None)
        if row is not None and row["unit"] not in self.done:
            self.pending.insert(0, row)
        if not self.driver.alive or process.parent is None:
            return
        self.world.n_actor_deaths += 1
        if not self.pending:
            return
        self.n_restarts += 1
        if self.n_restarts > self.max_restarts:
            self.error = RayActorError(error_msg="The actor died unexpectedly before finishing this task.")
        else:
            self.start_actor()
