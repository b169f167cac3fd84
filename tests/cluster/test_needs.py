"""Estimates of memory and disk, against real models of small size."""

import dataclasses

import pytest
import torch

from rayner.config.settings import Config, LlmConfig, LoraConfig, ScoreConfig, ScratchConfig, SlmConfig
from rayner.llm import model as llms
from rayner.modeling.scratch import write_decoder, write_encoder
from rayner.steps.requirements import PROCESS, SLACK, Need, Size, disk_need, human, needs, scratch_size, seats, size_of
from rayner.taggers import encoder as slms
from rayner.text.tags import label_set
from tests.cluster.small import SHAPE, labelled_sentences, with_settings

GIB = 1024**3


def test_seats_of_fractions_add_up():
    assert seats(Need("score", 1, 0.1, 0.2, 0, 0), [(4.0, 1.0), (0.3, 1.0), (4.0, 0.0)]) == [5, 3, 0]


def test_the_size_of_a_checkpoint_is_that_of_the_model_and_of_its_adapter(tmp_path):
    texts = [example.text for example in labelled_sentences()]
    config = Config(llm=LlmConfig(lora=LoraConfig(r=4)))
    for name in ("encoder", "decoder"):
        (tmp_path / name).mkdir()
    write_encoder(tmp_path / "encoder", texts, SHAPE, 13)
    write_decoder(tmp_path / "decoder", texts, ["NR"], SHAPE, 13)

    cpu = torch.device("cpu")
    tagger = slms.load(tmp_path / "encoder", cpu, label_set(["NR"])).model
    head = sum(p.numel() for p in tagger.classifier.parameters())
    encoder = sum(p.numel() for p in tagger.parameters()) - head
    assert encoder <= size_of(str(tmp_path / "encoder")).parameters <= encoder + SHAPE.hidden * (SHAPE.hidden + 1)

    causal = llms.load(tmp_path / "decoder", task="", types=["NR"], chat=False, device=cpu).model
    found = size_of(str(tmp_path / "decoder"), config)
    assert found.parameters == sum(p.numel() for p in causal.parameters())
    assert found.tied == (causal.lm_head.weight.numel() if causal.config.tie_word_embeddings else 0)
    assert found.parameters <= scratch_size(SHAPE).parameters
    for targets in (["all-linear"], ["q_proj", "v_proj"]):
        lora = LoraConfig(r=4, targets=targets)
        adapted = llms.with_lora(
            llms.load(tmp_path / "decoder", task="", types=["NR"], chat=False, device=cpu).model, lora
        )
        trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        assert size_of(str(tmp_path / "decoder"), Config(llm=LlmConfig(lora=lora))).adapter == trained


def test_memory_follows_precision_adapter_and_gpu():
    llm = Size(parameters=1000 * 1024**2, adapter=10 * 1024**2)
    config = Config(dtype="bfloat16", score=ScoreConfig(gpus=1.0))
    wanted = {need.key: need for need in needs(config, None, llm)}
    assert wanted["slm.workers"].memory == PROCESS
    assert wanted["score"].card == int(SLACK * 2000 * 1024**2)
    assert wanted["llm.workers"].card == 0
    assert wanted["llm.workers"].memory == PROCESS + int(SLACK * (2000 + 10 * (2 + 2 + 12)) * 1024**2)
    full = {need.key: need for need in needs(with_settings(config, "llm", full_epochs=1), None, llm)}
    assert full["llm.workers"].memory == PROCESS + int(SLACK * 1000 * (2 + 2 + 12) * 1024**2)
    wider = {need.key: need for need in needs(dataclasses.replace(config, dtype="float32"), None, llm)}
    assert wider["score"].card == 2 * wanted["score"].card


def test_disk_grows_with_the_corpus_and_its_copies():
    small, llm = scratch_size(ScratchConfig()), Size(10**9, adapter=10**7)
    pretrained = Config(slm=SlmConfig(model="a"), llm=LlmConfig(model="b"))
    one, two = (disk_need(pretrained, small, llm, labelled=10**6, corpus=size) for size in (10**6, 2 * 10**6))
    assert two.out == 2 * one.out > 2 * 10**6
    assert two.run == one.run < disk_need(Config(), small, llm, labelled=10**6, corpus=0).run
    bare = disk_need(with_settings(pretrained, "tag", evahan=False), small, llm, labelled=10**6, corpus=10**6)
    assert bare.out < one.out
    assert one.temporary >= llm.adapter * 20  # one checkpoint passes through a node's temporary folder


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * GIB, "3.0 GiB"), (5000 * GIB, "5,000.0 GiB")]
)
def test_bytes_as_people_read_them(count, told):
    assert human(count) == told
