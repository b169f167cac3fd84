"""Confidences of each model by itself, and what calibration makes of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion import model_confidence
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.fusion.test_span_rule import rows
from tests.strategies import LABELS, TYPES, floats32


@given(st.lists(rows(), max_size=4))
def test_every_entity_has_a_confidence_between_0_and_1(some):
    for judged, spans in (
        (model_confidence.slm_confidences(some, TYPES), [span for row in some for span in row.slm.spans]),
        (model_confidence.llm_confidences(some), [span for row in some for span in row.llm.spans]),
    ):
        assert [span for span, *_ in judged] == spans
        assert all(0 <= value <= 1 + 1e-5 for _, value, _ in judged)


def test_the_small_models_is_the_product_of_its_labels():
    log_probs = np.full((3, len(LABELS)), -9, dtype=np.float32)
    for i, (label, p) in enumerate((("B-NR", 0.5), ("M-NR", 0.8), ("E-NR", 0.25))):
        log_probs[i, LABELS.index(label)] = math.log(p)
    span = Span(0, 3, "NR")
    row = SegmentPrediction("d", 0, 3, "楚懷王", SlmPrediction((span,), floats32([1, 1, 1]), log_probs), gold=(span,))
    assert model_confidence.slm_confidences([row], TYPES) == [(span, pytest.approx(0.1), True)]


def test_the_llms_is_category_times_boundary():
    span = Span(0, 1, "NR")
    llm = LlmAnswer((LlmEntity(span, 0.5, 0.25),), floats32([1, 1]))
    row = SegmentPrediction("d", 0, 1, "楚", SlmPrediction((), floats32([0])), llm)
    assert model_confidence.llm_confidences([row]) == [(span, 0.125, False)]


def test_calibration_mends_confidences_that_are_too_high():
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 1, 4000)
    right = rng.random(4000) < sure**3  # right far less often than they say
    judged = [(Span(0, 1, "NR"), float(value), bool(good)) for value, good in zip(sure, right, strict=True)]
    told = model_confidence.confidence_calibrator(model_confidence.fit_confidence_weights(judged[:2000]))
    before = model_confidence.expected_calibration_error(sure[2000:], right[2000:])
    after = model_confidence.expected_calibration_error([told(value) for value in sure[2000:]], right[2000:])
    assert before > 0.2
    assert after < 0.03


@given(st.floats(0, 1), st.floats(0, 1))
def test_calibration_keeps_the_order(a, b):
    told = model_confidence.confidence_calibrator([0.3, 0.7])
    assert told(min(a, b)) <= told(max(a, b))


def test_without_entities_nothing_is_fitted():
    assert model_confidence.fit_confidence_weights([]) == []
    assert model_confidence.confidence_calibrator([])(0.5) is None


def test_expected_error_by_hand():
    assert model_confidence.expected_calibration_error([], []) == 0
    # Two bins: means 0.25 and 0.95, right in half and in all.
    assert model_confidence.expected_calibration_error(
        [0.2, 0.3, 0.9, 1.0], [False, True, True, True]
    ) == pytest.approx((0.2 + 0.7 + 0.1 + 0.0) / 4)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_expected_error_lies_between_0_and_1_and_is_at_least_the_mean_gap(pairs):
    scores, right = zip(*pairs, strict=True)
    error = model_confidence.expected_calibration_error(scores, right)
    assert abs(np.mean(scores) - np.mean(right)) - 1e-9 <= error <= 1


@pytest.mark.parametrize(("value", "inside"), [(0.75, 0.75), (0.0, 1e-6), (1.0, 1 - 1e-6), (1.5, 1 - 1e-6)])
def test_a_confidence_as_columns(value, inside):
    assert model_confidence.logit_features(value) == pytest.approx([1.0, math.log(inside / (1 - inside))], rel=1e-9)


def test_expected_error_has_ten_bins_and_the_last_holds_1():
    right = [True, False, True, False]
    # 0.05 and 0.15 lie in bins of their own, 0.95 and 1 in one.
    assert model_confidence.expected_calibration_error([0.05, 0.15, 0.95, 1.0], right) == pytest.approx(
        (0.95 + 0.15 + 0.95) / 4
    )
    assert model_confidence.expected_calibration_error([0.85, 0.95], [True, False]) == pytest.approx((0.15 + 0.95) / 2)
    assert model_confidence.expected_calibration_error([0.05, 0.95], [True, False], bins=1) == pytest.approx(0.0)


def test_expected_error_has_no_more_than_ten_bins():
    assert model_confidence.expected_calibration_error([0.05, 0.095], [True, False]) == pytest.approx(
        (0.95 - 0.095) / 2
    )
