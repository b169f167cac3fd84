"""A scenario: a corpus, settings and faults, all from a seed; jobs are started until the corpus is tagged."""

from dataclasses import dataclass, field
from functools import cache

from tests.simulation.checks import check_end, check_job
from tests.simulation.corpora import CORPORA
from tests.simulation.faults import AT_REST, EVENTS, Fault
from tests.simulation.file_system import File, FileSystem
from tests.simulation.jobs import CORPUS, OUT, RUN, Job, make_config, start_job
from tests.simulation.scheduler import DeadlockError
from tests.simulation.system_calls import ROOT
from tests.simulation.trained_run import make_run_files
from tests.simulation.world import World, simulate_world

_MAX_JOBS = 30


@dataclass(frozen=True)
class Scenario:
    """What happens in a run of the simulation. All of it follows from the fields.

    max_set_aside: the setting `tag.max_set_aside`.
    """

    seed: int
    corpus: str
    faults: tuple[Fault, ...]
    max_set_aside: float = 1.0
    switch_share: float = 0.2
    seconds_per_operation: float = 0.001


@dataclass
class Outcome:
    """What became of a scenario.

    files: the tagged corpus at the end.
    n_restored: how often a person restored a damaged file, because the message said so.
    """

    scenario: Scenario
    world: World
    jobs: list[Job] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    n_restored: int = 0


@cache
def _initial_files(corpus: str) -> dict[str, bytes]:
    return {
        **{f"{RUN}/{name}": content for name, content in make_run_files().items()},
        **{f"{CORPUS}/{name}": content for name, content in CORPORA[corpus].files().items()},
    }


@cache
def undisturbed(corpus: str, max_set_aside: float) -> Outcome:
    """Run a scenario without faults."""
    return run_scenario(Scenario(0, corpus, (), max_set_aside, switch_share=0.0), compare=False)


def run_scenario(scenario: Scenario, *, compare: bool = True) -> Outcome:
    """Run a scenario to its end and check it."""
    file_system = FileSystem(ROOT)
    file_system.write_files(_initial_files(scenario.corpus))
    world = World(
        scenario.seed,
        file_system,
        [fault for fault in scenario.faults if fault.kind not in AT_REST],
        switch_share=scenario.switch_share,
        seconds_per_operation=scenario.seconds_per_operation,
    )
    outcome = Outcome(scenario, world)
    with simulate_world(world):
        try:
            _start_jobs_until_done(outcome)
        except DeadlockError as error:
            outcome.violations.append(str(error))
    outcome.files = file_system.files(OUT)
    outcome.violations += world.violations
    if compare and not outcome.violations:
        expected = undisturbed(scenario.corpus, scenario.max_set_aside)
        outcome.violations += check_end(outcome.files, outcome.jobs[-1], expected.files, expected.jobs[-1])
        untouched = {**file_system.files(RUN), **file_system.files(CORPUS)}
        before = {name.partition("/")[2]: content for name, content in _initial_files(scenario.corpus).items()}
        if untouched != before:
            outcome.violations.append("the run folder or the corpus was changed")
    return outcome


def _start_jobs_until_done(outcome: Outcome) -> None:
    scenario, world = outcome.scenario, outcome.world
    at_rest = sorted((fault for fault in scenario.faults if fault.kind in AT_REST), key=lambda fault: fault.operation)
    second_jobs: list[Job] = []
    damaged: dict[str, bytes] = {}

    def start_second_job() -> None:
        second_jobs.append(start_job(world, f"second job {len(second_jobs) + 1}", outcome.jobs[-1].config))

    def step_clock() -> None:
        world.clock_offset += world.rng.uniform(-12, 12) * 3600

    def send_signal(error: BaseException) -> None:
        process = outcome.jobs[-1].process
        if process is not None and process.alive:
            process.signals.append(error)

    world.on_fault = {
        "second_job": start_second_job,
        "clock_step": step_clock,
        "repeat_unit": lambda: None,
        "interrupt": lambda: send_signal(KeyboardInterrupt()),
        "terminate": lambda: send_signal(SystemExit(143)),
    }
    assert world.on_fault.keys() == set(EVENTS)
    for _ in range(_MAX_JOBS):
        n_injected, n_batches, n_deaths = len(world.injected), len(world.batches), world.n_actor_deaths
        damaged.update(_damage_files(world, at_rest))
        config = make_config(n_actors=world.rng.randint(1, 3), max_set_aside=scenario.max_set_aside)
        job = start_job(world, f"job {len(outcome.jobs) + 1}", config)
        outcome.jobs.append(job)
        world.lasting_errors = []
        world.run(lambda job=job: job.is_done and all(second.is_done for second in second_jobs))
        if job.code is not None and _do_as_told(world, job, damaged):
            outcome.n_restored += 1
            continue
        kinds = {fault.kind for _, fault in world.injected[n_injected:]}
        outcome.violations += check_job(job, kinds, damaged, world)
        if scenario.corpus == "clean" and scenario.faults and world.n_actor_deaths == n_deaths:
            known = set(undisturbed(scenario.corpus, scenario.max_set_aside).world.batches)
            others = [batch for batch in world.batches[n_batches:] if batch not in known]
            if others:
                outcome.violations.append(f"{len(others)} batches that an undisturbed job does not make: {others[0]}")
        if outcome.violations:
            return
        if job.code in (0, 3):
            damaged.clear()
        if job.code in (0, 3) and not (at_rest and world.file_system.files(OUT)):
            world.run(lambda: not world.tasks)
            return
        if job.code in (0, 3):
            at_rest[0] = Fault(at_rest[0].kind, 0)
    outcome.violations.append(f"not done after {_MAX_JOBS} jobs")


def _do_as_told(world: World, job: Job, damaged: dict[str, bytes]) -> bool:
    """Restore a damaged control file, or move a changed export away, if a message names it and says so."""
    messages = [job.message, *world.messages]
    for name, content in damaged.items():
        path = f"{ROOT}/{OUT}/{name}"
        told = " ".join(message for message in messages if path in message)
        if name.startswith("evahan/"):
            if "ove it away" in told or "move this file away" in told:
                world.file_system.remove_file(path)
            elif "move the folder away" in told:
                for other in world.file_system.files(f"{OUT}/evahan"):
                    world.file_system.remove_file(f"{ROOT}/{OUT}/evahan/{other}")
            else:
                continue
        elif name.endswith(".json") and job.message.startswith(path) and "restore it" in told:
            world.file_system.write_files({f"{OUT}/{name}": content})
        else:
            continue
        del damaged[name]
        return True
    return False


def _damage_files(world: World, at_rest: list[Fault]) -> dict[str, bytes]:
    """Damage files of the tagged corpus, as due; return what they held, by name."""
    damaged = {}
    while at_rest and at_rest[0].operation <= world.n_operations:
        names = sorted(world.file_system.files(OUT))
        if not names:
            break
        fault, name = at_rest.pop(0), world.rng.choice(names)
        file = world.file_system.find(f"{ROOT}/{OUT}/{name}")
        assert isinstance(file, File)
        damaged[name] = bytes(file.data)
        if fault.kind == "flip_bit":
            world.flip_bit(f"{ROOT}/{OUT}/{name}")
        else:
            file.truncate(0 if fault.kind == "empty_file" or not file.data else world.rng.randrange(len(file.data)))
            file.sync()
        world.injected.append((world.n_operations, fault))
        if not _is_committed(world, name):
            del damaged[name]  # the job writes the file again without reading it
    return damaged


def _is_committed(world: World, name: str) -> bool:
    """Return whether a file is one on which the next job builds."""
    folder, _, file = name.rpartition("/")
    if folder in ("documents", "plan"):
        return world.file_system.exists(f"{ROOT}/{OUT}/steps/plan.json")
    if folder in ("entities", "segments"):
        return world.file_system.exists(f"{ROOT}/{OUT}/units/{file.removesuffix('.parquet')}.json")
    return True
