"""Tagging survives every fault: some random ones, each that was once too much, and proof that a flaw is seen."""

import json
import random
from collections import Counter
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from unittest.mock import patch

import pytest

from rayner.corpus.corrections.correction import CORRECTIONS_FILE
from rayner.runs import storage
from rayner.steps.tag import attempts, recovery, tag_corpus
from tests.simulation.__main__ import describe_outcome, main, random_scenarios, run_and_print
from tests.simulation.corpora import CORPORA
from tests.simulation.faults import KINDS, Fault
from tests.simulation.file_system import File
from tests.simulation.jobs import OUT, simulated_jobs, verify_corpus
from tests.simulation.records import Scenario
from tests.simulation.scenario import run_scenario, undisturbed
from tests.simulation.schedules import draw_scenario, every_operation, format_fault, parse_fault
from tests.simulation.system_calls import ROOT
from tests.simulation.world import simulate_world

SLICE_SECONDS, FIRST_SEED = 30, 1_000_000


@pytest.fixture(autouse=True)
def _simulated_jobs(request):
    with nullcontext() if "command_line_replays" in request.node.name else simulated_jobs():
        yield


@pytest.mark.slow
def test_half_a_minute_of_random_faults_leaves_no_trace(capsys):
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


def strike_each_job(kind, operation, path_end, n_jobs, *, last=False):
    """Let a fault strike each of some jobs, one after the other, at its first (or last) such operation."""
    faults: list[Fault] = []
    for number in range(1, n_jobs + 1):
        log = run_scenario(Scenario(1, "clean", tuple(faults), 0.0, switch_share=0.0), compare=False).world.log
        fitting = [
            i for i, (process, each, path) in enumerate(log)
            if process.startswith(f"job {number}") and each == operation and path.endswith(path_end)
        ]  # fmt: skip
        faults.append(Fault(kind, fitting[-1 if last else 0]))
    outcome = run_scenario(Scenario(1, "clean", tuple(faults), 0.0, switch_share=0.0))
    assert [fault for _, fault in outcome.world.injected] == faults
    return outcome


@pytest.mark.parametrize("note", ["unit-000000.slm.json", "unit-000001.slm.json", "unit-000001.llm.json"])
@pytest.mark.parametrize("n_kills", [3, 6])
def test_innocent_kills_leave_no_segment_untagged(note, n_kills):
    """Once, each death counted as the segment's fault; three of them set it aside for good."""
    assert strike_each_job("kill_after", "rename", note, n_kills).violations == []


@pytest.mark.parametrize("note", ["unit-000001.slm.json", "unit-000001.llm.json"])
def test_kills_while_a_unit_is_predicted_whole_change_no_score(note):
    """Once, three of them made the unit's answers be taken one at a time, in other batches."""
    assert strike_each_job("kill_after", "rename", note, 3, last=True).violations == []


@pytest.mark.parametrize("kind", ["terminate", "interrupt"])
def test_a_signal_does_not_make_a_unit_be_tried_segment_by_segment(kind):
    outcome = strike_each_job(kind, "rename", "unit-000001.slm.json", 1)
    assert [job.code for job in outcome.jobs] == [143 if kind == "terminate" else 130, 0]
    assert outcome.violations == []


@pytest.mark.parametrize(
    ("kind", "operation", "path_end"),
    [
        ("torn_write", "write", ".tmp"),  # the first one is the marker of the folder
        ("kill_after", "create", ".tmp"),
        ("power_after", "rename", "units/unit-000000.json"),  # the folder of the manifests was lost
        ("power_after", "rename", "steps/tag_corpus.json"),
        ("kill_before", "rename", "steps/evahan.json"),  # left its unfinished file
        ("kill_before", "rename", "evahan/.rayner-output"),  # the export refused its own unfinished file
        ("error_io_read", "open", "steps/tune_fusion.json"),  # a traceback
        ("error_io_read", "open", "entities/unit-000001.parquet"),  # was taken for a damaged file
        ("error_access", "open", "plan/part-000000.parquet"),
    ],
)
def test_a_fault_that_once_left_a_trace_leaves_none(kind, operation, path_end):
    outcome = strike_each_job(kind, operation, path_end, 1)
    assert outcome.violations == [], describe_outcome(outcome)


@pytest.mark.parametrize("seed", range(12))
def test_a_clock_step_and_a_second_job_do_no_harm(seed):
    """Once, the second job took the living lock, and the first one was ended."""
    faults = (Fault("clock_step", 150 + 40 * seed), Fault("second_job", 170 + 40 * seed))
    outcome = run_scenario(Scenario(seed, "clean", faults, seconds_per_operation=0.3))
    assert outcome.violations == [], describe_outcome(outcome)


@pytest.mark.parametrize("corpus", CORPORA)
def test_another_rule_fuses_what_was_kept_without_asking_a_model(corpus):
    before = run_scenario(Scenario(0, corpus, (), switch_share=0.0), compare=False)
    outcome = run_scenario(Scenario(0, corpus, (), switch_share=0.0, other_rule=True))
    assert outcome.violations == []
    assert [job.code for job in outcome.jobs] == [0, 0]
    if corpus == "clean":  # each model saw each batch once
        assert max(Counter(outcome.world.batches).values()) == 2
    changed = {name for name in before.files if outcome.files[name] != before.files[name]}
    assert any(name.startswith("entities/") for name in changed)


@pytest.mark.parametrize("corpus", CORPORA)
def test_corrections_are_applied_to_every_corpus(corpus):
    plain = run_scenario(Scenario(0, corpus, (), switch_share=0.0), compare=False)
    outcome = run_scenario(Scenario(0, corpus, (), switch_share=0.0, corrected=True))
    assert outcome.violations == []
    assert any(name.startswith("replaced/") for name in outcome.files.keys() - plain.files.keys())
    assert CORRECTIONS_FILE in outcome.files
    counts = json.loads(outcome.files["run.json"])["corrections"]
    assert (counts["total"], counts["unmatched"]) == (5, [])


@pytest.mark.parametrize("seed", range(6))
def test_faults_leave_no_trace_in_a_corrected_corpus(seed):
    outcome = run_scenario(replace(draw_scenario(seed), corrected=True))
    assert outcome.violations == [], describe_outcome(outcome)


# Seeds that once showed a violation.
SEEDS = (
    59,
    103,
    117,
    141,
    146,
    183,
    202,
    204,
    295,
    309,
    345,
    743,
    1697,
    2302,
    2452,
    3078,
    4673,
    5320,
    5462,
    13109,
    1_000_002,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_once_left_a_trace_leaves_none(seed):
    outcome = run_scenario(draw_scenario(seed))
    assert outcome.violations == [], describe_outcome(outcome)


@pytest.mark.parametrize("fault", [Fault(kind, 17, lasts) for kind in KINDS for lasts in (False, True)], ids=str)
def test_a_fault_can_be_given_on_the_command_line(fault):
    assert parse_fault(format_fault(fault)) == fault


def test_the_command_line_replays_a_fault_and_prints_its_operations(capsys):
    assert main(["--seed", "5", "--corpus", "clean", "--fault", "kill_before@400"]) == 0
    printed = capsys.readouterr().out
    assert "seed 5: corpus clean, --fault kill_before@400\n  operation 400: kill_before" in printed
    assert "   400 job 1 " in printed


def files_that_verify_reads():
    return [name for name in undisturbed("clean", 1.0).files if not name.startswith((".", "evahan/", "steps/evahan"))]


def test_verify_notices_every_damaged_file():
    world = run_scenario(Scenario(3, "clean", ())).world
    with simulate_world(world):
        for name in files_that_verify_reads():
            for kind in ("flip", "cut", "empty", "remove"):
                path = f"{ROOT}/{OUT}/{name}"
                file = world.file_system.find(path)
                assert isinstance(file, File)
                content, folder = bytes(file.data), world.file_system.find_folder(path.rpartition("/")[0])
                if kind == "flip":
                    world.flip_bit(path)
                elif kind == "remove":
                    world.file_system.remove_file(path)
                else:
                    file.truncate(len(file.data) // 2 if kind == "cut" else 0)
                assert verify_corpus(world), f"{kind} {name}"
                file.data[:] = content
                folder.entries[path.rpartition("/")[2]] = file
        assert verify_corpus(world) == [], "all files are as they were"


# ---- flaws, each of which the simulation must show


def without_fsync_of_folders():
    return patch.object(storage, "_sync_parents", lambda *_: None)


def writing_in_place():
    @contextmanager
    def write(path, check_file):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            yield stream

    return patch.object(storage, "_atomic_local_writer", write)


def counting_notes_of_other_jobs():
    real = attempts._read_note

    def read(path, job):
        note = real(path, "")
        with suppress(FileNotFoundError):
            note = attempts.AttemptNote(**attempts.read_checked_json(path))
        note.job = job
        return note

    return patch.object(attempts, "_read_note", read)


def trusting_recorded_units():
    def check(unit, out):
        return recovery.read_unit_record(out, unit.name)

    return patch.object(recovery, "_read_record_or_problem", check)


def keeping_outdated_manifests():
    return patch.object(tag_corpus, "forget_outdated_steps", lambda *_, **__: None)


def see_violation(flaw, kinds, n_seeds=40):
    """Return the first violation with a flaw and faults of some kinds, in the second half of a job and later."""
    n_operations = undisturbed("clean", 1.0).world.n_operations
    for seed in range(n_seeds):
        first = n_operations // 2 + seed * 37 % (n_operations // 2)
        faults = tuple(Fault(kinds[(seed + i) % len(kinds)], first + 150 * i) for i in range(4))
        with flaw():
            violations = run_scenario(Scenario(seed, "clean", faults)).violations
        if violations:
            return violations[0]
    raise AssertionError(f"not seen in {n_seeds} seeds")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flaw", "kinds"),
    [
        (writing_in_place, ("torn_write", "power_after")),
        (trusting_recorded_units, ("flip_bit",)),
        (keeping_outdated_manifests, ("flip_bit",)),
    ],
)
def test_a_flaw_in_the_protocol_is_seen(flaw, kinds):
    assert see_violation(flaw, kinds)


def files_lost_by_a_power_cut_after_the_job(seed):
    """The files of a job that ended with 0 which a power cut right afterwards takes away or changes."""
    outcome = run_scenario(Scenario(seed, "clean", (), 1.0, switch_share=0.0), compare=False)
    file_system = outcome.world.file_system
    before = file_system.files()
    file_system.cut_power(random.Random(seed))
    after = file_system.files()
    return {path for path, content in before.items() if after.get(path) != content and not path.endswith(".tmp")}


def test_a_power_cut_after_the_end_of_a_job_takes_nothing():
    assert [files_lost_by_a_power_cut_after_the_job(seed) for seed in range(5)] == [set()] * 5


def test_without_fsync_of_folders_a_power_cut_after_the_end_takes_files():
    """A job that is given again repairs this, so the other scenarios do not show it."""
    with without_fsync_of_folders():
        assert any(files_lost_by_a_power_cut_after_the_job(seed) for seed in range(5))


def test_blaming_a_segment_for_deaths_in_other_jobs_is_seen():
    with counting_notes_of_other_jobs():
        outcome = strike_each_job("kill_after", "rename", "unit-000001.slm.json", 5)
    assert any("batches" in violation or "different files" in violation for violation in outcome.violations)


@pytest.mark.slow
def test_a_sample_of_every_fault_at_every_operation_leaves_no_trace():
    scenarios = list(every_operation())
    assert len(scenarios) > 4000
    totals = run_and_print(scenarios[:: len(scenarios) // 60], float("inf"))
    assert totals.identical == totals.scenarios
