"""Run a scenario: a corpus, settings and faults, all from a seed; and check what became of it."""

from functools import cache

from rayner.corpus.corrections.correction import CORRECTIONS_FILE, format_corrections
from tests.simulation.checks import check_end
from tests.simulation.corpora import CORPORA, CORRECTIONS
from tests.simulation.faults import AT_REST
from tests.simulation.file_system import FileSystem
from tests.simulation.job_series import JobSeries
from tests.simulation.jobs import CORPUS, OUT, RUN
from tests.simulation.records import Outcome, Scenario
from tests.simulation.scheduler import DeadlockError
from tests.simulation.system_calls import ROOT
from tests.simulation.trained_run import OTHER_RULE, make_fusion_file, make_run_files
from tests.simulation.world import World, simulate_world


@cache
def _initial_files(corpus: str) -> dict[str, bytes]:
    return {
        **{f"{RUN}/{name}": content for name, content in make_run_files().items()},
        **{f"{CORPUS}/{name}": content for name, content in CORPORA[corpus].files().items()},
        f"{RUN}/{CORRECTIONS_FILE}": format_corrections(CORRECTIONS).encode(),
    }


@cache
def undisturbed(corpus: str, max_set_aside: float, other_rule: bool = False, corrected: bool = False) -> Outcome:
    """Run a scenario without faults."""
    scenario = Scenario(0, corpus, (), max_set_aside, switch_share=0.0, other_rule=other_rule, corrected=corrected)
    return run_scenario(scenario, compare=False)


def _undisturbed(scenario: Scenario) -> Outcome:
    return undisturbed(scenario.corpus, scenario.max_set_aside, scenario.other_rule, scenario.corrected)


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
            JobSeries(outcome, _known_batches(scenario) if compare else None).run()
        except DeadlockError as error:
            outcome.violations.append(str(error))
    outcome.files = file_system.files(OUT)
    outcome.violations += world.violations
    if compare and not outcome.violations:
        expected = _undisturbed(scenario)
        outcome.violations += check_end(
            outcome.files, outcome.jobs[-1], expected.files, expected.jobs[-1], world.messages
        )
        untouched = {**file_system.files(RUN), **file_system.files(CORPUS)}
        before = {name.partition("/")[2]: content for name, content in _initial_files(scenario.corpus).items()}
        if scenario.other_rule:
            before["fusion.json"] = make_fusion_file(OTHER_RULE)
        if untouched != before:
            outcome.violations.append("the run folder or the corpus was changed")
    return outcome


def _known_batches(scenario: Scenario) -> set[tuple[str, ...]]:
    return set(_undisturbed(scenario).world.batches)
