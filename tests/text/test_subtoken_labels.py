import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rayner.text.subtoken_labels import collapse_log_probs, expand_label
from rayner.text.tags import bmes_labels
from tests.strategies import LABELS, legal_tags


def collapse(token_labels, labels):
    """The label whose expansion agrees with most of the token labels, the earliest on a tie: the inverse by search."""

    def agreement(label):
        return sum(a == b for a, b in zip(expand_label(label, len(token_labels)), token_labels, strict=True))

    return max(labels, key=agreement)


TABLE_1 = {
    "B-NR": ["B", "BM", "BMM", "BMMM", "BMMMM"],
    "M-NR": ["M", "MM", "MMM", "MMMM", "MMMMM"],
    "E-NR": ["E", "ME", "MME", "MMME", "MMMME"],
    "S-NR": ["S", "BE", "BME", "BMME", "BMMME"],
    "O": ["O", "OO", "OOO", "OOOO", "OOOOO"],
}


@pytest.mark.parametrize("label", TABLE_1)
@pytest.mark.parametrize("n_tokens", range(1, 6))
def test_expand_is_the_papers_table_1(label, n_tokens):
    expected = [letter if letter == "O" else f"{letter}-NR" for letter in TABLE_1[label][n_tokens - 1]]
    assert expand_label(label, n_tokens) == expected


def test_a_character_without_tokens_is_refused():
    with pytest.raises(ValueError, match="without tokens"):
        expand_label("O", 0)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("n_tokens", range(1, 6))
def test_collapse_inverts_expand(label, n_tokens):
    assert collapse(expand_label(label, n_tokens), LABELS) == label


@given(legal_tags(), st.data())
def test_a_legal_sequence_survives_any_tokenizer(tags, data):
    counts = data.draw(st.lists(st.integers(1, 5), min_size=len(tags), max_size=len(tags)))
    tokens = [expand_label(tag, count) for tag, count in zip(tags, counts, strict=True)]
    assert [collapse(part, LABELS) for part in tokens] == tags


@st.composite
def token_scores(draw, labels=LABELS):
    """Log-probabilities of tokens and the number of tokens of each character."""
    counts = np.array(draw(st.lists(st.integers(1, 5), max_size=6)), dtype=np.int64)
    shape = (int(counts.sum()), len(labels))
    raw = draw(hnp.arrays(np.float64, shape, elements=st.floats(-9, 0)))
    return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True), counts


@given(token_scores())
def test_collapsed_distributions_are_normalised(drawn):
    log_probs, counts = drawn
    found = collapse_log_probs(log_probs, counts, LABELS)
    assert found.shape == (len(counts), len(LABELS))
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-9)


@given(token_scores())
def test_collapsed_distributions_are_the_joint_probabilities_of_the_expansions(drawn):
    log_probs, counts = drawn
    found = collapse_log_probs(log_probs, counts, LABELS)
    at = 0
    for count, row in zip(counts, found, strict=True):
        joint = [
            sum(log_probs[at + k, LABELS.index(part)] for k, part in enumerate(expand_label(label, count)))
            for label in LABELS
        ]
        expected = np.exp(joint) / np.exp(joint).sum()
        np.testing.assert_allclose(np.exp(row), expected, atol=1e-9)
        at += count


@given(token_scores())
def test_a_character_of_one_token_keeps_its_distribution(drawn):
    log_probs, counts = drawn
    found = collapse_log_probs(log_probs, counts, LABELS)
    single = counts == 1
    np.testing.assert_array_equal(found[single], log_probs[(np.cumsum(counts) - 1)[single]])


@given(st.integers(0, 6).flatmap(lambda n: hnp.arrays(np.float32, (n, 5), elements=st.floats(-9, 0, width=32))))
def test_one_token_each_leaves_the_distributions_as_they_are(log_probs):
    found = collapse_log_probs(log_probs, np.ones(len(log_probs), dtype=np.int64), bmes_labels(["NR"]))
    np.testing.assert_array_equal(found, log_probs)


def nearly_sure_of(token_labels):
    rows = np.full((len(token_labels), len(LABELS)), np.log(1e-4))
    rows[np.arange(len(token_labels)), [LABELS.index(label) for label in token_labels]] = 0
    return rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)


@given(legal_tags(), st.data())
def test_tokens_that_are_nearly_sure_of_an_expansion_give_its_label(tags, data):
    counts = data.draw(st.lists(st.integers(1, 5), min_size=len(tags), max_size=len(tags)))
    tokens = [part for tag, count in zip(tags, counts, strict=True) for part in expand_label(tag, count)]
    found = collapse_log_probs(nearly_sure_of(tokens), np.array(counts, dtype=np.int64), LABELS)
    assert [LABELS[i] for i in found.argmax(axis=1)] == tags


@given(st.lists(st.sampled_from(LABELS), min_size=2, max_size=5))
def test_tokens_that_are_no_expansion_give_a_label_that_agrees_as_much_as_that_of_collapse(tokens):
    def agreement(label):
        return sum(a == b for a, b in zip(expand_label(label, len(tokens)), tokens, strict=True))

    found = collapse_log_probs(nearly_sure_of(tokens), np.array([len(tokens)]), LABELS)
    assert agreement(LABELS[int(found.argmax())]) == agreement(collapse(tokens, LABELS))
