"""The length of a pretraining and its learning rate: whether hours or steps limit it, the same steps are the same."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.pretraining.length import count_steps_if_falling_from, first_falling_step, learning_rate_factor


@given(step=st.integers(0, 10**9))
def test_a_training_that_falls_from_a_step_has_as_many_steps_as_say_so(step):
    n_steps = count_steps_if_falling_from(step)
    assert first_falling_step(n_steps) == step
    assert first_falling_step(n_steps + 1) > step


@given(n_steps=st.integers(1, 3000), warmup_steps=st.integers(0, 4000))
def test_before_the_fall_the_rate_is_the_same_whether_the_number_of_steps_is_known(n_steps, warmup_steps):
    factors = [learning_rate_factor(step, n_steps, warmup_steps) for step in range(n_steps)]
    fall = first_falling_step(n_steps)
    assert factors[:fall] == [learning_rate_factor(step, None, warmup_steps) for step in range(fall)]
    assert all(0 < factor <= 1 for factor in factors)


def test_the_rate_rises_stays_and_falls_to_nearly_nothing():
    factors = [learning_rate_factor(step, 1000, 100) for step in range(1000)]
    assert factors[:100] == pytest.approx([(step + 1) / 100 for step in range(100)])
    assert {*factors[100:900]} == {1.0}
    assert all(a > b for a, b in itertools.pairwise(factors[900:]))
    assert factors[900] == pytest.approx(100 / 101)
    assert factors[999] == pytest.approx(1 / 101)
