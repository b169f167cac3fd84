"""Tagging survives every fault: a minute of random ones, each that was once too much, and proof that a flaw is seen."""

from contextlib import contextmanager, suppress
from unittest.mock import patch

import pytest

from rayner.corpus import tables
from rayner.runs import storage
from rayner.steps.tag import attempts, recovery, units
from tests.simulation.__main__ import describe_outcome, random_scenarios, run_and_print
from tests.simulation.faults import KINDS, Fault
from tests.simulation.file_system import File
from tests.simulation.jobs import OUT, simulated_jobs, verify_corpus
from tests.simulation.records import Scenario
from tests.simulation.scenario import run_scenario, undisturbed
from tests.simulation.schedules import draw_scenario, every_operation, format_fault, parse_fault
from tests.simulation.system_calls import ROOT
from tests.simulation.world import simulate_world

SLICE_SECONDS, FIRST_SEED = 60, 1_000_000


@pytest.fixture(autouse=True)
def _simulated_jobs():
    with simulated_jobs():
        yield


@pytest.mark.slow
def test_a_minute_of_random_faults_leaves_no_trace(capsys):
    totals = run_and_print(random_scenarios(FIRST_SEED, None), SLICE_SECONDS)
    assert totals.identical == totals.scenarios, capsys.readouterr().out
    assert totals.faults.total() >= totals.scenarios > 0


def test_a_seed_replays_operation_by_operation():
    first, second = (run_scenario(draw_scenario(7)) for _ in range(2))
    assert first.world.log == second.world.log
    assert first.world.n_operations > 500
    assert first.files == second.files


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("corpus", ["clean", "several"])
def test_the_order_of_units_and_operations_does_not_show(corpus, seed):
    outcome = run_scenario(Scenario(seed, corpus, (), switch_share=0.5))
    assert outcome.violations == []
    assert len({process for process, _, _ in outcome.world.log}) >= 2


# Each of these scenarios once ended with a violation.
REGRESSIONS = {
    "three innocent kills left a segment untagged": ("clean", "kill_after@357 kill_after@712 kill_after@1078"),
    "kills while a unit is tried whole changed scores": ("clean", "kill_after@552 kill_after@838 kill_after@1220"),
    "SIGTERM made a unit be tried segment by segment": ("clean", "terminate@552"),
    "a lost folder left tables without a plan": ("llm_dies", "power_before@840 empty_file@1248"),
    "an unfinished marker of an export blocked it": ("several", "torn_write@981 kill_actor_after@1144"),
    "an unfinished file remained in the folder of manifests": ("clean", "torn_write@900 kill_before@1060"),
    "an unreadable manifest of the run printed a traceback": ("clean", "error_io_read@7"),
    "an unreadable table counted as damaged": ("clean", "error_io_read@1000"),
    "a clock step and a second job": ("clean", "clock_step@263 second_job@283"),
}


@pytest.mark.parametrize("corpus_and_faults", REGRESSIONS.values(), ids=REGRESSIONS)
def test_what_once_left_a_trace_leaves_none(corpus_and_faults):
    corpus, faults = corpus_and_faults
    outcome = run_scenario(Scenario(1, corpus, tuple(map(parse_fault, faults.split()))))
    assert outcome.violations == [], describe_outcome(outcome)


@pytest.mark.parametrize("fault", [Fault(kind, 17, lasts) for kind in KINDS for lasts in (False, True)], ids=str)
def test_a_fault_can_be_given_on_the_command_line(fault):
    assert parse_fault(format_fault(fault)) == fault


def files_that_verify_reads():
    return [name for name in undisturbed("clean", 1.0).files if not name.startswith((".", "evahan/", "steps/evahan"))]


def test_verify_notices_every_damaged_file():
    for name in files_that_verify_reads():
        for kind in ("flip", "cut", "empty", "remove"):
            world = run_scenario(Scenario(3, "clean", ())).world
            path = f"{ROOT}/{OUT}/{name}"
            file = world.file_system.find(path)
            assert isinstance(file, File)
            if kind == "flip":
                world.flip_bit(path)
            elif kind == "remove":
                world.file_system.remove_file(path)
            else:
                file.truncate(len(file.data) // 2 if kind == "cut" else 0)
            with simulate_world(world):
                assert verify_corpus(world), f"{kind} {name}"


# ---- flaws, each of which the simulation must show


@contextmanager
def without_fsync_of_folders():
    with patch.object(storage, "_sync_parents", lambda *_: None):
        yield


@contextmanager
def writing_in_place():
    @contextmanager
    def write(path, check_file):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            yield stream

    with patch.object(storage, "_atomic_local_writer", write):
        yield


@contextmanager
def counting_notes_of_other_jobs():
    real = attempts._read_note

    def read(path, job):
        note = real(path, "")
        with suppress(FileNotFoundError):
            note = attempts.AttemptNote(**attempts.read_checked_json(path))
        note.job = job
        return note

    with patch.object(attempts, "_read_note", read):
        yield


@contextmanager
def committing_before_the_tables():
    real = units.write_unit_record

    def write(table, path):
        digest = tables.write_table(table, path)
        if path.parent.name == "entities":
            record = units.UnitRecord(path.stem, "", {}, units.UnitCounts())
            real(path.parent.parent, record)
        return digest

    with patch.object(units, "write_table", write):
        yield


@contextmanager
def trusting_recorded_units():
    with patch.object(recovery, "_check_unit", lambda unit, out: (recovery.read_unit_record(out, unit.name), "")):
        yield


FLAWS = {
    without_fsync_of_folders: ("power_before",),
    writing_in_place: ("torn_write", "power_after"),
    counting_notes_of_other_jobs: ("kill_before",),
    committing_before_the_tables: ("kill_before",),
    trusting_recorded_units: ("power_before", "flip_bit"),
}


@pytest.mark.slow
@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.__name__)
def test_a_flaw_in_the_protocol_is_seen(flaw):
    undisturbed("clean", 1.0)
    n_operations = undisturbed("clean", 1.0).world.n_operations
    for seed in range(300):
        kinds = FLAWS[flaw]
        first = n_operations // 3 + seed * 37 % (2 * n_operations // 3)
        faults = tuple(Fault(kinds[(seed + i) % len(kinds)], first + 150 * i) for i in range(4))
        with flaw():
            if run_scenario(Scenario(seed, "clean", faults)).violations:
                return
    raise AssertionError("not seen in 300 seeds")


@pytest.mark.slow
def test_a_sample_of_every_fault_at_every_operation_leaves_no_trace():
    scenarios = list(every_operation())
    assert len(scenarios) > 4000
    totals = run_and_print(scenarios[:: len(scenarios) // 60], float("inf"))
    assert totals.identical == totals.scenarios
