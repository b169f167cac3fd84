"""Confidences of each model by itself, and what calibration makes of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.calibration_error import expected_calibration_error, group_into_reliability_bins
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
    before, after = (
        expected_calibration_error(group_into_reliability_bins(scores, right[2000:]))
        for scores in (sure[2000:], [told(value) for value in sure[2000:]])
    )
    assert before > 0.2
    assert after < 0.03


@given(st.floats(0, 1), st.floats(0, 1))
def test_calibration_keeps_the_order(a, b):
    told = model_confidence.confidence_calibrator([0.3, 0.7])
    assert told(min(a, b)) <= told(max(a, b))


def test_without_entities_nothing_is_fitted():
    assert model_confidence.fit_confidence_weights([]) == []
    assert model_confidence.confidence_calibrator([])(0.5) is None


@pytest.mark.parametrize(("value", "inside"), [(0.75, 0.75), (0.0, 1e-6), (1.0, 1 - 1e-6), (1.5, 1 - 1e-6)])
def test_a_confidence_as_columns(value, inside):
    assert model_confidence.logit_features(value) == pytest.approx([1.0, math.log(inside / (1 - inside))], rel=1e-9)
