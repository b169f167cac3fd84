"""What is picked for review: as many as there are, no two alike, spread over documents, the best first."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.review.candidates import DoubtedEntity, ReviewCandidate, compute_error_weight, make_candidate
from rayner.corpus.review.ranking import (
    DUPLICATE_OVERLAP,
    CandidatePool,
    _PickedSet,
    collect_char_bigrams_with_edges,
    estimate_value,
    pick_candidates,
)
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from rayner.text.tags import bmes_labels

NAMES = "楚齊秦懷王蘇"


@st.composite
def pools(draw):
    """Candidates of a few documents; texts from few characters, so that many are alike."""
    sizes = draw(st.lists(st.integers(0, 8), max_size=4))
    out = []
    for number, size in enumerate(sizes):
        offset = 0
        for _ in range(size):
            text = draw(st.text("楚懷王曰去歸。𠀀", min_size=1, max_size=6))
            out.append(new_candidate(f"d{number}", offset, text, draw(entity_lists), draw(st.floats(0, 3))))
            offset += len(text)
    return out


entity_lists = st.lists(
    st.builds(DoubtedEntity, st.text(NAMES, min_size=1, max_size=2), st.sampled_from(["NR", "NS"]), st.floats(0, 1.5)),
    max_size=3,
).map(tuple)
numbers = st.integers(1, 12)


def new_candidate(doc_id, start, text, entities=(), elsewhere=0.0):
    return ReviewCandidate(doc_id, start, start + len(text), text, (), tuple(entities), elsewhere)


def likeness(a, b):
    one, other = collect_char_bigrams_with_edges(a), collect_char_bigrams_with_edges(b)
    return len(one & other) / len(one | other)


@given(pools(), numbers, numbers)
def test_as_many_are_picked_as_there_are_and_none_that_is_like_another(pool, n, share):
    picked = pick_candidates(pool, n, share)
    assert len(picked) <= n
    assert all(candidate in pool for candidate in picked)
    texts = [candidate.text for candidate in picked]
    assert all(likeness(a, b) < DUPLICATE_OVERLAP for i, a in enumerate(texts) for b in texts[:i])
    if len(picked) < n:
        assert all(any(likeness(candidate.text, text) >= DUPLICATE_OVERLAP for text in texts) for candidate in pool)


@given(st.lists(entity_lists, max_size=20), numbers, st.data())
def test_of_texts_that_differ_exactly_so_many_are_picked(entities, n, data):
    pool = [
        new_candidate(f"d{i % 3}", i, f"{chr(0x4E00 + 2 * i)}{chr(0x4E01 + 2 * i)}", doubted)
        for i, doubted in enumerate(entities)
    ]
    picked = pick_candidates(pool, n, data.draw(numbers))
    assert len(picked) == min(n, len(pool))
    assert len({candidate.start for candidate in picked}) == len(picked)


@given(pools(), numbers, numbers, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(pool, n, share, random):
    shuffled = random.sample(pool, len(pool))
    assert pick_candidates(shuffled, n, share) == pick_candidates(pool, n, share)


@given(pools(), numbers, numbers)
def test_no_document_has_more_than_its_share_unless_nothing_else_is_left(pool, n, share):
    picked = pick_candidates(pool, n, share)
    of = {candidate.doc_id: [other for other in picked if other.doc_id == candidate.doc_id] for candidate in pool}
    if any(len(own) > share for own in of.values()):
        for candidate in pool:
            if len(of[candidate.doc_id]) < share:
                assert any(likeness(candidate.text, other.text) >= DUPLICATE_OVERLAP for other in picked)


@given(pools(), numbers)
def test_each_is_the_best_beside_those_before_it(pool, n):
    """As a greedy search finds it that looks at every candidate each time."""
    picked_set = _PickedSet(
        n, max(1, len({entity.type for candidate in pool for entity in candidate.doubted_entities}))
    )
    left = sorted(pool, key=lambda candidate: (candidate.doc_id, candidate.start))
    while left and len(picked_set.picked) < n:
        best = max(left, key=picked_set.estimate_value)  # the first of those that are worth as much
        left.remove(best)
        if not picked_set.has_near_duplicate(best.text):
            picked_set.add(best)
    assert pick_candidates(pool, n, n) == picked_set.picked


def test_the_same_names_again_are_worth_less():
    known = DoubtedEntity("懷王", "NR", 0.5)
    first = new_candidate("a", 0, "楚懷王曰善", [replace(known, error_weight=0.6)])
    second = new_candidate("a", 10, "秦昭襄去國", [known])
    third = new_candidate("b", 0, "蘇代歸燕矣", [DoubtedEntity("蘇代", "NR", 0.45)])
    assert pick_candidates([first, second, third], 2, 2) == [first, third]


def test_a_type_that_was_taken_often_gives_way_to_another():
    places = [
        new_candidate(
            "a", 10 * i, f"{chr(0x5000 + 5 * i)}地在{chr(0x6000 + 5 * i)}", [DoubtedEntity(str(i), "NS", 0.5)]
        )
        for i in range(6)
    ]
    person = new_candidate("b", 0, "蘇秦死於", [DoubtedEntity("蘇秦", "NR", 0.4)])
    assert person in pick_candidates([*places, person], 4, 4)
    assert person not in pick_candidates([*places, person], 1, 1)


@given(st.floats(0, 1), st.one_of(st.none(), st.floats(0, 4)))
def test_doubt_falls_with_the_score_and_grows_with_disagreement(score, entropy):
    assert compute_error_weight(score, entropy, disputed=False) == 1 - score
    assert compute_error_weight(score, entropy, disputed=True) >= compute_error_weight(score, entropy, disputed=False)
    assert 0 <= compute_error_weight(None, entropy, disputed=False) <= 1


def test_effort_counts():
    entities = [DoubtedEntity("楚", "NG", 0.5)]
    assert estimate_value(new_candidate("a", 0, "楚也", entities)) > estimate_value(
        new_candidate("a", 0, "楚也" * 20, entities)
    )


# ---- scored sentences


def scored(llm):
    types = ("NR", "NS")
    log_probs = np.full((4, len(bmes_labels(types))), -10.0, dtype=np.float32)
    log_probs[0, 1] = np.log(np.float32(0.8))  # B-NR
    log_probs[1, 3] = np.log(np.float32(0.5))  # E-NR
    log_probs[2:, 0] = 0
    slm = SlmPrediction((Span(0, 2, "NR"),), np.array([0.3, 0.7, 0.25, 0.5], dtype=np.float32), log_probs)
    return make_candidate(SegmentPrediction("d", 7, 11, "懷王曰善", slm, llm), types)


def test_a_scored_sentence_doubts_what_the_small_model_is_unsure_of():
    scored_candidate = scored(None)
    assert (scored_candidate.doc_id, scored_candidate.start, scored_candidate.end, scored_candidate.spans) == (
        "d",
        7,
        11,
        (Span(0, 2, "NR"),),
    )
    ((entity),) = scored_candidate.doubted_entities
    assert (entity.text, entity.type) == ("懷王", "NR")
    assert entity.error_weight == pytest.approx(0.6, abs=1e-5)
    assert scored_candidate.outside_entropy == pytest.approx(0.75)


def test_where_the_models_disagree_both_are_doubted_more():
    def answer(span):
        return LlmAnswer((LlmEntity(span, 0.9, 0.9),), np.ones(5, dtype=np.float32))

    agreed, apart = scored(answer(Span(0, 2, "NR"))), scored(answer(Span(2, 3, "NS")))
    assert agreed.doubted_entities == scored(None).doubted_entities
    assert [(m.text, m.type) for m in apart.doubted_entities] == [("懷王", "NR"), ("曰", "NS")]
    assert apart.doubted_entities[0].error_weight > agreed.doubted_entities[0].error_weight


def test_a_scored_sentence_without_distributions_is_refused():
    slm = SlmPrediction((), np.zeros(1, dtype=np.float32))
    with pytest.raises(ValueError, match="distributions"):
        make_candidate(SegmentPrediction("d", 0, 1, "楚", slm), ("NR",))


# ---- a stream


def by_document(pool):
    return [
        [candidate for candidate in pool if candidate.doc_id == doc]
        for doc in sorted({candidate.doc_id for candidate in pool})
    ]


@given(pools(), st.integers(1, 6), st.integers(1, 6))
def test_of_a_stream_the_most_valuable_are_kept_within_bounds(pool, size, each):
    best = CandidatePool(size, each)
    for document in by_document(pool):
        best.add_best_of_document(document)
    kept = list(best)
    texts = {candidate.text for candidate in pool}
    assert len(kept) <= size
    assert len({candidate.text for candidate in kept}) == len(kept)
    assert all(
        sum(candidate.doc_id == doc for candidate in kept) <= each for doc in {candidate.doc_id for candidate in kept}
    )
    if not best.dropped:
        assert {candidate.text for candidate in kept} == texts
    if each >= len(pool) and kept and len(texts) == len(pool):
        assert sorted(map(estimate_value, kept)) == sorted(map(estimate_value, pool))[-len(kept) :]


@given(pools())
def test_texts_to_be_skipped_are_never_kept(pool):
    skip = {candidate.text for candidate in pool[::2]}
    best = CandidatePool(100, 100, skip)
    for document in by_document(pool):
        best.add_best_of_document(document)
    assert {candidate.text for candidate in best} == {candidate.text for candidate in pool} - skip


# ---- worth by hand


def test_the_worth_of_a_sentence_by_hand():
    """Doubts, halved for a string that comes again, and 0.3 a nat elsewhere, over 10 and the characters."""
    twice = [DoubtedEntity("懷王", "NR", 0.5), DoubtedEntity("懷王", "NS", 0.75), DoubtedEntity("楚", "NR", 0.25)]
    sentence = new_candidate("a", 0, "楚懷王見懷王", twice, 2.0)
    assert estimate_value(sentence) == pytest.approx((0.3 * 2 + 0.5 + 0.75 / 2 + 0.25) / 16)
    thrice = new_candidate("a", 0, "楚楚楚", [DoubtedEntity("楚", "NR", 1.0)] * 3)
    assert estimate_value(thrice) == pytest.approx((1 + 0.5 + 0.25) / 13)


def test_what_was_taken_makes_its_strings_and_types_worth_less():
    picked_set = _PickedSet(4, 2)  # four wanted, of two types
    picked_set.add(new_candidate("a", 0, "懷王", [DoubtedEntity("懷王", "NR", 1.0)] * 2))
    picked_set.add(new_candidate("a", 2, "楚王", [DoubtedEntity("楚王", "NR", 1.0)]))
    assert picked_set.document_counts == {"a": 2}
    again = new_candidate("b", 0, "懷王去", [DoubtedEntity("懷王", "NR", 1.0), DoubtedEntity("秦", "NS", 1.0)])
    # Seen twice: a quarter; two sentences of its type where two are its even share: half.
    assert picked_set.estimate_value(again) == pytest.approx((0.25 / 2 + 1) / 13)


def test_pairs_of_characters():
    assert collect_char_bigrams_with_edges("楚王") == {"\x02楚", "楚王", "王\x03"}
    assert collect_char_bigrams_with_edges("") == {"\x02\x03"}


@pytest.mark.parametrize(("text", "alike"), [("楚懷王", True), ("楚懷王去", True), ("楚懷", False), ("懷", False)])
def test_near_duplicates_share_half_of_their_pairs(text, alike):
    picked_set = _PickedSet(9, 1)
    picked_set.add(new_candidate("a", 0, "秦伐韓矣", ()))
    picked_set.add(new_candidate("a", 9, "楚懷王", ()))
    assert picked_set.has_near_duplicate(text) is alike
    assert (likeness(text, "楚懷王") >= DUPLICATE_OVERLAP) is alike
    exactly = _PickedSet(9, 1, likeness("楚懷", "楚懷王"))
    exactly.add(new_candidate("a", 0, "楚懷王", ()))
    assert exactly.has_near_duplicate("楚懷")  # as alike as that is a near-duplicate


def test_how_alike_texts_may_be_is_a_choice():
    pool = [new_candidate("a", 0, "楚懷王"), new_candidate("a", 9, "楚懷王去")]
    assert len(pick_candidates(pool, 2, 2)) == 1
    assert len(pick_candidates(pool, 2, 2, duplicate_overlap=1.0)) == 2


def test_doubt_by_hand():
    assert compute_error_weight(0.75, 9.0, disputed=False) == 0.25
    assert compute_error_weight(0.75, None, disputed=True) == 0.375
    assert compute_error_weight(None, math.log(4), disputed=False) == pytest.approx(0.75)
    assert compute_error_weight(None, None, disputed=True) == 0.75


def test_what_the_llm_alone_puts_is_doubted_by_its_own_probabilities():
    llm = LlmAnswer((LlmEntity(Span(2, 3, "NS"), 0.5, 0.25),), np.ones(5, dtype=np.float32))
    scored_candidate = scored(llm)
    assert scored_candidate.text == "懷王曰善"
    assert scored_candidate.doubted_entities[1] == DoubtedEntity("曰", "NS", 1.5 * (1 - 0.5 * 0.25))
    assert scored_candidate.doubted_entities[0].error_weight == pytest.approx(1.5 * 0.6, abs=1e-5)
    assert scored_candidate.outside_entropy == pytest.approx(0.75)  # of what the small model leaves out


def stream(sizes, worths, size, each):
    """What is kept of a stream of documents of so many sentences, worth so much, by number; whether one had to go."""
    best, i = CandidatePool(size, each), 0
    for number, n in enumerate(sizes):
        entities = [[DoubtedEntity(str(k), "NR", worths[k])] for k in range(i, i + n)]
        texts = [f"{chr(0x4E00 + k)}{chr(0x5E00 + k)}" for k in range(i, i + n)]
        best.add_best_of_document(
            new_candidate(f"d{number}", i + k, *own) for k, own in enumerate(zip(texts, entities, strict=True))
        )
        i += n
    return sorted(candidate.start for candidate in best), best.dropped


@given(st.lists(st.integers(1, 4), max_size=5), st.data(), st.integers(1, 6), st.integers(1, 6))
def test_a_stream_keeps_the_first_of_the_most_valuable_and_says_if_one_had_to_go(sizes, data, size, each):
    n = sum(sizes)
    worths = data.draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=n, max_size=n))
    kept, dropped = stream(sizes, worths, size, each)
    ends = np.cumsum([0, *sizes]).tolist()
    best = [k for a, b in pairwise(ends) for k in sorted(range(a, b), key=lambda k: (-worths[k], k))[:each]]
    assert sorted(worths[k] for k in kept) == sorted((worths[k] for k in best), reverse=True)[:size][::-1]
    assert dropped == (len(kept) < n)
    if each >= 4:  # of the same worth the first stays
        assert kept == sorted(sorted(range(n), key=lambda k: (-worths[k], k))[:size])


def test_a_text_that_came_before_is_not_kept_twice_and_one_that_went_may_come_again():
    same = [
        new_candidate("a", 0, "楚懷王", [DoubtedEntity("x", "NR", 1.0)]),
        new_candidate("b", 5, "楚懷王", [DoubtedEntity("x", "NR", 1.0)]),
    ]
    best = CandidatePool(5, 5)
    for candidate in same:
        best.add_best_of_document([candidate])
    assert list(best) == same[:1]
    assert not best.dropped


def test_of_a_single_type_its_even_share_is_all():
    first = new_candidate("a", 0, "楚懷王", [DoubtedEntity("x", "NR", 1.0)])
    named = new_candidate(
        "a", 5, "秦伐韓", [DoubtedEntity("y", "NR", 0.5)]
    )  # worth 0.5 / (1 + 1/2) when one of two is picked
    plain = new_candidate("a", 9, "去歸之", (), 1.0)  # worth 0.3
    assert pick_candidates([first, named, plain], 2, 2) == [first, named]


def test_that_one_had_to_go_is_not_forgotten():
    best = CandidatePool(9, 1)
    best.add_best_of_document([new_candidate("a", 0, "楚懷王"), new_candidate("a", 5, "秦伐韓")])
    best.add_best_of_document([new_candidate("b", 0, "去歸之")])
    assert best.dropped
