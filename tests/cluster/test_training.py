"""Trainings that are cut off go on from their last checkpoint, and come to what they would have come to."""

import math

import pytest
from safetensors.torch import load_file

import rayner.cluster.train_llm as llm_job
import rayner.cluster.train_slm as slm_job
from rayner.cluster import data
from rayner.run import folder_digest
from tests.cluster.small import copied, with_settings

pytestmark = pytest.mark.slow


def dying(module, hook, epoch, diary):
    """A worker whose rank 0 is killed once, when it is about to report this epoch; `diary` gets a line an epoch.

    hook: the name of the function of `module` by which it reports.

    Made inside a function, so that it travels to the workers by value; there, `module` is imported by its name.
    """
    name, path = module.__name__, str(diary)

    def worker(settings):
        import importlib
        import os
        import time
        from pathlib import Path

        import ray.train

        job = importlib.import_module(name)
        report = getattr(job, hook)
        marker = Path(f"{path}.died")

        def reported(*values):
            metrics = next(value for value in values if isinstance(value, dict))
            if ray.train.get_context().get_world_rank() == 0:
                with open(path, "a") as lines:
                    lines.write(f"{metrics['epoch']}\n")
                if metrics["epoch"] == epoch and not marker.exists():
                    marker.touch()
                    time.sleep(4)  # so that the epoch before is surely on record
                    os._exit(9)
            report(*values)

        setattr(job, hook, reported)
        job._worker(settings)

    # `job._worker` must be the original there, as it is here only until the test replaces it.
    return worker


def epochs_in(diary):
    return [int(line) for line in diary.read_text().split()]


def test_an_slm_worker_that_is_killed_once_costs_nothing_but_time(run, config, tmp_path, monkeypatch):
    mine = copied(run, tmp_path, "data", "steps/data.json")
    diary = tmp_path / "diary"
    monkeypatch.setattr(slm_job, "_worker", dying(slm_job, "_report", 3, diary))
    facts = slm_job.train_slm(config, mine)
    assert epochs_in(diary) == [0, 1, 2, 3, 3, 4, 5]
    whole = run.facts("train_slm")
    assert (facts["dev_f1"], facts["epoch"]) == (whole["dev_f1"], whole["epoch"])
    assert folder_digest(mine.path("models", "slm")) == folder_digest(run.path("models", "slm"))


def test_an_llm_worker_that_is_killed_once_costs_nothing_but_time(run, config, tmp_path, monkeypatch):
    """All parameters under ZeRO-2, where the optimizer's state lies in parts on two workers."""
    mine = copied(run, tmp_path, "data", "index", "models/slm", *(f"steps/{s}.json" for s in ("data", "build_index")))
    diary = tmp_path / "diary"
    monkeypatch.setattr(llm_job, "_worker", dying(llm_job, "report", 1, diary))
    facts = llm_job.train_llm(with_settings(config, "llm", epochs=0), mine)
    assert epochs_in(diary) == [0, 1, 1]
    assert facts["full"] == run.facts("train_llm")["full"]
    here, there = (load_file(each.path("models", "llm", "base", "model.safetensors")) for each in (mine, run))
    assert here.keys() == there.keys()
    assert all(here[name].equal(there[name]) for name in there)


def test_lora_under_zero_3_learns_and_is_found_again_if_only_its_manifest_is_lost(run, config, tmp_path):
    mine = copied(run, tmp_path, "data", "index", "models/slm", *(f"steps/{s}.json" for s in ("data", "build_index")))
    sharded = with_settings(config, "llm", zero_stage=3, full_epochs=0)
    facts = llm_job.train_llm(sharded, mine)
    assert math.isfinite(facts["lora"]["loss"])
    assert facts["lora"]["adapted_modules"] == run.facts("train_llm")["lora"]["adapted_modules"]
    adapter = mine.path("models", "llm", "adapter", "adapter_model.safetensors")
    shapes = {name: tensor.shape for name, tensor in load_file(adapter).items()}
    other = load_file(run.path("models", "llm", "adapter", "adapter_model.safetensors"))
    assert shapes == {name: tensor.shape for name, tensor in other.items()}
    before = adapter.read_bytes()
    # As after a kill between the end of training and the manifest.
    mine.path("steps", "train_llm.json").unlink()
    assert llm_job.train_llm(sharded, mine)["lora"] == facts["lora"]
    assert adapter.read_bytes() == before


def test_neighbours_share_their_examples_in_training_as_in_tagging(run, config):
    llm = llm_job.load_llm(config, run)
    lessons = llm_job._lessons(with_settings(config, "prompt", group=3), run, llm)
    train = [example.text for example in data.part(run, "train")]
    assert len(lessons) == len(train)  # none of them is long
    shown = [tuple(lesson.prompt[: -len(llm.asked(text))]) for lesson, text in zip(lessons, train, strict=True)]
    assert [shown[i] == shown[i - i % 3] for i in range(len(shown))] == [True] * len(shown)
    assert len(set(shown)) > len(shown) / 6  # other groups, other examples
