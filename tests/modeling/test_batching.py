"""Every item once, in batches of like length, at the least cost."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.modeling.batching import MAX_PADDING_SHARE, PASS_COST_TOKENS, TokenLimit, inference_batches

lengths_of = st.lists(st.integers(1, 400), max_size=40)
slacks = st.sampled_from([0, 20.5, PASS_COST_TOKENS])


def padding(lengths, batch):
    return max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch)


@given(lengths_of, st.integers(1, 16))
def test_every_item_is_in_one_batch_beside_the_next_in_length(lengths, size):
    found = inference_batches(lengths, size)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    falling = [lengths[i] for batch in found for i in batch]
    assert falling == sorted(lengths, reverse=True)
    assert all(1 <= len(batch) <= size for batch in found)


@given(lengths_of.filter(bool), st.integers(1, 16), slacks)
def test_little_of_a_batch_is_padding(lengths, size, slack):
    for batch in inference_batches(lengths, size, slack):
        area = max(lengths[i] for i in batch) * len(batch)
        assert padding(lengths, batch) <= max(MAX_PADDING_SHARE * area, slack)
    assert max(lengths[i] for i in inference_batches(lengths, size, slack)[0]) == max(lengths)


items = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 300)), max_size=9)


@given(items, st.integers(1, 5), slacks)
def test_no_other_cut_is_cheaper(items, size, slack):
    falling = sorted(items, key=lambda item: -sum(item))

    def price(batch):
        """Of a batch; None where too much of it is padding."""
        area = max(length for length, _ in batch) * len(batch)
        if area - sum(length for length, _ in batch) > max(MAX_PADDING_SHARE * area, slack):
            return None
        return PASS_COST_TOKENS + area + max(held for _, held in batch) * len(batch)

    @cache
    def least(start):
        ends = range(start + 1, min(start + size, len(falling)) + 1)
        prices = [(price(falling[start:end]), end) for end in ends]
        return min((p + least(end) for p, end in prices if p is not None), default=0)

    found = inference_batches([length for length, _ in items], size, slack, [held for _, held in items])
    cost = sum(price([items[i] for i in batch]) for batch in found)
    assert cost == pytest.approx(least(0))


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 300)), max_size=30), st.integers(1, 9),
       st.integers(1, 3000), slacks)  # fmt: skip
def test_no_batch_of_several_items_holds_more_tokens_than_its_limit(items, size, most, slack):
    lengths, cached = [length for length, _ in items], [held for _, held in items]
    new = [length + 7 for length in lengths]  # more than the next pass computes may be reserved
    found = inference_batches(lengths, size, slack, cached, TokenLimit(cached, new, most))
    assert sorted(i for batch in found for i in batch) == list(range(len(items)))
    for batch in found:
        assert len(batch) <= size
        area = len(batch) * (max(cached[i] for i in batch) + max(new[i] for i in batch))
        assert len(batch) == 1 or area <= most


@given(items, st.integers(1, 5), slacks)
def test_a_limit_that_is_never_reached_changes_no_batch(items, size, slack):
    lengths, cached = [length for length, _ in items], [held for _, held in items]
    limit = TokenLimit(cached, lengths, size * 700)
    assert inference_batches(lengths, size, slack, cached, limit) == inference_batches(lengths, size, slack, cached)
