"""One NaN or infinity anywhere in a prediction is found; what is finite, and what was not read, is let pass."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import ConfigError, NotFiniteError
from rayner.text.finite_predictions import find_non_finite_answer, find_non_finite_slm, is_not_finite_reason
from rayner.text.predictions import CandidateScore, LlmAnswer, decode_log_probs, empty_prediction
from rayner.text.spans import Span
from tests.strategies import LABELS, llm_answers, slm_scores

numbers = st.sampled_from([np.nan, np.inf, -np.inf])
sizes = st.integers(1, 12)


def distributions(n_chars, seed):
    logits = np.random.default_rng(seed).normal(size=(n_chars, len(LABELS))).astype(np.float32)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@given(sizes.flatmap(slm_scores), st.integers(0, 4), st.integers(0, 4))
def test_a_finite_slm_prediction_passes(prediction, before, after):
    assert find_non_finite_slm(prediction) is None
    assert find_non_finite_slm(prediction.pad(before, after)) is None
    assert find_non_finite_slm(empty_prediction(before)) is None


@given(sizes, st.integers(0, 99), numbers, st.data())
def test_one_number_in_a_taggers_output_is_found_at_its_character(n_chars, seed, number, data):
    log_probs = distributions(n_chars, seed)
    (prediction,) = decode_log_probs([log_probs], LABELS)
    assert find_non_finite_slm(prediction) is None
    i, label = data.draw(st.integers(0, n_chars - 1)), data.draw(st.integers(0, len(LABELS) - 1))
    log_probs[i, label] = number
    with np.errstate(invalid="ignore", over="ignore"):
        (spoiled,) = decode_log_probs([log_probs], LABELS)
    reason = find_non_finite_slm(spoiled)
    assert reason == f"NotFiniteError: the small model's prediction for character {i} is NaN or infinite"
    assert is_not_finite_reason(reason)
    assert find_non_finite_slm(replace(spoiled, log_probs=None)) == reason  # where they were not kept


@given(sizes.flatmap(slm_scores), numbers, st.integers(0, 7))
def test_a_vector_of_the_text_is_checked(prediction, number, i):
    vector = np.ones(8, np.float32)
    assert find_non_finite_slm(replace(prediction, sentence_vector=vector)) is None
    vector[i] = number
    reason = find_non_finite_slm(replace(prediction, sentence_vector=vector))
    assert reason == "NotFiniteError: the small model's vector of the text is NaN or infinite"


@given(st.integers(0, 12).flatmap(llm_answers))
def test_a_finite_answer_passes_with_and_without_slots_at_which_decoding_may_stop(answer):
    assert find_non_finite_answer(answer) is None
    assert find_non_finite_answer(answer, np.ones(len(answer.slot_probs), bool)) is None
    assert find_non_finite_answer(answer, np.zeros(len(answer.slot_probs), bool)) is None


@given(sizes.flatmap(llm_answers), numbers, st.data())
def test_one_number_in_an_answer_is_found(answer, number, data):
    places = [("slot", i) for i in range(len(answer.slot_probs))]
    places += [(name, i) for i in range(len(answer.entities)) for name in ("category_prob", "boundary_prob")]
    name, i = data.draw(st.sampled_from(places))
    if name == "slot":
        slot_probs = answer.slot_probs.copy()
        slot_probs[i] = number
        spoiled = replace(answer, slot_probs=slot_probs)
        expected = f"NotFiniteError: the LLM's probability at slot {i} is NaN or infinite"
    else:
        entities = list(answer.entities)
        entities[i] = replace(entities[i], **{name: float(number)})
        spoiled, span = replace(answer, entities=tuple(entities)), entities[i].span
        expected = f"NotFiniteError: the LLM's probability of the entity [{span.start}, {span.end}) is NaN or infinite"
    assert find_non_finite_answer(spoiled) == expected
    assert find_non_finite_answer(spoiled, np.zeros(len(answer.slot_probs), bool)) == expected
    assert is_not_finite_reason(expected)


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.data())
def test_slots_that_were_not_read_pass_only_after_one_at_which_decoding_may_stop(allowed, data):
    mask = np.array(allowed)
    first_unread = data.draw(st.integers(0, len(mask) - 1))
    slot_probs = np.where(np.arange(len(mask)) < first_unread, np.float32(0.5), np.float32(np.nan))
    reason = find_non_finite_answer(LlmAnswer((), slot_probs), mask)
    assert (reason is None) == (first_unread > 0 and mask[first_unread - 1])
    # A number after the slots that were not read means that they were read.
    if first_unread < len(mask) - 1:
        slot_probs[-1] = data.draw(st.sampled_from([0.5, np.inf]))
        assert find_non_finite_answer(LlmAnswer((), slot_probs), mask) is not None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, False),
        (f"{ConfigError.__name__}: NaN", False),
        (f"{NotFiniteError.__name__}: slm.family: expected of own:NAMES ...", True),
        ("its process died 2 times while it was tried alone", False),
    ],
)
def test_other_reasons_are_not_counted(error, expected):
    assert is_not_finite_reason(error) is expected


@pytest.mark.parametrize("field", ["opening", "category", "going_on", "closing"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_score_of_a_candidate_that_is_no_number_is_found(field, number):
    fine = CandidateScore(Span(1, 2, "NR"), 1.0, 2.0, 3.0, 4.0)
    answer = LlmAnswer((), np.ones(4, np.float32), candidate_scores=(fine, replace(fine, **{field: number})))
    assert find_non_finite_answer(replace(answer, candidate_scores=(fine,))) is None
    reason = "NotFiniteError: the LLM's score of the candidate [1, 2) is NaN or infinite"
    assert find_non_finite_answer(answer) == reason
