"""Training of the LLM under ZeRO-3, and what it is shown. Trainings that are cut off: test_training_faults."""

import dataclasses
import math

import pytest
from safetensors.torch import load_file

import rayner.steps.training.train_llm as llm_job
from rayner.config.settings import PseudoLabelsConfig
from rayner.corpus.labelled_sentences import read_labelled_sentences
from rayner.steps import data
from rayner.steps.loading import load_tagger
from tests.cluster.small import ONE, copied, with_settings

pytestmark = pytest.mark.slow


def test_lora_under_zero_3_learns_and_is_found_again_if_only_its_manifest_is_lost(run, config, tmp_path):
    mine = copied(run, tmp_path, "data", "index", "models/slm", *(f"steps/{s}.json" for s in ("data", "build_index")))
    sharded = with_settings(config, "llm", zero_stage=3, full_epochs=0)
    facts = llm_job.train_llm(sharded, mine)
    assert math.isfinite(facts["lora"]["loss"])
    assert facts["lora"]["adapted_modules"] == run.step_result("train_llm")["lora"]["adapted_modules"]
    adapter = mine.path("models", "llm", "adapter", "adapter_model.safetensors")
    shapes = {name: tensor.shape for name, tensor in load_file(adapter).items()}
    other = load_file(run.path("models", "llm", "adapter", "adapter_model.safetensors"))
    assert shapes == {name: tensor.shape for name, tensor in other.items()}
    before = adapter.read_bytes()
    # As after a kill between the end of training and the manifest.
    mine.path("steps", "train_llm.json").unlink()
    assert llm_job.train_llm(sharded, mine)["lora"] == facts["lora"]
    assert adapter.read_bytes() == before


def test_an_llm_from_scratch_first_learns_from_what_the_small_model_says_of_unlabelled_text(run, config, tmp_path):
    steps = ("data", "train_slm", "build_index")
    mine = copied(run, tmp_path, "data", "index", "models/slm", *(f"steps/{step}.json" for step in steps))
    silver = PseudoLabelsConfig(text=config.corpus, sentences=30)
    taught = with_settings(config, "llm", silver=silver, full_epochs=1, epochs=0, max_steps=2, workers=ONE)
    facts = llm_job.train_llm(taught, mine)
    assert facts["silver"]["sentences"] == 30
    assert math.isfinite(facts["silver"]["loss"])
    found = read_labelled_sentences(mine.path("scratch", "silver", "silver.jsonl"))
    predictions = load_tagger(config, run).predict([example.text for example in found])
    assert [example.spans for example in found] == [prediction.spans for prediction in predictions]
    assert not {example.text for example in found} & {
        example.text.strip() for example in data.read_part(run, data.ALL_PART)
    }
    # The vocabulary knows characters that the labelled sentences lack, and it is the taught model that goes on.
    speller = llm_job.load_llm(taught, mine).tokenizer
    labelled = {char for example in data.read_part(run, "train") for char in example.text}
    new = {char for example in found for char in example.text} - labelled
    assert any(len(speller.encode_char(char)) == 1 for char in new)
    before, after = (
        load_file(mine.path(*parts, "model.safetensors"))
        for parts in (("scratch", "llm"), ("scratch", "taught", "model"))
    )
    assert not all(before[name].equal(after[name]) for name in before)
    other = dataclasses.replace(silver, sentences=31)
    assert llm_job.inputs(with_settings(taught, "llm", silver=other), mine) != llm_job.inputs(taught, mine)


def test_neighbours_share_their_examples_in_training_as_in_tagging(run, config):
    llm = llm_job.load_llm(config, run)
    examples = data.read_part(run, "train")
    lessons = llm_job._lessons(with_settings(config, "prompt", group=3), run, llm, examples)
    train = [example.text for example in examples]
    assert len(lessons) == len(train)  # none of them is long
    shown = [tuple(lesson.prompt[: -len(llm.query_tokens(text))]) for lesson, text in zip(lessons, train, strict=True)]
    assert [shown[i] == shown[i - i % 3] for i in range(len(shown))] == [True] * len(shown)
    assert len(set(shown)) > len(shown) / 6  # other groups, other examples
