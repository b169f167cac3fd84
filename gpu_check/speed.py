"""Measure how fast the LLM scores, against one plain forward pass over the same tokens, the floor."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_llm
from gpu_check.made_texts import make_requests, with_drafts
from gpu_check.memory import require_room
from gpu_check.records import Findings
from gpu_check.scoring import make_scoring_engine
from rayner.decoding.engine import WindowRequest
from rayner.llm.model import Llm
from rayner.modeling.batching import inference_batches
from rayner.modeling.tensors import pad_rows
from rayner.text.predictions import LlmAnswer

# Right drafts take one pass each, but where rounding turns a choice.
_MOST_PASSES_OF_RIGHT_DRAFTS = 1.5
# On a GPU at full size, seconds with right drafts over those of the floor. Less than 1 is possible, because texts share
# the instruction's cache.
_MOST_TIMES_FLOOR = 4.0


def check_scoring_speed(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Time scoring with drafts made by chance and with right drafts, and a loop of plain forward passes."""
    shape = setup.size.decoders[shape_name]
    require_room(setup, "score", llm=shape)
    llm = make_llm(shape, setup.device, "bfloat16")
    requests = make_requests(setup.size.requests, seed=11)
    engine = make_scoring_engine(setup, llm, use_drafts=True)
    engine.answer_requests(requests[: setup.size.llm_batch])  # the first passes on a device are slower
    chance_seconds, answers = setup.measure_seconds(lambda: engine.answer_requests(requests))
    right = with_drafts(requests, [answer.spans for answer in answers])
    right_seconds, right_answers = setup.measure_seconds(lambda: engine.answer_requests(right))
    rows = [_spell_prompt_and_answer(llm, *pair) for pair in zip(requests, answers, strict=True)]
    _run_plain_passes(setup, llm, rows[: setup.size.llm_batch])
    floor_seconds, _ = setup.measure_seconds(lambda: _run_plain_passes(setup, llm, rows))
    n_tokens, passes = sum(map(len, rows)), fmean(answer.passes for answer in right_answers)
    findings.note("tokens", n_tokens)
    findings.note("tokens_per_second_of_the_floor", n_tokens / floor_seconds)
    findings.note("tokens_per_second_right_drafts", n_tokens / right_seconds)
    findings.note("tokens_per_second_chance_drafts", n_tokens / chance_seconds)
    findings.note("times_the_floor_right_drafts", right_seconds / floor_seconds)
    findings.note("times_the_floor_chance_drafts", chance_seconds / floor_seconds)
    findings.note("passes_right_drafts", passes)
    findings.note("passes_chance_drafts", fmean(answer.passes for answer in answers))
    findings.require(
        passes <= _MOST_PASSES_OF_RIGHT_DRAFTS,
        f"expected at most {_MOST_PASSES_OF_RIGHT_DRAFTS} passes for a right draft, found {passes:.2f}",
    )
    if setup.device.type == "cuda" and setup.size.name == "full":
        findings.require(
            right_seconds <= _MOST_TIMES_FLOOR * floor_seconds,
            f"expected right drafts to take at most {_MOST_TIMES_FLOOR} times as long as plain forward passes, found "
            f"{right_seconds / floor_seconds:.1f} times",
        )


def _spell_prompt_and_answer(llm: Llm, request: WindowRequest, answer: LlmAnswer) -> list[int]:
    spelled = llm.build_grammar(request.text).spell_answer(answer.spans)
    return [*llm.prompt_tokens(request.examples, request.text), *(step.token for step in spelled)]


@torch.inference_mode()
def _run_plain_passes(setup: CheckSetup, llm: Llm, rows: Sequence[Sequence[int]]) -> None:
    """Run the model once over each row, in batches of similar length, without a cache and without logits."""
    decoder: Any = llm.model.get_decoder()
    for batch in inference_batches([len(row) for row in rows], setup.size.llm_batch):
        tokens = pad_rows([rows[i] for i in batch], 0).to(setup.device)
        mask = pad_rows([[1] * len(rows[i]) for i in batch], 0).to(setup.device)
        decoder(input_ids=tokens, attention_mask=mask, use_cache=False)
