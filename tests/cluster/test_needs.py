"""Estimates of memory and disk, against real models of small size."""

import dataclasses

import pytest
import torch

from rayner.config.model_settings import LlmConfig, LoraConfig, ScratchConfig, SlmConfig, WorkersConfig
from rayner.config.settings import Config, ScoreSlmConfig
from rayner.llm import model as llms
from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.steps.model_sizes import LlmShape, ModelSize, estimate_scratch_size, read_model_size
from rayner.steps.requirements import (
    CUDA_BYTES,
    PROCESS_BYTES,
    StageNeed,
    count_fitting_processes,
    estimate_disk_need,
    estimate_stage_needs,
    format_bytes,
)
from rayner.taggers import encoder as slms
from rayner.text.tags import bmes_labels
from tests.cluster.small import SHAPE, labelled_sentences, with_settings

GIB = 1024**3


def test_seats_of_fractions_add_up():
    assert count_fitting_processes(StageNeed("score", 1, 0.1, 0.2, 0, 0), [(4.0, 1.0), (0.3, 1.0), (4.0, 0.0)]) == [
        5,
        3,
        0,
    ]


def test_the_size_of_a_checkpoint_is_that_of_the_model_and_of_its_adapter(tmp_path):
    texts = [example.text for example in labelled_sentences()]
    config = Config(llm=LlmConfig(lora=LoraConfig(r=4)))
    for name in ("encoder", "decoder"):
        (tmp_path / name).mkdir()
    write_scratch_encoder(tmp_path / "encoder", texts, SHAPE, 13)
    write_scratch_decoder(tmp_path / "decoder", texts, ["NR"], SHAPE, 13)

    cpu = torch.device("cpu")
    tagger = slms.load_encoder_tagger(tmp_path / "encoder", cpu, bmes_labels(["NR"])).model
    head = sum(p.numel() for p in tagger.classifier.parameters())
    encoder = sum(p.numel() for p in tagger.parameters()) - head
    assert (
        encoder <= read_model_size(str(tmp_path / "encoder")).parameters <= encoder + SHAPE.hidden * (SHAPE.hidden + 1)
    )

    causal = llms.load_llm_checkpoint(tmp_path / "decoder", instruction="", types=["NR"], chat=False, device=cpu).model
    found = read_model_size(str(tmp_path / "decoder"), config)
    assert found.parameters == sum(p.numel() for p in causal.parameters())
    linear = [module for module in causal.modules() if isinstance(module, torch.nn.Linear)]
    assert found.linear_parameters == sum(m.weight.numel() for m in linear if m is not causal.lm_head)
    assert found.largest_module_parameters == max(p.numel() for p in causal.parameters()) > SHAPE.hidden**2
    assert (found.stored_dtype, found.is_stored_in_4_bits) == ("float32", False)
    assert found.shape == LlmShape(SHAPE.layers, SHAPE.hidden, SHAPE.intermediate, 2 * SHAPE.layers * SHAPE.hidden)
    assert found.tied_parameters == (causal.lm_head.weight.numel() if causal.config.tie_word_embeddings else 0)
    assert found.parameters <= estimate_scratch_size(SHAPE).parameters
    for targets in (["all-linear"], ["q_proj", "v_proj"]):
        lora = LoraConfig(r=4, targets=targets)
        adapted = llms.add_lora(
            llms.load_llm_checkpoint(tmp_path / "decoder", instruction="", types=["NR"], chat=False, device=cpu).model,
            lora,
        )
        trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        assert (
            read_model_size(str(tmp_path / "decoder"), Config(llm=LlmConfig(lora=lora))).adapter_parameters == trained
        )


MIB = 1024**2
LLM = ModelSize(
    parameters=1000 * MIB,
    adapter_parameters=10 * MIB,
    linear_parameters=800 * MIB,
    largest_module_parameters=100 * MIB,
    stored_dtype="bfloat16",
    shape=LlmShape(layers=10, hidden=1000, intermediate=3000, cached_numbers=5000),
)
BFLOAT16 = Config(llm=LlmConfig(dtype="bfloat16", full_epochs=0, gradient_checkpointing=True))


def needs(config, llm=LLM):
    return {need.key: need for need in estimate_stage_needs(config, None, llm)}


def parts(need):
    return {part.name: part.n_bytes for part in need.parts}


def test_on_cpus_the_unchanged_weights_of_a_checkpoint_are_shared_by_the_processes_of_a_node():
    found = needs(BFLOAT16)
    assert found["slm.workers"].host_bytes == PROCESS_BYTES
    assert found["llm.workers"].shared_bytes == 2000 * MIB
    own = 10 * (2 + 2 + 12) * MIB  # the adapter's weights, gradients and AdamW
    kernels = parts(found["llm.workers"])["kernels for the shapes of batches"]
    activations = found["llm.workers"].parts[-1].n_bytes
    assert found["llm.workers"].host_bytes == PROCESS_BYTES + own + kernels + activations
    assert found["score"].shared_bytes == 400 * MIB  # the adapter is merged into the linear layers
    assert parts(found["score"])["its changed weights"] == 1600 * MIB
    assert needs(with_settings(BFLOAT16, "llm", epochs=0))["score"].shared_bytes == 2000 * MIB


def test_weights_in_another_precision_than_their_files_and_fully_trained_ones_are_private():
    wider = needs(with_settings(BFLOAT16, "llm", dtype="float32"))
    assert [wider[key].shared_bytes for key in ("llm.workers", "score")] == [0, 0]
    assert parts(wider["score"])["LLM"] == 4000 * MIB
    full = needs(with_settings(BFLOAT16, "llm", full_epochs=1))["llm.workers"]
    assert full.shared_bytes == 0
    assert sum(parts(full).values()) > 1000 * (2 + 2 + 12) * MIB


def test_on_a_gpu_all_is_there_and_the_node_reads_the_files_once():
    config = with_settings(BFLOAT16, "score", gpus=1.0)
    score = needs(config)["score"]
    assert (score.host_bytes, score.shared_bytes) == (PROCESS_BYTES, 2000 * MIB)
    assert score.gpu_bytes == sum(parts(score).values())
    assert (parts(score)["LLM"], parts(score)["CUDA"]) == (2000 * MIB, CUDA_BYTES)
    assert needs(config)["llm.workers"].gpu_bytes == 0


def test_the_cache_and_the_activations_follow_the_budgets_of_tokens():
    def scoring(tokens):
        budget = dataclasses.replace(BFLOAT16.score.llm, batch_tokens=tokens)
        return parts(needs(with_settings(BFLOAT16, "score", llm=budget))["score"])

    assert scoring(2048)["cache of 2,048 tokens"] == 2048 * 5000 * 2
    assert scoring(4096)["activations"] > scoring(2048)["activations"]

    def training(**settings):
        return needs(with_settings(BFLOAT16, "llm", **settings))["llm.workers"].parts[-1]

    kept, computed_again = training(gradient_checkpointing=False), training()
    assert computed_again.name == f"activations of {BFLOAT16.llm.micro_batch_tokens:,} tokens"
    assert kept.n_bytes > 3 * computed_again.n_bytes
    assert training(micro_batch_tokens=8192).n_bytes > computed_again.n_bytes


def test_four_bits_hold_the_linear_layers_in_half_a_byte_and_the_adapter_beside_them():
    for llm, load_in in ((LLM, "nf4"), (dataclasses.replace(LLM, is_stored_in_4_bits=True), "none")):
        found = needs(with_settings(BFLOAT16, "llm", load_in=load_in), llm)
        assert parts(found["llm.workers"])["LLM in 4 bits"] == int(800 * MIB * 0.52) + 200 * MIB * 2
        assert parts(found["score"])["adapter"] == 10 * MIB * 4


@pytest.mark.parametrize(
    ("gpus", "dtype", "kept"),
    [(0.0, "bfloat16", ["llm.workers", "score"]), (0.0, "float32", []), (1.0, "bfloat16", [])],
)
def test_on_cpus_kernels_are_kept_for_each_shape_in_bfloat16(gpus, dtype, kept):
    config = with_settings(BFLOAT16, "llm", dtype=dtype, workers=WorkersConfig(gpus=gpus))
    found = needs(with_settings(config, "score", gpus=gpus))
    assert [key for key, need in found.items() if "kernels for the shapes of batches" in parts(need)] == kept


def test_actors_of_the_small_model_alone_keep_kernels_in_its_precision():
    for dtype, n_kept in (("bfloat16", 1), ("float32", 0)):
        config = with_settings(Config(slm=SlmConfig(model="a", dtype=dtype)), "score", slm=ScoreSlmConfig(actors=2))
        tagging = estimate_stage_needs(config, ModelSize(1000), None)[0]
        assert tagging.key == "score.slm"
        assert len(tagging.parts) == 1 + n_kept


def test_zero_3_divides_the_weights_and_gathers_the_largest_module_or_a_layer():
    config = with_settings(BFLOAT16, "llm", zero_stage=3, workers=WorkersConfig(count=4, gpus=1.0))
    found = parts(needs(config)["llm.workers"])
    assert found["its part of the LLM"] == 500 * MIB
    assert found["gathered weights"] == 200 * MIB
    small_vocabulary = dataclasses.replace(LLM, largest_module_parameters=70 * MIB)
    assert parts(needs(config, small_vocabulary)["llm.workers"])["gathered weights"] == 160 * MIB  # a layer


def test_under_zero_3_no_weights_are_mapped_from_files_not_even_by_one_worker():
    found = needs(with_settings(BFLOAT16, "llm", zero_stage=3))["llm.workers"]
    assert found.shared_bytes == 0
    assert parts(found)["its part of the LLM"] == 2000 * MIB
    assert parts(found)["gathered weights"] == 2 * 200 * MIB  # as measured with Gloo


def test_under_zero_3_weights_in_4_bits_are_not_divided():
    config = with_settings(BFLOAT16, "llm", zero_stage=3, workers=WorkersConfig(count=2))
    found = needs(config, dataclasses.replace(LLM, is_stored_in_4_bits=True))["llm.workers"]
    assert parts(found)["LLM in 4 bits"] == int(800 * MIB * 0.52) + 200 * MIB * 2


def test_disk_grows_with_the_corpus_and_its_copies():
    small, llm = estimate_scratch_size(ScratchConfig()), ModelSize(10**9, adapter_parameters=10**7)
    pretrained = Config(slm=SlmConfig(model="a"), llm=LlmConfig(model="b"))
    one, two = (
        estimate_disk_need(pretrained, small, llm, labelled_bytes=10**6, corpus_bytes=size)
        for size in (10**6, 2 * 10**6)
    )
    assert two.out_bytes == 2 * one.out_bytes > 2 * 10**6
    assert (
        two.run_bytes
        == one.run_bytes
        < estimate_disk_need(Config(), small, llm, labelled_bytes=10**6, corpus_bytes=0).run_bytes
    )
    hinted = with_settings(pretrained, "llm", hint="tags", hint_folds=3)
    more = estimate_disk_need(hinted, small, llm, labelled_bytes=10**6, corpus_bytes=0).run_bytes - one.run_bytes
    assert more == 3 * small.parameters * (3 * 12 + 4)  # the models of the folds, as the model itself
    bare = estimate_disk_need(
        with_settings(pretrained, "tag", evahan=False), small, llm, labelled_bytes=10**6, corpus_bytes=10**6
    )
    assert bare.out_bytes < one.out_bytes
    assert one.temporary_bytes >= llm.adapter_parameters * 20  # one checkpoint passes through a node's temporary folder


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * GIB, "3.0 GiB"), (5000 * GIB, "5,000.0 GiB")]
)
def test_bytes_as_people_read_them(count, told):
    assert format_bytes(count) == told


def test_without_an_llm_nothing_is_needed_for_one():
    size = ModelSize(1000)
    none, some = (Config(llm=LlmConfig(model=model)) for model in ("none", "scratch"))
    assert [need.key for need in estimate_stage_needs(none, None, None)] == ["slm.workers", "score"]
    actors = with_settings(none, "score", slm=ScoreSlmConfig(actors=3))
    assert [need.key for need in estimate_stage_needs(actors, None, None)] == ["score.slm", "slm.workers"]
    without, with_llm = estimate_disk_need(none, size, None, 0, 0), estimate_disk_need(some, size, size, 0, 0)
    assert without.run_bytes < with_llm.run_bytes
    assert (
        without.run_bytes == estimate_disk_need(with_settings(none, "llm", full_epochs=3), size, None, 0, 0).run_bytes
    )
