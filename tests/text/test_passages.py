"""Whole passages are divided: no part or fold shares a passage with another, and no text is lost."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.labelled_text import LabelledSentence
from rayner.text.passages import BLOCKS_OF_A_PART, assign_fold_by_text, assign_part_by_text, cut_into_blocks

sizes = st.lists(st.integers(1, 12), max_size=20)
seeds = st.integers(0, 3)


def distinct_sentences(n_by_passage):
    """Sentences with distinct texts, n of each passage."""
    passages = [passage for passage, n in enumerate(n_by_passage) for _ in range(n)]
    return [LabelledSentence(f"句{i}。", (), passage) for i, passage in enumerate(passages)]


@given(sizes, st.floats(0, 0.49), st.floats(0, 0.49), seeds)
def test_a_passage_is_in_one_part(n_by_passage, dev, test, seed):
    sentences = distinct_sentences(n_by_passage)
    parts = assign_part_by_text(sentences, (dev, test), seed)
    assert set(parts) == {sentence.text for sentence in sentences}
    assert len({(sentence.passage, parts[sentence.text]) for sentence in sentences}) == len(n_by_passage)


@given(st.integers(1, 9), st.integers(10, 40), st.floats(0.1, 0.3), seeds)
def test_parts_of_equal_passages_have_their_shares_as_nearly_as_passages_allow(size, n, share, seed):
    parts = Counter(assign_part_by_text(distinct_sentences([size] * n), (share, share), seed).values())
    for part in (0, 1):
        assert abs(parts[part] - size * n * share) <= size / 2 + 0.5


@given(st.lists(st.integers(1, 12), min_size=3, max_size=20), seeds)
def test_each_part_with_a_share_has_a_passage(n_by_passage, seed):
    parts = assign_part_by_text(distinct_sentences(n_by_passage), (0.25, 0.25), seed)
    assert 0 in parts.values()
    assert 1 in parts.values() or sum(n_by_passage) < 4


def test_a_large_document_is_not_held_out_where_small_ones_do():
    for seed in range(20):
        parts = assign_part_by_text(distinct_sentences([90, 4, 3, 3]), (0.04, 0.03), seed)
        assert parts["句0。"] == 2


def test_copies_go_with_the_passage_in_which_a_text_occurs_first():
    sentences = [LabelledSentence(text, (), passage) for passage in range(10) for text in (f"句{passage}。", "曰：")]
    parts = assign_part_by_text(sentences, (0.3, 0.3), seed=0)
    assert parts["曰："] == parts["句0。"]


@given(sizes, st.integers(2, 6), seeds)
def test_a_passage_is_in_one_fold(n_by_passage, n_folds, seed):
    sentences = distinct_sentences(n_by_passage)
    folds = assign_fold_by_text(sentences, n_folds, seed)
    assert set(folds) == {sentence.text for sentence in sentences}
    if len(n_by_passage) > 1:
        assert len({(sentence.passage, folds[sentence.text]) for sentence in sentences}) == len(n_by_passage)
        in_fold = Counter({folds[sentence.text]: 0 for sentence in sentences})
        in_fold.update({sentence.passage: folds[sentence.text] for sentence in sentences}.values())
        assert max(in_fold.values()) - min(in_fold.values()) <= 1
        assert len(in_fold) == min(n_folds, len(n_by_passage))


def test_the_sentences_of_a_single_passage_are_divided_one_by_one():
    assert Counter(assign_fold_by_text(distinct_sentences([10]), 5, seed=0).values()) == dict.fromkeys(range(5), 2)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.floats(0.05, 0.3))
def test_blocks_are_consecutive_of_one_document_and_of_about_equal_size(documents, share):
    blocks = cut_into_blocks(documents, share)
    assert len(blocks) == sum(documents)
    assert all(after - before in (0, 1) for before, after in pairwise(blocks))
    found = iter(blocks)
    by_document = [{next(found) for _ in range(n)} for n in documents]
    assert sum(map(len, by_document)) == len(set(blocks))
    wanted = max(1.0, sum(documents) * share / BLOCKS_OF_A_PART)
    for n, document in zip(documents, by_document, strict=True):
        assert len(document) == max(1, round(n / wanted))
        assert (
            max(Counter(blocks)[block] for block in document) - min(Counter(blocks)[block] for block in document) <= 1
        )


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_a_part_of_a_tenth_is_made_of_three_blocks(n):
    sentences = [LabelledSentence(f"句{i}。", (), block) for i, block in enumerate(cut_into_blocks([n], 0.1))]
    parts = assign_part_by_text(sentences, (0.1, 0.1), seed=1)
    for part in (0, 1):
        texts = [sentence for sentence in sentences if parts[sentence.text] == part]
        assert len(texts) == n // 10
        assert len({sentence.passage for sentence in texts}) == BLOCKS_OF_A_PART
