"""Training of the LLM under ZeRO-3, and what it is shown. Trainings that are cut off: test_training_faults."""

import math

import pytest
from safetensors.torch import load_file

import rayner.cluster.train_llm as llm_job
from rayner.cluster import data
from tests.cluster.small import copied, with_settings

pytestmark = pytest.mark.slow


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
