"""Confidences of each model by itself, and what calibration makes of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.ner import confidence
from rayner.ner.fusion import compare
from rayner.ner.scores import LlmAnswer, LlmSpan, Scored, SlmScore
from rayner.ner.spans import Span, checked
from tests.ner.test_span_rule import rows
from tests.strategies import LABELS, TYPES, floats32


@given(st.lists(rows(), max_size=4))
def test_every_entity_has_a_confidence_between_0_and_1(some):
    for judged, spans in (
        (confidence.of_slm(some, TYPES), [span for row in some for span in row.slm.spans]),
        (confidence.of_llm(some), [span for row in some for span in row.llm.plain]),
    ):
        assert [span for span, *_ in judged] == spans
        assert all(0 <= value <= 1 + 1e-5 for _, value, _ in judged)


def test_the_small_models_is_the_product_of_its_labels():
    log_probs = np.full((3, len(LABELS)), -9, dtype=np.float32)
    for i, (label, p) in enumerate((("B-NR", 0.5), ("M-NR", 0.8), ("E-NR", 0.25))):
        log_probs[i, LABELS.index(label)] = math.log(p)
    span = Span(0, 3, "NR")
    row = Scored("d", 0, 3, "楚懷王", SlmScore((span,), floats32([1, 1, 1]), log_probs), gold=(span,))
    assert confidence.of_slm([row], TYPES) == [(span, pytest.approx(0.1), True)]


def test_the_llms_is_category_times_boundary():
    span = Span(0, 1, "NR")
    llm = LlmAnswer((LlmSpan(span, 0.5, 0.25),), floats32([1, 1]))
    row = Scored("d", 0, 1, "楚", SlmScore((), floats32([0])), llm)
    assert confidence.of_llm([row]) == [(span, 0.125, False)]


def test_calibration_mends_confidences_that_are_too_high():
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 1, 4000)
    right = rng.random(4000) < sure**3  # right far less often than they say
    judged = [(Span(0, 1, "NR"), float(value), bool(good)) for value, good in zip(sure, right, strict=True)]
    told = confidence.calibrated(confidence.fit(judged[:2000]))
    before = confidence.expected_error(sure[2000:], right[2000:])
    after = confidence.expected_error([told(value) for value in sure[2000:]], right[2000:])
    assert before > 0.2
    assert after < 0.03


@given(st.floats(0, 1), st.floats(0, 1))
def test_calibration_keeps_the_order(a, b):
    told = confidence.calibrated([0.3, 0.7])
    assert told(min(a, b)) <= told(max(a, b))


def test_without_entities_nothing_is_fitted():
    assert confidence.fit([]) == []
    assert confidence.calibrated([])(0.5) is None


def test_expected_error_by_hand():
    assert confidence.expected_error([], []) == 0
    # Two bins: means 0.25 and 0.95, right in half and in all.
    assert confidence.expected_error([0.2, 0.3, 0.9, 1.0], [False, True, True, True]) == pytest.approx(
        (0.2 + 0.7 + 0.1 + 0.0) / 4
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_expected_error_lies_between_0_and_1_and_is_at_least_the_mean_gap(pairs):
    scores, right = zip(*pairs, strict=True)
    error = confidence.expected_error(scores, right)
    assert abs(np.mean(scores) - np.mean(right)) - 1e-9 <= error <= 1


WEIGHTS = {"slm": [0.2, 1.1], "llm": [-0.4, 0.8]}


@given(rows())
def test_by_calibrated_confidence_each_region_goes_to_one_model_and_agreement_stays(row):
    fused = confidence.fuse(row, TYPES, WEIGHTS)
    assert list(checked(fused, len(row.text))) == list(fused)
    if row.slm.log_probs is None or row.llm is None:
        assert fused == tuple(row.slm.spans)
        return
    agreed, regions = compare(row.slm.spans, row.llm.spans)
    assert set(agreed) <= set(fused)
    for region in regions:
        inside = {span for span in fused if span.start < region.end and region.start < span.end}
        assert inside in (set(region.slm), {item.span for item in region.llm})


@pytest.mark.parametrize(("probability", "won"), [(0.9, "llm"), (0.3, "slm")])
def test_the_surer_model_wins_and_where_one_is_silent_the_other_needs_more_than_even_odds(probability, won):
    span = Span(0, 1, "NR")
    log_probs = np.full((1, len(LABELS)), -3, dtype=np.float32)
    llm = LlmAnswer((LlmSpan(span, probability, 1.0),), floats32([1, 1]))
    row = Scored("d", 0, 1, "楚", SlmScore((), floats32([0]), log_probs), llm)
    as_they_are = {"slm": [0.0, 1.0], "llm": [0.0, 1.0]}
    assert confidence.fuse(row, TYPES, as_they_are) == ((span,) if won == "llm" else ())


def test_without_weights_the_small_model_stands():
    span = Span(0, 1, "NR")
    row = Scored("d", 0, 1, "楚", SlmScore((span,), floats32([0]), np.zeros((1, len(LABELS)), np.float32)),
                 LlmAnswer((), floats32([1, 1])))  # fmt: skip
    assert confidence.fuse(row, TYPES, {}) == (span,)
