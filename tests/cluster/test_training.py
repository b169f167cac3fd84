"""Training of the LLM under ZeRO-3, and what it is shown. Trainings that are cut off: test_training_faults."""

import math

import pytest
from safetensors.torch import load_file

import rayner.steps.training.train_llm as llm_job
from rayner.corpus.parquet_files import write_table
from rayner.llm.prompt_encoder import load_prompt_encoder
from rayner.steps import data
from rayner.steps.llm_loading import load_llm, load_retriever
from rayner.steps.training.sft_examples import (
    SftSource,
    build_group_examples,
    examples_to_table,
    read_sft_examples,
    write_missing_sft_examples,
)
from tests.cluster.small import copied, stamps, with_settings

pytestmark = pytest.mark.slow


@pytest.mark.drill
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


def test_the_training_examples_are_written_once_and_read_back_equal(run, config, tmp_path):
    base = run.local_path("models", "llm", "base")
    short = with_settings(config, "llm", max_chars=20, overlap=5)
    source = SftSource(short, run, str(base), "train", tmp_path / "kept")
    groups = source.read_sentence_groups()
    assert len(groups) > len(data.read_part(run, "train"))  # long sentences are split
    types = run.step_result("data")["types"]
    encoder = load_prompt_encoder(base, instruction="", types=types, chat=True)
    expected = build_group_examples(encoder, load_retriever(short, run), groups)
    write_missing_sft_examples(source)
    examples = read_sft_examples(source.folder)
    assert [examples[i] for i in range(len(examples))] == expected
    assert examples.count_tokens() == [len(example) for example in expected]
    before = stamps(tmp_path, "kept")
    write_missing_sft_examples(source)
    assert stamps(tmp_path, "kept") == before


def test_a_file_of_training_examples_that_is_missing_is_written_again(run, config, tmp_path):
    base = str(run.local_path("models", "llm", "base"))
    source = SftSource(
        with_settings(config, "llm", examples="fixed"), run, base, "train", tmp_path / "kept", file_sentences=100
    )
    examples = build_group_examples(
        load_prompt_encoder(base, instruction="", types=run.step_result("data")["types"], chat=True),
        load_retriever(source.config, run),
        source.read_sentence_groups(),
    )
    files = list(source.assign_groups_to_files(source.read_sentence_groups()))
    assert len(files) == -(-len(examples) // 100) > 2
    write_table(examples_to_table(examples[:100]), source.folder / files[0])
    write_table(examples_to_table(examples[200:300]), source.folder / files[2])
    write_missing_sft_examples(source)
    found = read_sft_examples(source.folder)
    assert [found[i] for i in range(len(found))] == examples


def test_neighbours_share_their_examples_in_training_as_in_tagging(run, config):
    encoder = load_llm(config, run)
    source = SftSource(with_settings(config, "prompt", group=3), run, "", "train", run.root)
    examples = build_group_examples(encoder, load_retriever(config, run), source.read_sentence_groups())
    train = [example.text for example in data.read_part(run, "train")]
    assert len(examples) == len(train)  # none of them is long
    shown = [tuple(e.prompt[: -len(encoder.query_tokens(text))]) for e, text in zip(examples, train, strict=True)]
    assert [shown[i] == shown[i - i % 3] for i in range(len(shown))] == [True] * len(shown)
    assert len(set(shown)) > len(shown) / 6  # other groups, other examples
