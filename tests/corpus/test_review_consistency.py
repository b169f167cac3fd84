"""Names that a tagged corpus treats in different ways, with the errors that one decision would put right."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.review.consistency import InconsistencyKind, find_in_document, find_most_inconsistent
from rayner.corpus.tables import TaggedDocument
from tests.corpus.tagged_corpora import entity
from tests.strategies import at_most

TYPES = ["NR", "NS"]
NAMES = ["項籍", "籍", "張耳", "楚"]


def tagged_document(doc_id, pieces):
    """A document of (text, type or None, score) pieces."""
    rows, text = [], ""
    for piece, type_, score in pieces:
        if type_ is not None:
            rows.append({**entity(doc_id, len(text), piece, type_), "score": score})
        text += piece
    return TaggedDocument(doc_id, "", text, rows)


pieces = st.tuples(st.sampled_from([*NAMES, "曰", "。"]), st.sampled_from([None, *TYPES]), st.sampled_from([0.2, 0.9]))
documents = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(pieces, max_size=14)).map(lambda d: tagged_document(*d)), max_size=3
)


@at_most(150)
@given(documents)
def test_what_is_found_is_there_and_nothing_else_is(docs):
    for doc in docs:
        found = list(find_in_document(doc))
        mentions = Counter((row["text"], row["type"]) for row in doc.entities)
        for one in found:
            assert one.expected_errors > 0
            assert doc.text[one.start : one.end] == one.text
            assert one.context.count(f"[{one.text}]") == 1
            assert len(one.ways) > 1
            assert [n for _, n in one.ways] == sorted((n for _, n in one.ways), reverse=True)
        types = {text: {t for name, t in mentions if name == text} for text, _ in mentions}
        by_kind = {kind: [one for one in found if one.kind is kind] for kind in InconsistencyKind}
        assert {one.text for one in by_kind[InconsistencyKind.TYPES_IN_DOCUMENT]} == {
            text for text, of_text in types.items() if len(of_text) > 1
        }
        for one in by_kind[InconsistencyKind.TYPES_IN_DOCUMENT]:
            assert dict(one.ways) == {t: mentions[one.text, t] for t in types[one.text]}
        covered = {i for row in doc.entities for i in range(row["start"], row["end"])}
        for one in by_kind[InconsistencyKind.UNTAGGED_IN_DOCUMENT]:
            assert not covered & set(range(one.start, one.end))
        left_free = {text for text in types if len(text) > 1 and stands_free(text, doc.text, covered)}
        assert {one.text for one in by_kind[InconsistencyKind.UNTAGGED_IN_DOCUMENT]} == left_free


def stands_free(text, whole, covered):
    starts = [i for i in range(len(whole)) if whole.startswith(text, i)]
    return any(not covered & set(range(i, i + len(text))) for i in starts)


@at_most(50)
@given(documents, st.integers(1, 9))
def test_the_most_errors_come_first_and_the_order_of_equal_ones_is_fixed(docs, n):
    everything = find_most_inconsistent(docs, 1000)
    assert [one.expected_errors for one in everything] == sorted(
        (one.expected_errors for one in everything), reverse=True
    )
    assert find_most_inconsistent(iter(docs), n) == everything[:n]


def test_a_name_left_untagged_where_it_is_mostly_tagged_is_probably_missed():
    doc = tagged_document(
        "d", [("張耳", "NR", 0.9), ("曰", None, 0), ("張耳", "NR", 0.9), ("張耳", None, 0), ("。", None, 0)]
    )
    (found,) = find_in_document(doc)
    assert (found.kind, found.ways) == (InconsistencyKind.UNTAGGED_IN_DOCUMENT, (("NR", 2), ("", 1)))
    assert found.expected_errors == pytest.approx(1.8 / 3)
    assert (found.start, found.context) == (5, "張耳曰張耳[張耳]。")


def test_a_short_name_of_another_type_than_the_full_one_is_doubted():
    doc = tagged_document("d", [("項籍", "NR", 0.9), ("與", None, 0), ("籍", "NS", 0.3)])
    (found,) = find_in_document(doc)
    assert (found.kind, found.text) == (InconsistencyKind.SHORT_NAME, "籍")
    assert found.expected_errors == pytest.approx(0.7)
    same = tagged_document("d", [("項籍", "NR", 0.9), ("與", None, 0), ("籍", "NR", 0.3)])
    assert list(find_in_document(same)) == []


def test_types_that_differ_between_documents_are_found_in_the_corpus():
    docs = [
        tagged_document("a", [("楚", "NG", 0.9)] * 3),
        tagged_document("b", [("楚", "NS", 0.8), ("楚", "NS", None)]),
    ]
    (found,) = find_most_inconsistent(docs, 9)
    assert (found.kind, found.doc_id, found.ways) == (InconsistencyKind.TYPES_IN_CORPUS, "", (("NG", 3), ("NS", 2)))
    assert found.expected_errors == pytest.approx(0.2 + 0.5)
