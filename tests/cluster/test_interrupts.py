"""Ctrl-C, which a terminal sends to all processes of a job: within seconds it ends the job, and the job resumes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from rayner.cluster import interrupts
from rayner.config.settings import Config
from rayner.runs.error_messages import INTERRUPTED
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import Run
from rayner.steps import pipeline
from tests.cluster.small import LESS, ROOT, files_of, write_inputs

pytestmark = pytest.mark.slow

LINE = f"{INTERRUPTED}\n"
SETTINGS = [*LESS, "run=run", "train=labelled.txt", "corpus=corpus", "score.unit_chars=200"]
TABLES = ("documents", "entities", "segments", "evahan")
# A line of the log, and the seconds after it.
MOMENTS = {
    "while libraries are imported": ("", 2.0),
    "while Ray starts": ("run folder: ", 1.0),
    "step train_slm": ("train_slm$", 0.5),
    "while Ray Train starts": ("train_llm$", 1.5),
    "while the LLM is trained": ("train_llm$", 9.0),
    "while the models are loaded": ("score$", 3.0),
    "while Ray Tune runs": ("tune_fusion$", 1.0),
    "while Ray Data starts": ("tag_corpus$", 0.5),
    "while Ray Data runs": ("tag_corpus$", 8.0),
}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A job in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "rayner", "run", "laptop", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**{key: value for key, value in os.environ.items() if not key.startswith("RAY_A")},
             "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def interrupt(process: subprocess.Popen[str], pattern: str, seconds: float) -> tuple[float, str, str]:
    """Send SIGINT to the process group some seconds after a line; return the seconds to the end and both outputs."""
    lines = iter(process.stdout.readline, "")
    before = next((line for line in lines if re.search(pattern, line.strip())), "") if pattern else ""
    assert before or not pattern
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr))
    reader.start()
    time.sleep(seconds)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    sent = time.monotonic()
    process.wait(60)
    took = time.monotonic() - sent
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    out = process.stdout.read()
    reader.join()
    return took, out, "".join(errors)


def steps_done(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("run/**/steps/*.json")}


def check(folder: Path, process: subprocess.Popen[str], pattern: str, seconds: float) -> str:
    """Interrupt a job, check how it ended, and describe it."""
    took, out, error = interrupt(process, pattern, seconds)
    assert process.returncode == 130, error
    assert error.endswith(LINE)
    assert "Traceback" not in out + error
    done = steps_done(folder)
    time.sleep(2)
    assert steps_done(folder) == done
    if (folder / "run" / "status.json").exists():
        assert read_json(folder / "run" / "status.json")["state"] == "stopped"
    return f"{took:.1f} s, steps done: {len(done)}"


def test_no_step_begins_after_ctrl_c(tmp_path, monkeypatch):
    begun = []

    def swallow_signal(config, run):
        begun.append(run)
        interrupts._interrupted.set()

    monkeypatch.setattr(pipeline, "STEPS", dict.fromkeys(pipeline.STEPS, swallow_signal))
    monkeypatch.setattr(interrupts, "_interrupted", threading.Event())
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_steps(Config(), Run(tmp_path))
    assert len(begun) == 1


def test_ctrl_c_while_the_small_model_is_trained_ends_the_job_within_seconds(tmp_path):
    write_inputs(tmp_path)
    took, out, error = interrupt(start(tmp_path, *SETTINGS, "llm.model=none", "corpus=null"), "train_slm$", 0.3)
    assert error.endswith(LINE)
    assert steps_done(tmp_path) == {"data"}
    assert read_json(tmp_path / "run" / "status.json")["state"] == "stopped"
    assert took < 15  # 5 on a machine without other work
    assert "Traceback" not in out + error


@pytest.mark.drill
def test_a_job_that_is_interrupted_at_every_stage_ends_at_once_and_resumes(tmp_path):
    write_inputs(tmp_path)
    for name, (pattern, seconds) in MOMENTS.items():
        print(f"{name}: {check(tmp_path, start(tmp_path, *SETTINGS), pattern, seconds)}", flush=True)
    last = start(tmp_path, *SETTINGS)
    assert last.communicate(timeout=400)[0]
    assert last.returncode == 0
    undisturbed = start(tmp_path, *SETTINGS, "run=other")
    undisturbed.communicate(timeout=400)
    assert tables_of(tmp_path / "run" / "tagged") == tables_of(tmp_path / "other" / "tagged")


def tables_of(tagged: Path) -> dict[str, bytes]:
    """The tables and the char-tab-tag files, without the records beside them, which hold times of the training."""
    return {name: content for name, content in files_of(tagged).items() if name.split("/")[0] in TABLES}
