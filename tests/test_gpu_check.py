"""`make gpu-check` runs on a CPU at small size. Each of its checks fails if what it checks is broken."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gpu_check import lora_training, memory, neighbours, normalizers, scoring, slm_training, speed, token_budget
from gpu_check.check_setup import CheckSetup
from gpu_check.checks import CHECKS, Check
from gpu_check.child_process import ChildCall, run_in_child
from gpu_check.one_rank import DeepSpeedEngine
from gpu_check.records import FAILED, PASSED, SKIPPED, Findings, Machine
from gpu_check.runner import run_checks, run_in_this_process
from gpu_check.shapes import SIZES
from rayner.decoding.draft_verify import DraftVerifyEngine

ROOT = Path(__file__).parents[1]
SETUP = CheckSetup(torch.device("cpu"), replace(SIZES["small"], requests=6, sentences=32))
MACHINE = Machine("cpu", "test", 0, 1, {})

# Hides from Python all packages but torch, transformers and what these two need, as on a machine that has only these.
SITECUSTOMIZE = """
import re, sys
from importlib import metadata

needed, waiting = set(), ["torch", "transformers"]
while waiting:
    name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
    if name in needed:
        continue
    needed.add(name)
    try:
        requires = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        continue
    waiting += [re.match(r"[\\w.-]+", text)[0] for text in requires if "extra ==" not in text]
modules = metadata.packages_distributions()
hidden = {
    module for module, names in modules.items()
    if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & needed and module != "rayner"
}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


def run_script(out, *arguments, path=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "gpu_check", "--size", "small", "--device", "cpu", "--out", str(out), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    return done, json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_check_passes_on_a_cpu_or_says_why_it_did_not_run(tmp_path):
    done, report = run_script(tmp_path / "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert list(statuses) == [check.name for check in CHECKS]
    assert {name for name, status in statuses.items() if status != PASSED} == {"neighbours_gpu"}
    for check in report["checks"]:
        assert bool(check["reason"]) is (check["status"] == SKIPPED)
        assert bool(check["figures"]) is (check["status"] == PASSED)
        assert re.search(rf"^{re.escape(check['name'])} +{check['status']}", done.stdout, re.MULTILINE)
    gaps = {gap["what"]: gap["reason"] for gap in report["not_run"]}
    assert set(gaps) == {"neighbours_gpu", "anything on a GPU", "the shapes of the real models"}
    assert all(f"not run: {what}: {reason}" in done.stdout for what, reason in gaps.items())
    assert report["machine"]["packages"]["deepspeed"] == importlib.metadata.version("deepspeed")
    figures = {check["name"]: check["figures"] for check in report["checks"]}
    assert figures["lora_training_0.5b"]["optimizer"] == "DeepSpeed, ZeRO-2"
    assert figures["answers_float32_0.5b"]["different_answers"] == 0
    assert figures["slm_training"]["peak_bytes"] > 0
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_it_runs_where_only_torch_and_transformers_are_installed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    hidden = "from importlib.util import find_spec as f; print([*filter(f, 'ray pyarrow upath peft faiss'.split())])"
    environment = {**os.environ, "PYTHONPATH": path}
    assert subprocess.check_output([sys.executable, "-c", hidden], env=environment, text=True) == "[]\n"
    names = [
        check.name
        for check in CHECKS
        if not check.name.startswith(("answers_bfloat16", "scoring_speed", "token_budget"))
    ]
    done, report = run_script(tmp_path / "report.json", "--only", *names, path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = {check["name"]: check["reason"] for check in report["checks"] if check["status"] == SKIPPED}
    assert skipped == {
        "lora_training_0.5b": "not installed: peft",
        "lora_training_14b": "not installed: peft",
        "neighbours_cpu": "not installed: faiss",
        "neighbours_gpu": "not installed: faiss",
    }
    assert {check["status"] for check in report["checks"]} == {PASSED, SKIPPED}


# ---- the runner


def fail(setup, findings):
    findings.note("steps", 3)
    raise RuntimeError("a kernel failed")


def crash(setup, findings):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(setup, findings):
    time.sleep(100)


def succeed(setup, findings):
    findings.note("device", setup.device.type)


@pytest.mark.slow
def test_a_check_that_fails_crashes_or_hangs_does_not_stop_the_others(tmp_path):
    names = ("fail", "crash", "succeed", "hang", "late")
    checks = [Check(name, f"{__name__}:{name}") for name in names] + [
        Check("none", "x:y", packages=("no_such_package",))
    ]
    shown = []
    report = run_checks(checks, MACHINE, "small", 8, tmp_path / "report.json", shown.append)
    assert shown == list(report.checks)
    found = {check.name: (check.status, check.reason) for check in report.checks}
    assert found["fail"] == (FAILED, "RuntimeError: a kernel failed")
    assert found["crash"] == (FAILED, "its process ended without a result (signal SIGKILL)")
    assert found["succeed"] == (PASSED, "")
    assert found["hang"][0] == FAILED
    assert re.fullmatch(r"it was stopped after \d+ s", found["hang"][1])
    assert found["late"] == (SKIPPED, "the time budget has 0 s left, the check needs about 2 s")
    assert found["none"] == (SKIPPED, "not installed: no_such_package")
    assert report.checks[0].figures == {"steps": 3}
    assert report.failed
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [check["status"] for check in written["checks"]] == [check.status for check in report.checks]
    assert {"late", "none"} < {gap["what"] for gap in written["not_run"]}


def test_the_report_is_there_before_the_first_check_ends(tmp_path):
    seen = []

    def look(result):
        seen.append(json.loads((tmp_path / "report.json").read_text(encoding="utf-8")))

    checks = [Check("none", "x:y", packages=("no_such_package",)), Check("succeed", f"{__name__}:succeed")]
    run_checks(checks, MACHINE, "small", 60, tmp_path / "report.json", look)
    assert [check["reason"] for check in seen[0]["checks"]] == [
        "not installed: no_such_package",
        "the script ended before it",
    ]


@pytest.mark.slow
def test_a_check_runs_in_a_fresh_process_as_on_a_gpu():
    (check,) = [check for check in CHECKS if check.name == "log_sum_exp_14b"]
    answer = run_in_child(ChildCall(run_in_this_process, (check, "cpu", "small")), 200, fork=False)
    assert (answer.findings.problems, answer.skipped) == ([], "")
    assert answer.findings.figures["positions"] == 64


@pytest.mark.parametrize(("arguments", "message"), [
    (["--device", "cuda"], "--device cuda: expected a GPU that torch can use, found none; use --device cpu"),
    (["--only", "nothing"], "invalid choice: 'nothing'"),
])  # fmt: skip
def test_it_says_in_one_line_why_it_cannot_start(tmp_path, arguments, message):
    command = [sys.executable, "-m", "gpu_check", "--out", str(tmp_path / "report.json"), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "report.json").exists()


# ---- each check fails if what it checks is broken


def problems_of(function, *arguments):
    findings = Findings()
    function(SETUP, findings, *arguments)
    return " ".join(findings.problems)


@pytest.mark.slow
def test_training_that_does_not_change_the_slm_is_found(monkeypatch):
    monkeypatch.setattr("rayner.taggers.encoder_training.learning_rate_factor", lambda *_: 0.0)
    assert "expected the loss to fall" in problems_of(slm_training.check_slm_training)


class LazyEngine:
    name = "none"

    def __init__(self, loss, spoilt):
        self.loss, self.spoilt = loss, spoilt

    def train_step(self, passes, n_positions):
        with torch.no_grad():
            self.spoilt.add_(0.1)
            return float(self.loss(passes[0]))


@pytest.mark.slow
def test_lora_training_that_changes_the_base_and_learns_nothing_is_found(monkeypatch):
    from contextlib import contextmanager

    @contextmanager
    def open_engine(setup, loss, lr):
        frozen = next(parameter for parameter in loss.parameters() if not parameter.requires_grad)
        yield LazyEngine(loss, frozen)

    monkeypatch.setattr(lora_training, "open_engine", open_engine)
    problems = problems_of(lora_training.check_lora_training, "0.5b")
    assert "expected the loss to fall" in problems
    assert "a weight of the frozen base model changed" in problems


def drop_entities(engine, requests):
    return [
        replace(answer, entities=answer.entities[1:])
        for answer in DraftVerifyEngine.answer_without_fault(engine, requests)
    ]


def ignore_drafts(engine, requests):
    return DraftVerifyEngine.answer_without_fault(engine, [replace(request, draft=()) for request in requests])


@pytest.fixture
def faulty_engine(monkeypatch):
    monkeypatch.setattr(DraftVerifyEngine, "answer_without_fault", DraftVerifyEngine.answer_requests, raising=False)

    def install(fault):
        monkeypatch.setattr(DraftVerifyEngine, "answer_requests", fault)

    return install


@pytest.mark.slow
def test_answers_that_differ_from_the_reference_are_found(faulty_engine):
    faulty_engine(drop_entities)
    assert "expected the reference decoder's entities" in problems_of(scoring.check_answers_float32, "0.5b")


@pytest.mark.slow
def test_choices_that_no_rounding_turns_are_found(faulty_engine):
    faulty_engine(drop_entities)
    assert "expected other choices than the reference" in problems_of(scoring.check_answers_bfloat16, "14b")


@pytest.mark.slow
def test_drafts_that_are_not_used_are_found(faulty_engine):
    faulty_engine(ignore_drafts)
    assert "passes for a right draft" in problems_of(speed.check_scoring_speed, "0.5b")


@pytest.mark.slow
def test_a_budget_of_tokens_that_is_not_kept_is_found(monkeypatch):
    monkeypatch.setattr(
        token_budget, "DraftVerifyEngine", lambda llm, batch_tokens, **options: DraftVerifyEngine(llm, **options)
    )
    problems = problems_of(token_budget.check_token_budget, "0.5b")
    assert "expected at most 2000 tokens in a forward pass, found" in problems


def test_deepspeed_is_set_as_in_the_training_of_a_job(monkeypatch):
    from rayner.modeling.deepspeed_settings import deepspeed_config

    settings = []
    monkeypatch.setattr("deepspeed.initialize", lambda config, **_: (settings.append(config), None))
    DeepSpeedEngine(torch.nn.Linear(2, 2), 1e-3, SETUP.config.llm, SETUP.device)
    assert settings == [deepspeed_config(SETUP.config.llm, SETUP.device)]


def test_wrong_neighbours_are_found(monkeypatch):
    right = neighbours.VectorSearch.nearest_rows
    monkeypatch.setattr(neighbours.VectorSearch, "nearest_rows", lambda *arguments: right(*arguments)[:, ::-1])
    assert problems_of(neighbours.check_neighbours_cpu) == (
        "expected the exact neighbours, found others for 200 queries"
    )


def test_wrong_sums_are_found(monkeypatch):
    right = normalizers.compute_log_normalizers
    monkeypatch.setattr(normalizers, "compute_log_normalizers", lambda *arguments: right(*arguments) + 0.1)
    assert "of those at once, found 0.1" in problems_of(normalizers.check_log_sum_exp, "14b")


def test_a_peak_above_the_estimate_is_found(monkeypatch):
    monkeypatch.setattr(memory, "read_peak_memory", lambda device: 3 * 10**9)
    findings = Findings()
    memory.require_estimate_holds(SETUP, findings, "score", llm=SETUP.size.decoders["0.5b"])
    (problem,) = findings.problems
    assert re.fullmatch(
        r"peak memory: expected at most 1\.5 GiB, the estimate of `rayner doctor` for score, found 2\.8 GiB",
        problem,
    )
