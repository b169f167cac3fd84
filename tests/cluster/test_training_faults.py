"""Trainings of which a part or the whole is killed: they go on from their last checkpoint, say so, and end the same.

Every training here is a job as users start it, in processes and a Ray of its own.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from safetensors.torch import load_file

from rayner.cluster.compat import SNAPSHOT
from rayner.cluster.ray_train import MAX_START_ATTEMPTS, run_training
from rayner.cluster.training_snapshots import SNAPSHOT_COPY, repair_training_checkpoints
from rayner.config.model_settings import WorkersConfig
from rayner.config.settings import config_to_dict
from rayner.errors import ConfigError
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import folder_sha256
from rayner.runs.status import status_from_json
from tests.cluster.small import copied, with_settings

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TRAINED = ("data", "index", "models/slm", "steps/data.json", "steps/build_index.json")


class Job:
    """A job in a process of its own that can be started, harmed, and started again."""

    def __init__(self, script, config, run, folder, pace):
        self.settings, self.output, self.run, self.pace = folder / "settings.yaml", folder / "output", run, pace
        self.settings.write_text(yaml.safe_dump(config_to_dict(dataclasses.replace(config, run=str(run.root)))))
        self.command = [sys.executable, str(ROOT / "jobs" / script), "--config", str(self.settings)]
        self.output.touch()

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        # So often Ray looks for new checkpoints, and training waits for that: there is time to kill it in between.
        environment["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = str(self.pace)
        with self.output.open("a") as output:
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=output, stderr=output)

    def said(self):
        return self.output.read_text()

    def end(self):
        code = self.process.wait(timeout=300)
        assert code == 0, self.said()

    def wait_for_checkpoint(self, name, is_it, record=SNAPSHOT):
        """Until the training has a checkpoint on record whose metrics are such; returns these."""
        for _ in range(6000):
            assert self.process.poll() is None, self.said()
            for snapshot in self.run.path("train").glob(f"{name}-*/{record}"):
                try:
                    metrics = json.loads(snapshot.read_bytes())["latest_checkpoint_result"]["metrics"]
                except ValueError:  # just being written
                    continue
                if is_it(metrics):
                    return metrics
            time.sleep(0.05)
        raise AssertionError(f"no such checkpoint:\n{self.said()}")

    def kill_a_worker(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        workers = [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]
        assert len(workers) == 2
        workers[0].kill()

    def kill(self):
        """The job's driver, and then what it leaves behind, which Ray would end a moment later."""
        left = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in left:
            if child.is_running():
                child.kill()
        psutil.wait_procs(left, timeout=30)

    def close(self):
        if self.process.poll() is None:
            self.kill()


@pytest.fixture
def started():
    """Jobs started by a test, none of which outlives it."""
    jobs = []

    def start(*values, pace):
        jobs.append(Job(*values, pace))
        jobs[-1].start()
        return jobs[-1]

    yield start
    for job in jobs:
        job.close()


@pytest.fixture
def slm_run(run, tmp_path):
    return copied(run, tmp_path, "data", "steps/data.json")


@pytest.fixture
def llm_run(run, tmp_path):
    return copied(run, tmp_path, *TRAINED)


@pytest.fixture
def often(config):
    """The LLM's state is saved after every step; the run it is compared to saves it after epochs only."""
    return with_settings(config, "llm", checkpoint_minutes=1e-6)


def assert_the_same_slm(mine, whole):
    assert mine.step_result("train_slm") | {"seconds": 0} == whole.step_result("train_slm") | {"seconds": 0}
    assert folder_sha256(mine.path("models", "slm")) == folder_sha256(whole.path("models", "slm"))


def assert_the_same_llm(mine, whole):
    """The same losses and weights; the adapter's description names the folder it was trained in."""
    for stage in ("full", "lora"):
        assert mine.step_result("train_llm")[stage] == whole.step_result("train_llm")[stage]
    for name in ("base/model.safetensors", "adapter/adapter_model.safetensors"):
        here, there = (load_file(each.path("models", "llm", name)) for each in (mine, whole))
        assert here.keys() == there.keys()
        assert all(here[key].equal(there[key]) for key in there)


def test_slm_training_survives_the_loss_of_a_worker(run, config, slm_run, tmp_path, started):
    job = started("train_slm.py", config, slm_run, tmp_path, pace=2)
    before = job.wait_for_checkpoint("slm", lambda metrics: metrics["epoch"] >= 0)
    job.kill_a_worker()
    job.end()
    went_on = [int(epoch) for epoch in re.findall(r"SLM: resumes after epoch (\d+), from its checkpoint", job.said())]
    assert len(went_on) == 1
    assert went_on[0] > before["epoch"]
    assert re.search(r"slm-\w+: worker \d failed: ", job.said())
    assert_the_same_slm(slm_run, run)


@pytest.mark.drill
def test_lora_with_dropout_survives_the_loss_of_a_worker_in_the_middle_of_an_epoch(
    run, often, llm_run, tmp_path, started
):
    assert often.llm.lora.dropout > 0
    job = started("train_llm.py", often, llm_run, tmp_path, pace=0.5)
    before = job.wait_for_checkpoint("llm-lora", lambda metrics: metrics["step"] >= 4)
    job.kill_a_worker()
    job.end()
    went_on = re.findall(r"LLM \(lora\): resumes after step (\d+) of epoch 1, from its checkpoint", job.said())
    assert len(went_on) == 1
    assert int(went_on[0]) >= before["step"]
    assert_the_same_llm(llm_run, run)


@pytest.mark.drill
def test_the_command_of_an_llm_job_that_was_killed_goes_on_when_given_again(run, often, llm_run, tmp_path, started):
    job = started("train_llm.py", often, llm_run, tmp_path, pace=0.5)
    before = job.wait_for_checkpoint("llm-full", lambda metrics: metrics["epoch"] == 1 and metrics["step"] >= 4)
    job.kill()
    assert "goes on" not in job.said()
    job.start()
    job.end()
    went_on = re.findall(r"LLM \(full\): resumes after step (\d+) of epoch 2, from its checkpoint", job.said())
    assert len(went_on) == 1
    assert int(went_on[0]) >= before["step"]
    # How far it was, the command told too: of all steps, at the rate of those that were its own.
    (told,) = llm_run.path("train").glob("llm-full-*/status.json")
    told = status_from_json(read_json(told), str(told))
    steps = told.total // often.llm.full_epochs
    assert told.done == told.total == steps * often.llm.full_epochs > 0
    assert told.rate * (told.updated - told.started) == pytest.approx(steps - int(went_on[0]), rel=0.05)
    assert re.search(
        rf"LLM \(full\) {told.total}/{told.total} steps, .* 0 s left, {told.note}$", job.said(), re.MULTILINE
    )
    assert re.fullmatch(r"loss \d\.\d{4}", told.note)
    assert_the_same_llm(llm_run, run)


@pytest.mark.drill
def test_a_snapshot_that_the_kill_cut_off_costs_no_epoch(run, config, slm_run, tmp_path, started):
    job = started("train_slm.py", config, slm_run, tmp_path, pace=2)
    before = job.wait_for_checkpoint("slm", lambda metrics: metrics["epoch"] >= 1, SNAPSHOT_COPY)
    job.kill()
    (snapshot,) = slm_run.path("train").glob(f"slm-*/{SNAPSHOT}")
    os.truncate(snapshot, snapshot.stat().st_size // 2)
    job.start()
    job.end()
    assert f"{snapshot}: expected Ray's list of checkpoints, found a part of it; resumes from the copy" in job.said()
    went_on = [int(epoch) for epoch in re.findall(r"SLM: resumes after epoch (\d+), from its checkpoint", job.said())]
    assert len(went_on) == 1
    assert went_on[0] > before["epoch"]
    assert_the_same_slm(slm_run, run)


def written(folder, name, *checkpoints):
    path = folder / name
    path.write_text(json.dumps({"checkpoint_results": [{"checkpoint_dir_name": each} for each in checkpoints]}))
    return path


def test_a_snapshot_whose_checkpoint_is_gone_gives_way_to_a_copy_that_has_its_own(tmp_path):
    (tmp_path / "older").mkdir()
    snapshot = written(tmp_path, SNAPSHOT, "older", "newer")
    written(tmp_path, SNAPSHOT_COPY, "older")
    repair_training_checkpoints(tmp_path)
    assert read_json(snapshot) == read_json(tmp_path / SNAPSHOT_COPY)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"checkpoint_results": [{"checkpoint_dir_na'])
def test_where_no_list_of_checkpoints_is_whole_training_starts_over(tmp_path, content):
    (tmp_path / SNAPSHOT).write_bytes(content)
    written(tmp_path, SNAPSHOT_COPY, "gone")
    repair_training_checkpoints(tmp_path)
    assert not (tmp_path / SNAPSHOT).exists()


def test_nothing_is_made_of_a_training_that_has_not_begun(tmp_path):
    repair_training_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_snapshot_stays_and_is_copied(tmp_path):
    """Its copy may be of one before, whose checkpoints Ray has begun to delete."""
    for name in ("half", "one"):
        (tmp_path / name).mkdir()
    before = written(tmp_path, SNAPSHOT, "one").read_bytes()
    written(tmp_path, SNAPSHOT_COPY, "half")
    repair_training_checkpoints(tmp_path)
    assert (tmp_path / SNAPSHOT).read_bytes() == (tmp_path / SNAPSHOT_COPY).read_bytes() == before


def test_a_checkpoint_that_was_cut_off_is_taken_away_and_nothing_else(tmp_path):
    names = ["checkpoint_2026-01-01_00-00-01.000001", "checkpoint_2026-01-01_00-00-02.000001", "mine"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "state").write_text("state")
    written(tmp_path, SNAPSHOT, names[0])
    repair_training_checkpoints(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [names[0], "mine"]


def test_workers_that_never_start_end_the_job_with_one_clear_error(local_ray, slm_run, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.2")
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"^slm.workers: expected 3 workers of 1000 CPUs and 0 GPUs each to start, "):
        run_training(print, {}, slm_run, "slm-1", WorkersConfig(count=3, cpus=1000))
    assert time.monotonic() - begun > 0.2 * MAX_START_ATTEMPTS
