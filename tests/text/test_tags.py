import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import (
    bmes_labels,
    legal_transitions,
    scheme_marks_ends,
    spans_to_tags,
    split_tag,
    tags_to_spans,
    viterbi_decode,
)
from tests.strategies import LABELS, any_tags, legal_tags, spans_with_length

_LEGAL = re.compile(r"(?:O |S-\w+ |B-(\w+) (?:M-\1 )*E-\1 )*")


def is_legal(tags):
    return bool(_LEGAL.fullmatch("".join(f"{tag} " for tag in tags)))


@given(spans_with_length())
def test_decode_inverts_encode(drawn):
    spans, n_chars = drawn
    decoded = tags_to_spans(spans_to_tags(spans, n_chars))
    assert decoded.spans == spans
    assert decoded.n_faults == 0


@given(legal_tags())
def test_encode_inverts_decode_on_legal_sequences(tags):
    decoded = tags_to_spans(tags)
    assert spans_to_tags(decoded.spans, len(tags)) == tags
    assert decoded.n_faults == 0


@given(any_tags())
def test_spans_of_any_sequence_cover_each_labelled_character_once_and_no_other(tags):
    spans = tags_to_spans(tags).spans
    assert sort_and_check_spans(spans, len(tags)) == spans
    covered = [i for span in spans for i in range(span.start, span.end)]
    assert covered == [i for i, tag in enumerate(tags) if tag != "O"]


@given(any_tags())
def test_each_character_keeps_its_type(tags):
    for span in tags_to_spans(tags).spans:
        assert {split_tag(tag)[1] for tag in tags[span.start : span.end]} == {span.type}


@given(st.one_of(any_tags(4), any_tags(), legal_tags()))
def test_faults_are_counted_iff_the_sequence_is_illegal(tags):
    assert (tags_to_spans(tags).n_faults == 0) == is_legal(tags)


@pytest.mark.parametrize(
    ("tags", "spans", "no_begin", "no_end"),
    [
        ("B-ZF M-ZF O", [(0, 2, "ZF")], 0, 1),
        ("B-ZF M-ZF", [(0, 2, "ZF")], 0, 1),
        ("O E-ZD O", [(1, 2, "ZD")], 1, 0),
        ("M-ZD M-ZD O", [(0, 2, "ZD")], 1, 1),
        ("B-ZF B-ZF E-ZF", [(0, 1, "ZF"), (1, 3, "ZF")], 0, 1),
        ("B-ZF S-ZF", [(0, 1, "ZF"), (1, 2, "ZF")], 0, 1),
        ("B-ZF E-ZD", [(0, 1, "ZF"), (1, 2, "ZD")], 1, 1),
        ("S-ZF E-ZF", [(0, 1, "ZF"), (1, 2, "ZF")], 1, 0),
        ("B-ZF E-ZF E-ZF", [(0, 2, "ZF"), (2, 3, "ZF")], 1, 0),
    ],
)
def test_each_irregular_step_is_mended_and_counted(tags, spans, no_begin, no_end):
    decoded = tags_to_spans(tags.split())
    assert decoded.spans == tuple(Span(*span) for span in spans)
    assert (decoded.no_begin, decoded.no_end, decoded.n_faults) == (no_begin, no_end, no_begin + no_end)


def spelled(spans, n_chars, *, inside, last, single):
    """Tags of another scheme, `last` and `single` being its names of E and S."""
    tags = ["O"] * n_chars
    for span in spans:
        for i in range(span.start, span.end):
            tags[i] = f"{inside}-{span.type}"
        tags[span.end - 1] = f"{last}-{span.type}"
        tags[span.start] = f"{single if span.end - span.start == 1 else 'B'}-{span.type}"
    return tags


@given(
    spans_with_length(),
    st.sampled_from("MI"),
    st.sampled_from([("E", "S"), ("L", "U"), ("E", "W")]),
)
def test_bmes_bioes_and_bilou_spellings_are_read_without_faults(drawn, inside, names):
    spans, n_chars = drawn
    tags = spelled(spans, n_chars, inside=inside, last=names[0], single=names[1])
    assert (tags_to_spans(tags).spans, tags_to_spans(tags).n_faults) == (spans, 0)
    assert scheme_marks_ends(tags) == bool(spans)


@given(spans_with_length(), st.sampled_from("MI"))
def test_bio_spelling_is_read_without_faults_as_it_marks_no_ends(drawn, inside):
    spans, n_chars = drawn
    tags = spelled(spans, n_chars, inside=inside, last=inside, single="B")
    assert not scheme_marks_ends(tags)
    assert (tags_to_spans(tags, ends_marked=False).spans, tags_to_spans(tags, ends_marked=False).n_faults) == (spans, 0)
    assert (tags_to_spans(tags).spans, tags_to_spans(tags).no_end) == (spans, len(spans))


def test_bio_counts_an_inside_that_continues_nothing():
    assert tags_to_spans(["I-NR", "I-NS", "O", "I-NS"], ends_marked=False).no_begin == 3


@pytest.mark.parametrize("tag", ["", "X", "B", "B-", "-NR", "X-NR", "O-NR", "b-NR", "BM-NR", "o"])
def test_an_unknown_tag_is_refused(tag):
    with pytest.raises(ValueError, match="expected O or PREFIX-TYPE"):
        split_tag(tag)
    with pytest.raises(ValueError, match="expected O or PREFIX-TYPE"):
        tags_to_spans(["O", tag])


def test_a_type_may_hold_a_dash():
    assert split_tag("I-NR-x") == ("M", "NR-x")
    assert split_tag("O") == ("O", "")


def test_label_set_depends_on_the_types_alone():
    expected = ("O", "B-NR", "M-NR", "E-NR", "S-NR", "B-NS", "M-NS", "E-NS", "S-NS")
    assert bmes_labels(["NS", "NR", "NS"]) == bmes_labels(["NR", "NS"]) == expected


@given(st.lists(st.sampled_from(LABELS), max_size=6))
def test_legal_steps_allow_exactly_the_legal_sequences(tags):
    legal = legal_transitions(LABELS)
    path = [-1, *map(LABELS.index, tags), -1]
    assert all(legal[a, b] for a, b in itertools.pairwise(path)) == is_legal(tags)


SMALL = bmes_labels(["NR", "NS"])[:-1]  # no S-NS: a model may lack a label that it never met


FINITE = st.floats(-9, 0, width=32)


def log_probs(max_chars, n_labels, elements):
    return st.integers(0, max_chars).flatmap(lambda n: hnp.arrays(np.float32, (n, n_labels), elements=elements))


@given(log_probs(4, len(SMALL), FINITE))
def test_best_legal_is_the_most_probable_of_all_legal_sequences(scores):
    legal = legal_transitions(SMALL)
    n = len(scores)
    paths = np.array(list(itertools.product(range(len(SMALL)), repeat=n)), dtype=int).reshape(len(SMALL) ** n, n)
    edge = np.full((len(paths), 1), -1)
    framed = np.hstack([edge, paths, edge])
    paths = paths[legal[framed[:, :-1], framed[:, 1:]].all(axis=1)]
    totals = scores.astype(float)[np.arange(n), paths].sum(axis=1)
    found = viterbi_decode(scores, legal)
    assert is_legal([SMALL[i] for i in found])
    assert scores.astype(float)[np.arange(n), found].sum() == pytest.approx(totals.max(), abs=1e-9)


@given(log_probs(8, len(LABELS), st.one_of(FINITE, st.just(-np.inf))))
def test_best_legal_is_legal_even_where_nothing_legal_is_possible(scores):
    found = viterbi_decode(scores, legal_transitions(LABELS))
    assert found.shape == (len(scores),)
    assert found.dtype == np.int64
    assert is_legal([LABELS[i] for i in found])


@given(legal_tags(), st.data())
def test_best_legal_is_the_argmax_where_that_is_legal(tags, data):
    scores = data.draw(hnp.arrays(np.float32, (len(tags), len(LABELS)), elements=st.floats(-9, -2, width=32)))
    best = np.array([LABELS.index(tag) for tag in tags], dtype=int)
    scores[np.arange(len(tags)), best] = -1
    assert viterbi_decode(scores, legal_transitions(LABELS)).tolist() == best.tolist()


def test_best_legal_takes_the_second_best_label_where_the_best_is_illegal():
    # B then O at best; 0.4 * 0.9 for O O beats 0.6 * 0.1 for B E.
    scores = np.log([[0.4, 0.6, 1e-9, 1e-9, 1e-9], [0.9, 1e-9, 1e-9, 0.1, 1e-9]])
    assert viterbi_decode(scores, legal_transitions(bmes_labels(["NR"]))).tolist() == [0, 0]


@pytest.mark.parametrize("scores", [[0.3, 0.5, 0.05, 0.1, 0.05], [0.3, 0.05, 0.05, 0.1, 0.5]])
def test_best_legal_begins_and_ends_with_no_entity_open_whatever_label_is_last(scores):
    labels = ("O", "E-NR", "M-NR", "S-NR", "B-NR")
    assert viterbi_decode(np.log([scores]), legal_transitions(labels)).tolist() == [0]


@given(log_probs(8, len(LABELS), FINITE), st.permutations(range(len(LABELS))))
def test_the_order_of_the_labels_does_not_matter(scores, order):
    labels = [LABELS[i] for i in order]
    found = viterbi_decode(scores[:, order], legal_transitions(labels))
    assert is_legal([labels[i] for i in found])
    best = viterbi_decode(scores, legal_transitions(LABELS))
    total = scores[np.arange(len(scores)), best].sum(dtype=float)
    assert scores[:, order][np.arange(len(scores)), found].sum(dtype=float) == pytest.approx(total, abs=1e-4)
