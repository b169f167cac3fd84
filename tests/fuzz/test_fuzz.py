"""A slice of `make fuzz`: nothing but clean errors, and properties of what is read."""

import random

import pytest

from tests.fuzz import seeds
from tests.fuzz.mutator import mutated
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_are_read_and_broken_ones_are_read_or_cleanly_refused(name):
    target, share = TARGETS[name]
    valid = getattr(seeds, name)()
    assert all(map(target, valid))
    rng = random.Random(0)
    for _ in range(60 + 3 * share):
        target(mutated(rng, valid))
