"""vLLM as the engine gives the reference's answers. Runs where vllm is installed (`make test-vllm`)."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from rayner.config.model_settings import LoraConfig
from rayner.config.vllm_settings import VllmConfig
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.fusion.gate import first_stop_slot
from rayner.fusion.region_rule import RegionRule
from rayner.llm.model import add_lora
from rayner.modeling.scratch import write_scratch_decoder
from rayner.text.hints import HintEntity
from rayner.text.predictions import SlmPrediction
from tests.checkpoints import CPU, SHAPE, load_llm
from tests.decoding.test_draft_verify import plainly, same

vllm = pytest.importorskip("vllm", reason="vllm has an environment of its own: make test-vllm")

ODD = "懷\ue000王<入>&秦𠮷\U000f0000見\u2028之。"


@pytest.fixture(scope="module")
def tasks(sentences):
    """Sentences with examples of their own, shared, or none; one that is spelled in several tokens a character."""
    rng = random.Random(5)
    drawn = [
        WindowRequest(e.text, rng.choice([(), sentences[:2], rng.sample(sentences, 1)]), e.spans)
        for e in sentences[:20]
    ]
    return [*drawn, WindowRequest(ODD, sentences[:1]), WindowRequest("")]


@pytest.fixture(scope="module")
def folder(sentences, types, tmp_path_factory):
    """A decoder whose heads are wide enough for vLLM's kernels, so loud that it prefers this token here, that there."""
    folder = tmp_path_factory.mktemp("wide")
    shape = dataclasses.replace(SHAPE, hidden=64)
    write_scratch_decoder(folder, [e.text for e in sentences], types, shape, seed=1)
    made = load_llm(folder, types)
    torch.manual_seed(3)
    with torch.no_grad():
        made.model.get_input_embeddings().weight.normal_(std=0.7)
    made.model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder, types, tmp_path_factory):
    """A LoRA adapter on all linear layers, of a rank that vLLM does not offer, so loud that it changes answers."""
    path = tmp_path_factory.mktemp("adapter")
    adapted = add_lora(load_llm(folder, types).model, LoraConfig(r=5, alpha=10))
    torch.manual_seed(4)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    adapted.save_pretrained(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("probability", ["all", "allowed"])
def test_answers_are_those_of_the_reference_with_the_adapter_merged(folder, adapter, types, tasks, probability):
    from rayner.decoding.vllm_engine import VllmEngine

    wanted = plainly(load_llm(folder, types, adapter=adapter), tasks, probability)
    bare = plainly(load_llm(folder, types), tasks, probability)
    assert sum(one.spans != other.spans for one, other in zip(wanted, bare, strict=True)) > 5  # the adapter matters
    engine = VllmEngine(
        load_llm(folder, types), folder, adapter, config=VllmConfig(max_tokens=1024), dtype="float32", device=CPU,
        softmax_over=probability, batch_size=8,
    )  # fmt: skip
    assert engine.vllm.llm_engine.model_config.max_model_len == 1024
    for one, other in zip(engine.answer_requests(tasks), wanted, strict=True):
        same(one, other, atol=1e-4)  # its kernels sum in another order

    rng, rule = np.random.default_rng(5), RegionRule(0.2)
    for task, whole in list(zip(tasks, wanted, strict=True))[:6]:
        slm = SlmPrediction(tuple(task.draft), rng.exponential(0.2, len(task.text)).astype(np.float32))
        (found,) = engine.answer_requests([dataclasses.replace(task, stop_mask=rule.stop_mask(slm))])
        end = first_stop_slot(slm, whole.spans, rule.weight, rule.entropy_reduction)
        assert end <= found.last_known_slot
        np.testing.assert_allclose(found.slot_probs[: end + 1], whole.slot_probs[: end + 1], atol=1e-4)

    engine.encoder = dataclasses.replace(engine.encoder, hint="confidence")
    hinted = [dataclasses.replace(task, hint=[HintEntity(span, 0.8) for span in task.draft]) for task in tasks[:6]]
    llm = dataclasses.replace(load_llm(folder, types, adapter=adapter), hint="confidence")
    reference = GreedyEngine(llm, softmax_over=probability, batch_size=6).answer_requests(hinted)
    for one, other in zip(engine.answer_requests(hinted), reference, strict=True):
        same(one, other, atol=1e-4)
