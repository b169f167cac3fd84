"""Score with drafts, and compare the answers with those of the reference decoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_llm
from gpu_check.made_texts import make_requests
from gpu_check.memory import require_estimate_holds, require_room, reset_peak_memory
from gpu_check.records import Findings
from rayner.decoding.engine import AnswerEngine, WindowRequest, make_engine
from rayner.llm.model import Llm
from rayner.text.predictions import LlmAnswer

_PROBABILITY_TOLERANCE = 1e-4
# Of the choices that bfloat16's rounding could turn, at most this share may be turned. Random weights make the choices
# closer than trained weights do.
_LARGEST_SHARE_TURNED = 0.05


def make_scoring_engine(setup: CheckSetup, llm: Llm, *, use_drafts: bool) -> AnswerEngine:
    """Return the engine that scores with drafts, or the reference decoder."""
    return make_engine(
        llm,
        "transformers",
        use_drafts=use_drafts,
        softmax_over=setup.config.llm.softmax_over,
        batch_size=setup.size.llm_batch,
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
    """Count the answers that differ from the reference decoder's, and require that few choices were turned."""
    shape = setup.size.decoders[shape_name]
    require_room(setup, "score", llm=shape)
    requests = make_requests(setup.size.requests, seed=7)
    llm = make_llm(shape, setup.device, "bfloat16")
    reset_peak_memory(setup.device)
    answers = make_scoring_engine(setup, llm, use_drafts=True).answer_requests(requests)
    require_estimate_holds(setup, findings, "score", llm=shape)
    references = make_scoring_engine(setup, llm, use_drafts=False).answer_requests(requests)
    turned = count_turned_choices(llm, requests, answers, references)
    findings.note("answers", len(answers))
    findings.note("different_answers", turned.n_turned)
    findings.note("compared_choices", turned.n_compared)
    findings.require(
        turned.n_compared > len(answers), "expected several choices in each answer: too little was compared"
    )
    findings.require(
        turned.n_turned <= _LARGEST_SHARE_TURNED * turned.n_compared,
        f"expected at most {_LARGEST_SHARE_TURNED:.0%} of the choices to differ from the reference decoder's, found "
        f"{turned.n_turned} of {turned.n_compared}",
    )


@dataclass(frozen=True)
class TurnedChoices:
    """Choices between allowed tokens, up to the first difference of each answer, and how many differ."""

    n_compared: int
    n_turned: int


def count_turned_choices(
    llm: Llm, requests: Sequence[WindowRequest], answers: Sequence[LlmAnswer], references: Sequence[LlmAnswer]
) -> TurnedChoices:
    """Compare answers choice by choice. What follows a difference is another text, so it is not compared."""
    n_compared = n_turned = 0
    for request, answer, reference in zip(requests, answers, references, strict=True):
        grammar = llm.build_grammar(request.text)
        pairs = zip(grammar.spell_answer(answer.spans), grammar.spell_answer(reference.spans), strict=False)
        for found, expected in pairs:
            n_compared += len(expected.allowed) > 1
            if found.token != expected.token:
                n_turned += 1
                break
    return TurnedChoices(n_compared, n_turned)
