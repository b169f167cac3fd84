"""Score with drafts, and compare the answers with those of the reference decoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_llm
from gpu_check.made_texts import make_requests
from gpu_check.memory import require_estimate_holds, require_room, reset_peak_memory
from gpu_check.records import Findings
from rayner.decoding.engine import AnswerEngine, WindowRequest, make_engine
from rayner.llm.model import Llm, compute_logits
from rayner.text.predictions import LlmAnswer

_PROBABILITY_TOLERANCE = 1e-4
# Rounding turns a choice only if the logits of both tokens are almost equal. The unit is the standard deviation of all
# logits at that position, because its size depends on the shape of the model.
_LARGEST_GAP = 0.1


def make_scoring_engine(setup: CheckSetup, llm: Llm, *, use_drafts: bool) -> AnswerEngine:
    """Return the engine that scores with drafts, or the reference decoder."""
    config = setup.config
    return make_engine(
        llm,
        decoding="automaton",
        use_drafts=use_drafts,
        softmax_over=config.llm.softmax_over,
        batch_size=config.score.llm.batch_size,
        batch_tokens=config.score.llm.batch_tokens,
    )


def check_answers_float32(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Require the same entities as the reference decoder's, and the same probabilities but for rounding."""
    requests = make_requests(setup.size.requests, seed=5)
    llm = make_llm(setup.size.decoders[shape_name], setup.device, "float32")
    answers = make_scoring_engine(setup, llm, use_drafts=True).answer_requests(requests)
    references = make_scoring_engine(setup, llm, use_drafts=False).answer_requests(requests)
    n_different = sum(one.spans != other.spans for one, other in zip(answers, references, strict=True))
    largest = max(
        float(np.abs(one.slot_probs - other.slot_probs).max()) for one, other in zip(answers, references, strict=True)
    )
    findings.note("answers", len(answers))
    findings.note("entities", sum(len(answer.spans) for answer in references))
    findings.note("different_answers", n_different)
    findings.note("largest_difference_of_probabilities", largest)
    findings.require(
        n_different == 0, f"expected the reference decoder's entities, found others in {n_different} answers"
    )
    findings.require(
        n_different > 0 or largest <= _PROBABILITY_TOLERANCE,
        f"expected probabilities within {_PROBABILITY_TOLERANCE} of the reference decoder's, found {largest:.2g} off",
    )
    findings.require(any(answer.spans for answer in references), "expected entities, found none: nothing was compared")


def check_answers_bfloat16(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Count the answers that differ from the reference decoder's, and require that each difference is a near tie."""
    shape = setup.size.decoders[shape_name]
    require_room(setup, "score", llm=shape)
    requests = make_requests(setup.size.requests, seed=7)
    llm = make_llm(shape, setup.device, "bfloat16")
    reset_peak_memory(setup.device)
    answers = make_scoring_engine(setup, llm, use_drafts=True).answer_requests(requests)
    require_estimate_holds(setup, findings, "score", llm=shape)
    references = make_scoring_engine(setup, llm, use_drafts=False).answer_requests(requests)
    comparison = compare_choices(llm, requests, answers, references)
    findings.note("answers", len(answers))
    findings.note("different_answers", len(comparison.turned))
    findings.note("compared_choices", comparison.n_compared)
    findings.require(
        comparison.n_compared > len(answers), "expected several choices in each answer: too little was compared"
    )
    gaps = [measure_logit_gap(llm, turned) for turned in comparison.turned]
    require_near_ties(findings, gaps, "the reference decoder's")


def require_near_ties(findings: Findings, gaps: Sequence[float], whose: str) -> None:
    """Note the largest gap of choices that differ, and require that it is small. whose: of whom the others are."""
    largest = max(gaps, default=0.0)
    findings.note("largest_logit_gap_of_turned_choices", largest)
    findings.require(
        largest <= _LARGEST_GAP,
        f"expected other choices than {whose} only between tokens whose logits are within {_LARGEST_GAP} standard "
        f"deviations, found {largest:.2f}",
    )


@dataclass(frozen=True)
class TurnedChoice:
    """A choice that differs from the reference's. prefix: all tokens before it; found, expected: the two tokens."""

    prefix: list[int]
    found: int
    expected: int


@dataclass(frozen=True)
class ChoiceComparison:
    """Choices between allowed tokens up to the first difference of each answer, and these differences."""

    n_compared: int
    turned: list[TurnedChoice]


def compare_choices(
    llm: Llm, requests: Sequence[WindowRequest], answers: Sequence[LlmAnswer], references: Sequence[LlmAnswer]
) -> ChoiceComparison:
    """Compare answers choice by choice. What follows a difference is another text, so it is not compared."""
    n_compared, turned = 0, []
    for request, answer, reference in zip(requests, answers, references, strict=True):
        grammar, prefix = llm.build_grammar(request.text), llm.prompt_tokens(request.examples, request.text)
        pairs = zip(grammar.spell_answer(answer.spans), grammar.spell_answer(reference.spans), strict=False)
        for found, expected in pairs:
            n_compared += len(expected.allowed) > 1
            if found.token != expected.token:
                turned.append(TurnedChoice(prefix, found.token, expected.token))
                break
            prefix.append(found.token)
    return ChoiceComparison(n_compared, turned)


@torch.inference_mode()
def measure_logit_gap(llm: Llm, choice: TurnedChoice) -> float:
    """Return the difference of the two tokens' logits, in standard deviations of all logits at that position."""
    tokens = torch.tensor([choice.prefix], device=llm.device)
    hidden = llm.model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state[0, -1:]
    logits = compute_logits(llm.model, hidden, None)[0]
    return float((logits[choice.found] - logits[choice.expected]).abs() / logits.std())
