import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.spans import Span, crop_spans, sort_and_check_spans
from tests.strategies import spans_with_length


def test_shifted_moves_both_ends_and_keeps_the_type():
    assert Span(2, 5, "NR").shift(3) == Span(5, 8, "NR")
    assert Span(2, 5, "NR").shift(-2) == Span(0, 3, "NR")


@given(spans_with_length(), spans_with_length())
def test_overlaps_means_sharing_a_character(one, other):
    for a in one[0]:
        for b in other[0]:
            assert a.overlaps(b) == bool({*range(a.start, a.end)} & {*range(b.start, b.end)})


@given(spans_with_length(), st.randoms(use_true_random=False))
def test_checked_returns_disjoint_spans_in_order_of_start(drawn, random):
    spans, n_chars = drawn
    shuffled = random.sample(spans, len(spans))
    assert sort_and_check_spans(shuffled, n_chars) == spans


@pytest.mark.parametrize(
    "spans",
    [
        [Span(1, 1, "NR")],
        [Span(3, 2, "NR")],
        [Span(-1, 1, "NR")],
        [Span(3, 5, "NR")],
        [Span(0, 2, "NR"), Span(1, 3, "NR")],
        [Span(2, 3, "NR"), Span(0, 4, "NS")],
        [Span(0, 1, "NR"), Span(0, 1, "NS")],
    ],
    ids=["empty", "reversed", "before the text", "after the text", "overlapping", "nested", "twice the same place"],
)
def test_checked_refuses_spans_that_are_no_partial_cover(spans):
    with pytest.raises(ValueError, match="of 4 characters"):
        sort_and_check_spans(spans, 4)


@given(spans_with_length(), st.data())
def test_within_keeps_exactly_the_whole_spans_and_counts_from_the_start(drawn, data):
    spans, n_chars = drawn
    start = data.draw(st.integers(0, n_chars))
    end = data.draw(st.integers(start, n_chars))
    found = crop_spans(spans, start, end)
    assert sort_and_check_spans(found, end - start) == found
    place = {*range(start, end)}
    assert [s.shift(start) for s in found] == [s for s in spans if place.issuperset(range(s.start, s.end))]
