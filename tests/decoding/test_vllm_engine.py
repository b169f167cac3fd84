"""vLLM as the engine gives the reference's answers. Runs where vllm is installed (`make test-vllm`)."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from rayner.decoding.engine import WindowRequest
from rayner.fusion.gate import first_stop_slot
from rayner.fusion.region_rule import RegionRule
from rayner.modeling.scratch import write_scratch_decoder
from rayner.text.predictions import SlmPrediction
from tests.checkpoints import SHAPE, load_llm
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


@pytest.mark.slow
@pytest.mark.parametrize("probability", ["all", "allowed"])
def test_answers_are_those_of_the_reference(folder, types, tasks, probability):
    from rayner.decoding.vllm_engine import VllmEngine

    llm = load_llm(folder, types)
    wanted = plainly(llm, tasks, probability)
    engine = VllmEngine(load_llm(folder, types), softmax_over=probability, batch_size=8)
    for one, other in zip(engine.answer_requests(tasks), wanted, strict=True):
        same(one, other, atol=1e-4)  # its kernels sum in another order

    rng, rule = np.random.default_rng(5), RegionRule(0.2)
    for task, whole in list(zip(tasks, wanted, strict=True))[:6]:
        slm = SlmPrediction(tuple(task.draft), rng.exponential(0.2, len(task.text)).astype(np.float32))
        (found,) = engine.answer_requests([dataclasses.replace(task, stop_mask=rule.stop_mask(slm))])
        end = first_stop_slot(slm, whole.spans, rule.weight, rule.entropy_reduction)
        assert end <= found.last_known_slot
        np.testing.assert_allclose(found.slot_probs[: end + 1], whole.slot_probs[: end + 1], atol=1e-4)
