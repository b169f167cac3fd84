"""The best set of candidates has the highest sum of all sets without overlaps."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion.learned.span_selection import choose_best_set, tune_best_set_threshold
from rayner.text.spans import Span
from tests.strategies import any_span_in

scored_spans = st.lists(
    st.tuples(any_span_in(8, 5), st.sampled_from([-0.5, 0.0, 0.125, 0.25, 0.5, 1.0])),
    max_size=8,
    unique_by=lambda x: x[0],
)


def overlap(spans):
    return any(one.overlaps(other) for one, other in combinations(spans, 2))


@given(scored_spans)
def test_no_set_without_overlaps_has_a_higher_sum(drawn):
    spans, scores = [span for span, _ in drawn], [score for _, score in drawn]
    chosen = choose_best_set(spans, scores)
    sets = [each for n in range(len(spans) + 1) for each in combinations(range(len(spans)), n)]
    best = max(sum(scores[i] for i in each) for each in sets if not overlap([spans[i] for i in each]))
    assert sum(scores[i] for i in chosen) == best
    assert not overlap([spans[i] for i in chosen])
    assert all(scores[i] > 0 for i in chosen)
    assert [spans[i].start for i in chosen] == sorted(spans[i].start for i in chosen)


def test_two_neighbours_win_over_a_more_probable_span_across_both():
    spans = [Span(0, 4, "NR"), Span(0, 2, "NR"), Span(2, 4, "NS")]
    assert choose_best_set(spans, [0.5, 0.3, 0.3]) == [1, 2]
    assert choose_best_set(spans, [0.7, 0.3, 0.3]) == [0]


@pytest.mark.parametrize("scores", [[], [0.0], [-1.0]])
def test_nothing_is_chosen_for_nothing(scores):
    assert choose_best_set([Span(0, 1, "NR")][: len(scores)], scores) == []


@given(st.lists(st.tuples(scored_spans, st.lists(st.floats(0, 1), min_size=8, max_size=8)), min_size=1, max_size=3))
def test_no_threshold_of_the_grid_has_a_higher_f1(drawn):
    spans = [[span for span, _ in own] for own, _ in drawn]
    probs = [np.array(values[: len(own)]) for own, values in drawn]
    gold = [{span for span, score in own if score > 0} for own, _ in drawn]

    def f1(threshold):
        chosen = [[s[i] for i in choose_best_set(s, p - threshold)] for s, p in zip(spans, probs, strict=True)]
        right = sum(len(set(found) & own) for found, own in zip(chosen, gold, strict=True))
        return 2 * right / max(1, sum(map(len, chosen)) + sum(map(len, gold)))

    found = tune_best_set_threshold(spans, probs, gold, (0.1, 0.9))
    assert 0.1 <= found <= 0.9
    assert f1(found) == max(f1(threshold) for threshold in np.linspace(0.1, 0.9, 81))
