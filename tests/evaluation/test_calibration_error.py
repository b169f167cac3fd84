"""The calibration error, its bins, and the error that perfect scores would show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.calibration_error import (
    expected_calibration_error,
    group_into_reliability_bins,
    simulate_perfect_calibration,
)

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def error_of(scores, right):
    return expected_calibration_error(group_into_reliability_bins(scores, right))


def test_without_entities_there_is_no_bin_and_no_error():
    assert group_into_reliability_bins([], []) == ()
    assert expected_calibration_error(()) == 0
    assert (simulate_perfect_calibration([]).mean, simulate_perfect_calibration([]).high) == (0, 0)


def test_error_by_hand():
    # Twelve entities in ten bins: the two lowest pairs share a bin each, every other entity has its own.
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0]
    right = [False, True, True, False, True, True, False, True, True, True, True, True]
    pairs = abs(0.3 - 1) + abs(0.7 - 1)
    singles = 0.5 + 0.5 + 0.6 + 0.4 + 0.3 + 0.2 + 0.1 + 0.0
    assert error_of(scores, right) == pytest.approx((pairs + singles) / 12)


@given(PAIRS)
def test_bins_hold_every_entity_once_in_order_and_differ_in_size_by_at_most_one(pairs):
    scores, right = zip(*pairs, strict=True)
    bins = group_into_reliability_bins(scores, right)
    assert len(bins) == min(10, len(pairs))
    assert sum(own.n for own in bins) == len(pairs)
    assert max(own.n for own in bins) - min(own.n for own in bins) <= 1
    assert sum(own.n * own.mean for own in bins) == pytest.approx(sum(scores))
    assert sum(own.n * own.right for own in bins) == pytest.approx(sum(right))
    bounds = [bound for own in bins for bound in (own.low, own.high)]
    assert bounds == sorted(bounds)


@given(PAIRS)
def test_error_lies_between_the_mean_gap_and_1(pairs):
    scores, right = zip(*pairs, strict=True)
    assert abs(np.mean(scores) - np.mean(right)) - 1e-9 <= error_of(scores, right) <= 1


def test_draws_show_the_error_of_entities_that_are_right_as_often_as_their_scores_say():
    rng = np.random.default_rng(5)
    scores = rng.uniform(0, 1, 400)
    perfect = simulate_perfect_calibration(scores)
    errors = [error_of(scores, rng.random(400) < scores) for _ in range(400)]
    assert perfect.mean == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean([error <= perfect.high for error in errors]) == pytest.approx(0.95, abs=0.04)
    assert perfect == simulate_perfect_calibration(scores)  # the same draws each time


def test_more_entities_leave_less_to_chance_and_sure_scores_nothing():
    few, many = (simulate_perfect_calibration(np.linspace(0, 1, n)).mean for n in (100, 10_000))
    assert many == pytest.approx(few / 10, rel=0.2)
    assert simulate_perfect_calibration([0.0, 1.0, 1.0]).high == 0
