"""What a random sample of sentences says of a corpus: shares, and intervals that hold the truth as often as told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rayner.evaluation.sample_estimate import (
    count_further_sentences,
    estimate_score,
    estimate_share,
    student_t_quantile,
)
from tests.strategies import at_most


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (99, 1.984), (10**6, 1.96)]
)
def test_the_quantiles_of_students_t_are_those_of_the_tables(degrees, quantile):
    assert student_t_quantile(0.975, degrees) == pytest.approx(quantile, abs=0.01)


@st.composite
def samples(draw):
    gold, spurious = (
        draw(hnp.arrays(np.int64, 12, elements=st.integers(0, 5))) for _ in range(2)
    )  # fmt: skip
    right = np.array([draw(st.integers(0, int(n))) for n in gold])
    return np.stack([right, right + spurious, gold], axis=1)


@at_most(100)
@given(samples(), st.integers(12, 1000))
def test_the_shares_are_those_of_the_sample_and_lie_in_their_intervals(counts, population):
    score = estimate_score(counts, population)
    right, predicted, gold = counts.sum(axis=0)
    for found, part, whole in (
        (score.precision, right, predicted), (score.recall, right, gold), (score.f1, 2 * right, predicted + gold)
    ):  # fmt: skip
        if found is not None:
            assert found.share == pytest.approx(part / whole)
            assert -1e-9 <= found.low <= found.share + 1e-9
            assert found.share - 1e-9 <= found.high <= 1 + 1e-9
    assert (score.predicted, score.gold) == (predicted, gold)


@at_most(50)
@given(samples())
def test_the_order_of_the_sentences_does_not_matter_and_the_whole_corpus_has_no_interval(counts):
    assert repr(estimate_score(counts, 100)) == repr(estimate_score(counts[::-1], 100))
    score = estimate_score(counts, len(counts))
    assert all(one is None or one.low == one.share == one.high for one in (score.precision, score.recall, score.f1))


def test_entities_in_one_sentence_alone_say_nothing_of_the_others():
    whole = np.array([0, 7, 0])
    assert estimate_share(whole, whole, 50) is None
    assert estimate_share(whole * 0, whole * 0, 50) is None


def test_a_sample_without_an_error_still_has_an_interval():
    whole = np.full(20, 2)
    found = estimate_share(whole, whole, 10_000)
    assert found.share == found.high == 1
    assert 0.85 < found.low < 0.93


def heterogeneous_corpus(rng, recall, n=20_000):
    """Sentences with many names or none, some of them easy and some hard."""
    gold = rng.negative_binomial(1.2, 0.35, n)
    right = rng.binomial(gold, rng.beta(2 * recall, 2 - 2 * recall, n))
    return np.stack([right, right + rng.binomial(gold + 1, 0.15), gold], axis=1)


@pytest.mark.parametrize("recall", [0.45, 0.6, 0.9])
def test_nineteen_of_twenty_intervals_hold_the_truth(recall):
    rng = np.random.default_rng(5)
    corpus, rounds = heterogeneous_corpus(rng, recall), 600
    right, predicted, gold = corpus.sum(axis=0)
    truth = (right / predicted, right / gold, 2 * right / (predicted + gold))
    held = np.zeros(3)
    for _ in range(rounds):
        score = estimate_score(corpus[rng.choice(len(corpus), 100, replace=False)], len(corpus))
        shares = (score.precision, score.recall, score.f1)
        held += [share.low <= true <= share.high for share, true in zip(shares, truth, strict=True)]
    assert (held / rounds > 0.92).all()
    assert (held / rounds < 0.985).all()


def test_as_many_further_sentences_as_are_told_make_the_interval_as_narrow_as_is_wanted():
    rng = np.random.default_rng(6)
    corpus = heterogeneous_corpus(rng, 0.6)
    drawn = rng.permutation(corpus)
    first = estimate_score(drawn[:100], len(corpus)).recall
    more = count_further_sentences(first, 100, len(corpus), 0.03)
    then = estimate_score(drawn[: 100 + more], len(corpus)).recall
    assert (first.high - first.low) / 2 > 0.06
    assert (then.high - then.low) / 2 == pytest.approx(0.03, rel=0.2)
    assert count_further_sentences(then, 100 + more, len(corpus), 0.5) == 0
    assert count_further_sentences(first, 100, 150, 1e-6) == 50  # all that there are
