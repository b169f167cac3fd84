"""Names that training showed and names that it did not: each counts on one side, and intervals hold the share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.metrics import bootstrap_share_interval, count_entities, micro_score
from rayner.evaluation.seen_names import SeenNames
from rayner.text.spans import Span
from tests.strategies import TYPES, tagged_texts


@given(
    st.lists(st.tuples(tagged_texts(12), tagged_texts(12)), max_size=8),
    st.sets(st.text("楚王秦趙", min_size=1, max_size=2)),
)
def test_each_entity_counts_once_as_seen_or_as_unseen(pairs, strings):
    texts = [text for (text, _), _ in pairs]
    gold = [spans for (_, spans), _ in pairs]
    predicted = [
        [span for span in spans if span.end <= len(text)]
        for text, (_, spans) in zip(texts, (b for _, b in pairs), strict=True)
    ]
    found = SeenNames(strings, texts).score(gold, predicted, TYPES, seed=0)
    whole = micro_score(count_entities(gold, predicted, TYPES))
    for name in ("right", "predicted", "gold"):
        assert getattr(found.seen.micro, name) + getattr(found.unseen.micro, name) == getattr(whole, name)
        for part in (found.seen, found.unseen):
            assert sum(getattr(score, name) for score in part.per_type.values()) == getattr(part.micro, name)
    n_seen = sum(
        text[span.start : span.end] in strings for text, spans in zip(texts, gold, strict=True) for span in spans
    )
    assert found.seen.micro.gold == n_seen


def test_a_wrong_extent_is_judged_by_its_own_string():
    gold, predicted = [[Span(0, 2, "NR")]], [[Span(0, 1, "NR")]]
    found = SeenNames({"項"}, ["項籍"]).score(gold, predicted, ["NR"], seed=0)
    assert (found.seen.micro.predicted, found.seen.micro.gold) == (1, 0)
    assert (found.unseen.micro.predicted, found.unseen.micro.gold) == (0, 1)


def test_intervals_hold_precision_and_recall():
    gold = [[Span(0, 1, "NR")], [Span(0, 1, "NR")], []] * 40
    predicted = [[Span(0, 1, "NR")], [], [Span(0, 1, "NR")]] * 40
    found = SeenNames(set(), ["楚"] * 120).score(gold, predicted, ["NR"], seed=0)
    for low, high in (found.precision_interval, found.recall_interval, found.unseen.recall_interval):
        assert 0.3 < low < 0.5 < high < 0.7
    assert found.seen.recall_interval == (0.0, 0.0)
    assert found.seen.per_type == {}


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_to_count_has_no_interval(n):
    assert bootstrap_share_interval(count_entities([[]] * n, [[]] * n, TYPES), 0, 1, seed=0) == (0.0, 0.0)


def test_a_sample_that_drew_no_entity_does_not_count():
    counts = count_entities([[Span(0, 1, "NR")], *[[]] * 9], [[Span(0, 1, "NR")], *[[]] * 9], ["NR"])
    assert bootstrap_share_interval(counts, 0, 2, seed=0) == (1.0, 1.0)
