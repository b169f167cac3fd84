"""Jobs as users submit them: from a clean clone to a head node of its own that asks for a token."""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.cluster.nodes import Node, head_node
from tests.cluster.small import ROOT, noise
from tests.waiting import eventually

GUIDE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
TRAIN = "jobs/train_slm.py --config jobs/conf/demo.yaml slm.workers.count=1"
SMALL = "slm.scratch={hidden: 32, layers: 1, heads: 2, intermediate: 64}"
STOPPED = re.compile(r"^\d\d:\d\d:\d\d stopped by SIGTERM; rerun the same command to resume$", re.MULTILINE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(bare, clone):
    with head_node(bare, clone, "--port=0", "--num-cpus=2") as made:
        yield made


def test_driver_and_workers_run_what_was_shipped(node):
    code = (
        "import os, ray, rayner; ray.init(); "
        "there = ray.remote(lambda: __import__('rayner').__file__); "
        "print('driver', rayner.__file__); print('worker', ray.get(there.remote()))"
    )
    done = node.submit("where", f"python -c {shlex.quote(code)}")
    assert done.returncode == 0, done.stdout
    shipped = f"{node.temporary}/session_[^/]*/runtime_resources/working_dir_files/[^/]*/rayner/__init__.py"
    assert re.search(f"^driver {shipped}$", node.log("where"), re.MULTILINE)
    assert re.search(f"^worker {shipped}$", node.log("where"), re.MULTILINE)


@pytest.mark.parametrize("lacking", [{"RAY_AUTH_MODE": ""}, {"HOME": "/nonexistent"}], ids=["mode", "token"])
def test_a_client_without_mode_or_token_is_refused(node, lacking):
    asked = ["--address", node.address, "--working-dir", ".", "--", "python", "-c", "1"]
    done = node.ray("job", "submit", *asked, **lacking)
    assert done.returncode == 1
    assert "ray.exceptions.AuthenticationError: " in done.stderr


OVER_BUDGET = """python -c "
import sys; from rayner.cli.exit_codes import call_and_return_exit_code; from rayner.errors import TooManySetAsideError
def work(): raise TooManySetAsideError('5 of 90 segments')
sys.exit(call_and_return_exit_code(work))" """


@pytest.mark.parametrize(
    ("name", "entrypoint", "code", "why"),
    [
        ("wrong", f"python {TRAIN} run=/nonexistent/run slm.epoch=1", 2, "unknown key slm.epoch; did you mean"),
        ("over", OVER_BUDGET, 3, "error: 5 of 90 segments"),
    ],
)
def test_the_submitter_sees_the_job_s_exit_code(node, tmp_path, name, entrypoint, code, why):
    done = node.submit(name, entrypoint)
    assert done.returncode == 1
    assert f"Job entrypoint command failed with exit code {code}, " in done.stdout + done.stderr
    assert why in done.stdout + done.stderr
    assert "Traceback" not in node.log(name)
    assert documented_wait(node, tmp_path, name) == code


def documented_wait(node: Node, folder: Path, name: str) -> int:
    """The exit code of the guide's script for the job's own."""
    [script] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (folder / "wait.py").write_text(script)
    command = ["python", str(folder / "wait.py"), node.address, name]
    return subprocess.run(command, env=node.env, timeout=120, check=False).returncode


@pytest.mark.drill
def test_a_training_that_was_stopped_goes_on_when_it_is_submitted_again(node, tmp_path):
    entrypoint = f"python {TRAIN} run={tmp_path / 'run'} slm.epochs=20"
    assert node.submit("first", entrypoint, "--no-wait").returncode == 0
    assert eventually(lambda: "SLM epoch 2/20" in node.log("first"), 200), node.log("first")
    stopped = node.ray("job", "stop", "--address", node.address, "first")
    assert stopped.returncode == 0, stopped.stdout
    assert len(STOPPED.findall(node.log("first"))) == 1
    assert documented_wait(node, tmp_path, "first") == 1
    assert not (tmp_path / "run" / "models" / "slm").exists()

    done = node.submit("second", entrypoint)
    assert done.returncode == 0, done.stdout
    assert re.search(r"resumes after epoch \d+, from its checkpoint$", node.log("second"), re.MULTILINE)
    assert "SLM epoch 1/20" not in node.log("second")
    assert (tmp_path / "run" / "models" / "slm" / "model.safetensors").exists()
    for name in ("first", "second"):
        assert_readable(node.log(name))


def assert_readable(log: str) -> None:
    """Nothing but what the job says; time left."""
    assert not noise(log)
    assert re.search(r"\) \d\d:\d\d:\d\d SLM epoch \d+/20: loss \d\.\d+, held-out F1 \d\.\d+$", log, re.MULTILINE)
    line = r"^\d\d:\d\d:\d\d SLM [\d,]+/[\d,]+ steps, [\d,.]+ a second, (\d+ min )?\d+ s left, loss \d+\.\d+$"
    assert re.search(line, log, re.MULTILINE)


PROGRESS = """python -c "
import time; from rayner.cluster.session import ray_session
from rayner.runs.job_log import start_logging
from rayner.runs.progress import Progress, progress_display
start_logging()
with ray_session():
    progress = Progress('tag', 9000, 'characters', progress_display(log_seconds=0.2))
    for _ in range(9): time.sleep(0.1); progress.advance(1000)" """


def test_progress_is_a_plain_line_with_done_total_rate_and_time_left(node):
    done = node.submit("progress", PROGRESS)
    assert done.returncode == 0, done.stdout
    line = r"^\d\d:\d\d:\d\d tag (\d,000)/9,000 characters, [\d,.]+ a second, \d+ s left$"
    said = re.findall(line, node.log("progress"), re.MULTILINE)
    assert len(said) >= 2
    assert said == sorted(set(said))
    assert said[-1] == "9,000"


def test_a_job_run_by_hand_ends_in_order_upon_sigterm(bare, clone, tmp_path):
    command = ["python", *shlex.split(TRAIN), f"run={tmp_path / 'run'}", SMALL, "slm.epochs=5000"]
    said = tmp_path / "log"
    with said.open("wb") as log:
        job = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=clone, env={**bare, "PYTHONPATH": str(clone)}
        )
    with_it = []
    try:
        assert eventually(lambda: "SLM epoch 2/5000" in said.read_text(), 400), said.read_text()
        with_it = psutil.Process(job.pid).children(recursive=True)
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) == 128 + signal.SIGTERM
        assert len(STOPPED.findall(said.read_text())) == 1
        _, alive = psutil.wait_procs(with_it, timeout=30)
        assert alive == []
    finally:
        job.kill()
        for process in with_it:
            if process.is_running():
                process.kill()
