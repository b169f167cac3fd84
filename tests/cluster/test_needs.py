"""Estimates of memory and disk, against real models of small size."""

import dataclasses

import pytest
import torch

from rayner.config.model_settings import LlmConfig, LoraConfig, ScratchConfig, SlmConfig
from rayner.config.settings import Config, ScoreConfig
from rayner.llm import model as llms
from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.steps.requirements import (
    PROCESS_BYTES,
    SLACK,
    ModelSize,
    StageNeed,
    count_fitting_processes,
    estimate_disk_need,
    estimate_scratch_size,
    estimate_stage_needs,
    format_bytes,
    read_model_size,
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


def test_memory_follows_precision_adapter_and_gpu():
    llm = ModelSize(parameters=1000 * 1024**2, adapter_parameters=10 * 1024**2)
    config = Config(llm=LlmConfig(dtype="bfloat16"), score=ScoreConfig(gpus=1.0))
    wanted = {need.key: need for need in estimate_stage_needs(config, None, llm)}
    assert wanted["slm.workers"].host_bytes == PROCESS_BYTES
    assert wanted["score"].gpu_bytes == int(SLACK * 2000 * 1024**2)
    assert wanted["llm.workers"].gpu_bytes == 0
    assert wanted["llm.workers"].host_bytes == PROCESS_BYTES + int(SLACK * (2000 + 10 * (2 + 2 + 12)) * 1024**2)
    full = {need.key: need for need in estimate_stage_needs(with_settings(config, "llm", full_epochs=1), None, llm)}
    assert full["llm.workers"].host_bytes == PROCESS_BYTES + int(SLACK * 1000 * (2 + 2 + 12) * 1024**2)
    wider = {
        need.key: need
        for need in estimate_stage_needs(dataclasses.replace(config, llm=LlmConfig(dtype="float32")), None, llm)
    }
    assert wider["score"].gpu_bytes == 2 * wanted["score"].gpu_bytes


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
