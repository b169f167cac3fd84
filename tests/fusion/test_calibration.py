import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion.calibration import calibration_features, fit_logistic_weights, logistic_probability
from rayner.fusion.fused_entities import FusedEntity
from rayner.text.spans import Span

DECISION = FusedEntity(Span(0, 2, "NR"), "llm", 0.5, "NS", "NR", 0.25, 0.75)


def test_features_of_an_entity_without_the_llm_are_the_slms_alone():
    alone = dataclasses.replace(DECISION, llm_consulted=False)
    assert calibration_features(alone) == pytest.approx([1.0, math.log(0.501)])
    assert calibration_features(dataclasses.replace(alone, slm_entropy=0.0)) == pytest.approx([1.0, math.log(0.001)])


@pytest.mark.parametrize(("decided_by", "flags"), [("agree", [1, 0]), ("llm", [0, 1]), ("slm", [0, 0])])
def test_features_tell_who_decided_and_the_log_probabilities(decided_by, flags):
    decision = dataclasses.replace(DECISION, decided_by=decided_by)
    assert calibration_features(decision) == pytest.approx([1.0, 0.5, *flags, math.log(0.25), math.log(0.75)])


def test_a_probability_that_is_not_there_counts_as_1_and_one_of_0_as_next_to_nothing():
    absent = dataclasses.replace(DECISION, llm_category_prob=None, llm_boundary_prob=None)
    assert calibration_features(absent)[4:] == [0.0, 0.0]
    zero = dataclasses.replace(DECISION, llm_category_prob=0.0, llm_boundary_prob=0.0)
    assert calibration_features(zero)[4:] == pytest.approx([math.log(1e-6)] * 2)


def drawn_rows(weights, n_rows, seed):
    rng = np.random.default_rng(seed)
    rows = np.column_stack([np.ones(n_rows), rng.normal(size=(n_rows, len(weights) - 1))])
    return rows, rng.random(n_rows) < 1 / (1 + np.exp(-rows @ weights))


@pytest.mark.parametrize("weights", [[0.5, -1.5], [2.0, 1.0, -0.5, 0.0], [-1.0, 0.0]])
def test_fit_recovers_a_logistic_signal(weights):
    rows, right = drawn_rows(np.array(weights), 20_000, seed=1)
    assert fit_logistic_weights(rows.tolist(), right.tolist()) == pytest.approx(weights, abs=0.1)


def test_fitted_probabilities_are_as_often_right_as_they_say():
    rows, right = drawn_rows(np.array([1.0, -2.0]), 20_000, seed=2)
    weights = fit_logistic_weights(rows.tolist(), right.tolist())
    found = np.array([logistic_probability(row, weights) for row in rows])
    for low in np.arange(0, 1, 0.1):
        inside = (found >= low) & (found < low + 0.1)
        assert right[inside].mean() == pytest.approx(found[inside].mean(), abs=0.04)


@st.composite
def labelled_rows(draw):
    """Rows as of `features`, and labels that may well be separable or all alike."""
    log = st.floats(math.log(1e-6), 0)
    row = st.tuples(st.just(1.0), st.floats(0, 4), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]), log, log)
    rows = draw(st.lists(row, min_size=1, max_size=30))
    return rows, draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))


@given(labelled_rows(), st.floats(0.1, 10))
def test_fit_is_the_optimum_of_the_penalised_likelihood_whatever_the_labels(drawn, ridge):
    rows, right = np.array(drawn[0]), np.array(drawn[1], dtype=float)
    weights = np.array(fit_logistic_weights(*drawn, ridge=ridge))
    found = np.array([logistic_probability(row, weights.tolist()) for row in rows])
    penalty = np.array([1e-3, *[ridge] * 5])
    np.testing.assert_allclose(rows.T @ (found - right) + penalty * weights, 0, atol=1e-5)


@given(st.lists(st.booleans(), min_size=5, max_size=30).filter(lambda right: len(set(right)) == 2))
def test_the_constant_alone_gives_the_share_that_is_right(right):
    weights = fit_logistic_weights([[1.0]] * len(right), right)
    assert logistic_probability([1.0], weights) == pytest.approx(sum(right) / len(right), abs=0.01)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=2), st.floats(-5, 5), st.floats(0, 5))
def test_the_probability_is_monotone_in_a_feature_in_the_direction_of_its_weight(weights, value, more):
    low, high = logistic_probability([1.0, value], weights), logistic_probability([1.0, value + more], weights)
    assert (low <= high) if weights[1] >= 0 else (low >= high)


def test_where_errors_come_with_entropy_the_probability_falls_with_entropy():
    rng = np.random.default_rng(0)
    entropy = rng.uniform(0, 3, 2000)
    weights = fit_logistic_weights([[1.0, h] for h in entropy], list(rng.random(2000) < np.exp(-entropy)))
    found = [logistic_probability([1.0, h], weights) for h in (0, 0.5, 1, 2, 3)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.75
    assert found[-1] < 0.15


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_probability_lies_strictly_between_0_and_1(value, weight):
    assert 0 < logistic_probability([1.0, value], [0.0, weight]) < 1


def test_nothing_fitted_gives_no_probability():
    assert fit_logistic_weights([], []) == []
    assert logistic_probability([1.0, 0.5], []) is None


@pytest.mark.parametrize("decided_by", ["agree", "slm", "llm"])
def test_features_of_a_decision_with_a_probability_are_its_logit_alone(decided_by):
    decision = dataclasses.replace(DECISION, decided_by=decided_by, rule_prob=0.75)
    assert calibration_features(decision) == pytest.approx([1.0, math.log(3)])
    assert calibration_features(dataclasses.replace(decision, llm_consulted=False)) == pytest.approx(
        [1.0, math.log(0.501)]
    )


def test_what_is_said_without_a_penalty_is_said_with_one_of_1():
    rows, right = drawn_rows(np.array([0.5, -1.5]), 50, seed=1)
    assert fit_logistic_weights(rows.tolist(), right.tolist()) == fit_logistic_weights(
        rows.tolist(), right.tolist(), ridge=1.0
    )


@pytest.mark.parametrize(("logit", "expected"), [(30.0, 1 / (1 + math.exp(-30))), (-30.0, 1 / (1 + math.exp(30)))])
def test_a_probability_is_cut_at_logits_of_30(logit, expected):
    assert logistic_probability([1.0], [logit]) == pytest.approx(expected, rel=1e-12)
    assert logistic_probability([1.0], [2 * logit]) == logistic_probability([1.0], [logit])
