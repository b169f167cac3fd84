"""The entry scripts as users start them."""

import logging
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from rayner.config.declare import iter_settings
from rayner.config.settings import Config

ROOT = Path(__file__).parents[1]
JOBS = sorted((ROOT / "jobs").glob("*.py"))
DEMO = str(ROOT / "jobs" / "conf" / "demo.yaml")

pytestmark = pytest.mark.slow


def started(job, *arguments):
    """A job in a process of its own."""
    command = [sys.executable, str(ROOT / "jobs" / job), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


@pytest.fixture
def here(monkeypatch):
    """Runs a job in this process, as `python jobs/X.py` would; returns its exit code."""
    log = logging.getLogger("rayner")
    before = log.handlers, log.level, log.propagate
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def call(job, *arguments):
        monkeypatch.setattr(sys, "argv", [str(job), *arguments])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / "jobs" / job), run_name="__main__")
        return caught.value.code

    yield call
    log.handlers, log.level, log.propagate = before


def test_the_promised_jobs_are_there():
    promised = {"train_slm", "build_index", "train_llm", "score", "tune_fusion", "tag_corpus", "pipeline"}
    assert promised <= {path.stem for path in JOBS}


@pytest.mark.parametrize("job", [path.name for path in JOBS])
def test_a_python_without_rayner_is_told_in_one_line(job):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", str(ROOT / "jobs" / job), "--help"]  # -S: without installed packages
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"error: \S+ has no rayner: use \.venv/bin/python .*\n", done.stderr)


@pytest.mark.parametrize("job", [path.name for path in JOBS if path.stem not in ("bench", "reproduce")])
def test_help_of_every_job_says_what_it_does_and_lists_every_key(here, capsys, job):
    assert here(job, "--help", "all") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {job} ")
    assert [info.key for info in iter_settings(Config) if f"  {info.key} " not in out] == []
    assert out.split("\n\n")[1] == (ROOT / "jobs" / job).read_text(encoding="utf-8").split('"""')[1]


@pytest.mark.parametrize("job", [path.name for path in JOBS if path.stem not in ("bench", "reproduce", "pipeline")])
def test_a_wrong_setting_ends_every_job_with_2_in_one_line(here, capsys, tmp_path, job):
    assert here(job, f"run={tmp_path}", "slm.epoch=3") == 2
    assert capsys.readouterr().err == "error: command line: unknown key slm.epoch; did you mean slm.epochs?\n"


@pytest.mark.parametrize(("job", "step"), [("tune_fusion.py", "score"), ("tag_corpus.py", "tune_fusion")])
def test_a_job_before_its_turn_ends_with_2_and_names_the_step(here, capsys, tmp_path, job, step):
    assert here(job, f"run={tmp_path / 'r'}") == 2
    assert f"the step {step} is not done" in capsys.readouterr().err


def test_help_in_a_process_of_its_own_ends_with_0():
    done = started("train_slm.py", "--help", "all")
    assert done.returncode == 0
    assert "slm.scratch.hidden" in done.stdout
    assert done.stderr == ""


def test_a_dry_run_of_the_demo_ends_with_0_and_writes_nothing(tmp_path):
    done = started("pipeline.py", "--config", DEMO, f"run={tmp_path / 'r'}", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "sample/labelled.txt: " in done.stdout
    assert "sample/corpus: 12 documents" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_labelled_file_ends_a_job_with_2_and_no_traceback(tmp_path):
    (tmp_path / "bad.txt").write_text("懷\tB-NR\n王\tE-NR\tx\n", encoding="utf-8")
    done = started("pipeline.py", "--config", DEMO, f"run={tmp_path / 'r'}", f"train={tmp_path / 'bad.txt'}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'bad.txt'}:2: expected char<TAB>tag, found 3 columns")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("懷\tB-NR\n".encode() + b"\xe6\xff\tO\n", 2, "expected UTF-8"),
        ("懷\tB-NR\n\n王\tX-NR\n".encode(), 3, "found 'X-NR'"),
        ("懷王\tB-NR\n".encode(), 1, "expected one character"),
    ],
    ids=["not UTF-8", "unknown tag", "two characters"],
)
def test_each_kind_of_wrong_labelled_file_ends_with_2_naming_file_and_line(here, capsys, tmp_path, content, line, what):
    (tmp_path / "bad.txt").write_bytes(content)
    settings = [f"run={tmp_path / 'r'}", f"train={tmp_path / 'bad.txt'}", "layout=evahan"]
    assert here("pipeline.py", "--config", DEMO, *settings) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'bad.txt'}:{line}: ")
    assert what in said
    assert said.count("\n") == 1
