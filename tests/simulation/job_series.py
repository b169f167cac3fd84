"""The jobs of a scenario: the same command, given again until the corpus is tagged."""

from collections.abc import Set as AbstractSet

from tests.simulation.checks import check_job
from tests.simulation.damage import damage_file, follow_message
from tests.simulation.faults import ACTOR_KILLS, AT_REST, EVENTS, Fault
from tests.simulation.jobs import OUT, RUN, Job, make_config, start_job, verify_corpus
from tests.simulation.records import Outcome
from tests.simulation.scheduler import Process
from tests.simulation.trained_run import OTHER_RULE, make_fusion_file

_MAX_JOBS = 30
_SEEDS_PER_VERIFY = 5
_MAX_DEATHS_WITHOUT_BLAME = 1  # in one job; after two deaths over a segment alone, it is set aside, whoever caused them


class JobSeries:
    """Starts jobs until one is done, strikes with faults between them, and checks each job.

    known_batches: the batches that undisturbed jobs make; None if they are not known.
    """

    def __init__(self, outcome: Outcome, known_batches: AbstractSet[tuple[str, ...]] | None) -> None:
        self.outcome, self.scenario, self.world = outcome, outcome.scenario, outcome.world
        self.known_batches = known_batches
        faults = sorted(self.scenario.faults, key=lambda fault: fault.operation)
        self.at_rest = [fault for fault in faults if fault.kind in AT_REST]
        self.damaged: dict[str, bytes] = {}
        self.second_jobs: list[Job] = []
        self._orphans: list[Process] = []
        self._has_final_rule = not self.scenario.other_rule
        self.may_have_blamed = False  # whether an innocent segment may be set aside
        self.world.on_fault = {
            "second_job": self._start_second_job,
            "clock_step": self._step_clock,
            "repeat_unit": lambda: None,
            "interrupt": lambda: self._send_signal(KeyboardInterrupt()),
            "terminate": lambda: self._send_signal(SystemExit(143)),
        }
        assert self.world.on_fault.keys() == set(EVENTS)

    def run(self) -> None:
        """Start jobs until the corpus is tagged, and verify it."""
        for _ in range(_MAX_JOBS):
            if self._run_job():
                for orphan in list(self.world.living_processes()):  # Ray has ended them long before a job is through
                    self.world.kill(orphan)
                self.world.run(lambda: not self.world.tasks)
                self.world.faults = []
                if self.scenario.seed % _SEEDS_PER_VERIFY == 0:  # every job has verified its tables
                    self.outcome.violations += [f"verify: {problem}" for problem in verify_corpus(self.world)]
                return
            if self.outcome.violations:
                return
        self.outcome.violations.append(f"not done after {_MAX_JOBS} jobs")

    def _run_job(self) -> bool:
        """Run a job and what strikes it; return whether the corpus is tagged."""
        world, outcome = self.world, self.outcome
        n_injected, n_batches, n_deaths = len(world.injected), len(world.batches), world.n_actor_deaths
        n_second_jobs = len(self.second_jobs)
        self._damage_files()
        self._end_old_orphans()
        retries = self._draw_retry()
        config = make_config(
            n_actors=world.rng.randint(1, 3),
            max_set_aside=self.scenario.max_set_aside,
            exact_gate=not self.scenario.other_rule,
            corrected=self.scenario.corrected,
        )
        job = start_job(world, f"job {len(outcome.jobs) + 1}", config, retries_set_aside=retries)
        outcome.jobs.append(job)
        world.lasting_errors = []
        world.run(lambda: job.is_done and all(second.is_done for second in self.second_jobs))
        if job.code is not None and follow_message(world, job, self.damaged):
            outcome.n_restored += 1
            return False
        kinds = [fault.kind for _, fault in world.injected[n_injected:]]
        if sum(kind in ACTOR_KILLS for kind in kinds) > _MAX_DEATHS_WITHOUT_BLAME:
            self.may_have_blamed = True
        elif retries and job.code in (0, 3):
            self.may_have_blamed = False
        if retries:  # it forgets units without reading them, so it need not name their files
            self.damaged = {name: content for name, content in self.damaged.items() if not name.endswith(".parquet")}
        outcome.violations += check_job(job, kinds, self.damaged, world)
        for second in self.second_jobs[n_second_jobs:]:
            outcome.violations += check_job(second, kinds, self.damaged, world, is_second=True)
        if world.n_actor_deaths == n_deaths:
            self._check_batches(world.batches[n_batches:])
        if outcome.violations or job.code not in (0, 3):
            return False
        self.damaged.clear()
        if self.at_rest and world.file_system.files(OUT):
            self.at_rest[0] = Fault(self.at_rest[0].kind, 0)
            return False
        was_disturbed = any(second.code not in (0, 2, 3) for second in self.second_jobs[n_second_jobs:])
        if was_disturbed or self.may_have_blamed:
            return False
        has_final_rule, self._has_final_rule = self._has_final_rule, True
        if not has_final_rule:
            world.file_system.write_files({f"{RUN}/fusion.json": make_fusion_file(OTHER_RULE)})
        return has_final_rule

    def _end_old_orphans(self) -> None:
        """End the actors that have outlived their own job and the next one: Ray ends them within seconds."""
        orphans = [process for process in self.world.living_processes() if process.is_actor]
        for orphan in self._orphans:
            self.world.kill(orphan)
        self._orphans = [orphan for orphan in orphans if orphan.alive]

    def _draw_retry(self) -> bool:
        """Return whether the next job has `--retry-set-aside`."""
        is_undisturbed = not self.scenario.faults
        return self.may_have_blamed or (
            not is_undisturbed and self.scenario.corpus != "clean" and self.world.rng.random() < 0.3
        )

    def _check_batches(self, batches: list[tuple[str, ...]]) -> None:
        """Without deaths of actors and without poison, models are asked about whole units only."""
        if self.known_batches is None or self.scenario.corpus != "clean":
            return
        others = [batch for batch in batches if batch not in self.known_batches]
        if others:
            self.outcome.violations.append(
                f"{len(others)} batches that an undisturbed job does not make, such as {others[0]}"
            )

    def _damage_files(self) -> None:
        while self.at_rest and self.at_rest[0].operation <= self.world.n_operations:
            if not self.world.file_system.files(OUT):
                return
            self.damaged.update(damage_file(self.world, self.at_rest.pop(0)))

    # ---- events

    def _start_second_job(self) -> None:
        name = f"second job {len(self.second_jobs) + 1}"
        self.second_jobs.append(start_job(self.world, name, self.outcome.jobs[-1].config))

    def _step_clock(self) -> None:
        self.world.clock_offset += self.world.rng.uniform(-12, 12) * 3600

    def _send_signal(self, error: BaseException) -> None:
        process = self.outcome.jobs[-1].process
        if process is not None and process.alive:
            process.signals.append(error)
