"""Every item once, in batches of like length, at the least cost."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.models.batching import PADDING, PASS, batches, like_lengths

lengths_of = st.lists(st.integers(1, 400), max_size=40)
slacks = st.sampled_from([0, 20.5, PASS])


def padding(lengths, batch):
    return max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch)


@given(lengths_of, st.integers(1, 16))
def test_every_item_is_in_one_batch_beside_the_next_in_length(lengths, size):
    found = batches(lengths, size)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    falling = [lengths[i] for batch in found for i in batch]
    assert falling == sorted(lengths, reverse=True)
    assert all(1 <= len(batch) <= size for batch in found)


@given(lengths_of.filter(bool), st.integers(1, 16), slacks)
def test_little_of_a_batch_is_padding(lengths, size, slack):
    for batch in batches(lengths, size, slack):
        area = max(lengths[i] for i in batch) * len(batch)
        assert padding(lengths, batch) <= max(PADDING * area, slack)
    assert like_lengths(lengths, size, slack) == batches(lengths, size, slack)[0]
    assert max(lengths[i] for i in like_lengths(lengths, size, slack)) == max(lengths)


@given(st.lists(st.integers(1, 400), max_size=9), st.integers(1, 5), slacks)
def test_no_other_cut_is_cheaper(lengths, size, slack):
    falling = sorted(lengths, reverse=True)

    @cache
    def least(start):
        if start == len(falling):
            return 0
        costs = []
        for end in range(start + 1, min(start + size, len(falling)) + 1):
            area = falling[start] * (end - start)
            if area - sum(falling[start:end]) <= max(PADDING * area, slack):
                costs.append(PASS + area + least(end))
        return min(costs)

    cost = sum(PASS + max(lengths[i] for i in batch) * len(batch) for batch in batches(lengths, size, slack))
    assert cost == pytest.approx(least(0))
