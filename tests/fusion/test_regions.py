import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion.conflict_regions import (
    ENTROPY_REDUCTIONS,
    LLM_CONFIDENCES,
    LLM_REDUCTIONS,
    ConflictRegion,
    find_agreements_and_conflicts,
    reduce_llm_probs,
    region_entropy,
    region_llm_probs,
)
from rayner.fusion.region_rule import RegionRule, slm_wins
from rayner.text.predictions import LlmAnswer, LlmEntity, SlmPrediction
from rayner.text.spans import Span, sort_and_check_spans
from tests.strategies import floats32, rules, votes

REDUCTIONS = [*itertools.product(ENTROPY_REDUCTIONS, LLM_REDUCTIONS, LLM_CONFIDENCES)]


def spans_of(decisions):
    return tuple(decision.span for decision in decisions)


# The paper's Table 2: H of the SLM, P of the LLM, and who must win.
TABLE_2 = [(0.036, 0.7815, "slm"), (0.038, 0.9986, "slm"), (2.537, 0.9062, "llm"), (2.425, 0.9998, "llm")]
table_2_weights = st.floats(-0.52, 0.354)


def satisfies_table_2(rule):
    return all(rule(h, p) == (winner == "slm") for h, p, winner in TABLE_2)


@given(table_2_weights)
def test_table_2_holds_for_every_weight_from_minus_0_52_to_0_354(weight):
    assert satisfies_table_2(lambda entropy, p: slm_wins(entropy, p, weight))


@pytest.mark.parametrize("weight", [-0.525, 0.355])
def test_table_2_fails_just_outside_these_weights(weight):
    assert not satisfies_table_2(lambda entropy, p: slm_wins(entropy, p, weight))


@given(st.floats(-1e6, 1e6))
def test_the_rule_as_printed_satisfies_table_2_for_no_weight(weight):
    assert not satisfies_table_2(lambda entropy, p: 1 - entropy < weight * math.exp(p))


def table_2_votes():
    """魏丞相 and 诗书 with a character between; the row of 相, on which both models agree, is ours."""
    slm = SlmPrediction((Span(0, 3, "NR"), Span(4, 6, "NB")), floats32([0.036, 0.038, 0.037, 0.01, 2.537, 2.425]))
    items = [
        LlmEntity(Span(0, 1, "NG"), category_prob=0.7815, boundary_prob=0.0),
        LlmEntity(Span(1, 3, "NR"), category_prob=0.0, boundary_prob=0.9986),
        LlmEntity(Span(4, 5, "NB"), category_prob=0.0, boundary_prob=0.9062),
        LlmEntity(Span(5, 6, "NB"), category_prob=0.0, boundary_prob=0.9998),
    ]
    return slm, LlmAnswer(tuple(items), floats32([0.7815, 0.9986, 0.99, 0.99, 0.9062, 0.9998, 1.0]))


@given(table_2_weights, st.sampled_from(REDUCTIONS))
def test_table_2_holds_for_fused_regions_under_every_reduction(weight, how):
    decisions = RegionRule(weight, *how).fuse(*table_2_votes())
    assert [(d.span, d.decided_by) for d in decisions] == [
        (Span(0, 3, "NR"), "slm"),
        (Span(4, 5, "NB"), "llm"),
        (Span(5, 6, "NB"), "llm"),
    ]


@pytest.mark.parametrize(("weight", "wins"), [(0.25, True), (0.26, False)])
def test_the_slm_wins_a_tie(weight, wins):
    assert slm_wins(0.75, 0.0, weight) is wins


def test_compare_joins_overlapping_spans_into_a_region_and_leaves_neighbours_apart():
    def llm(start, end, kind):
        return LlmEntity(Span(start, end, kind), 0.5, 0.5)

    slm = [Span(0, 2, "NR"), Span(3, 5, "NS"), Span(5, 7, "NR"), Span(8, 9, "NB"), Span(10, 11, "NB")]
    other = [llm(1, 4, "NR"), llm(5, 7, "NR"), llm(7, 8, "NR"), llm(8, 9, "NS")]
    agreed, regions = find_agreements_and_conflicts(slm, other)
    assert agreed == [Span(5, 7, "NR")]
    assert regions == [
        ConflictRegion(0, 5, (slm[0], slm[1]), (other[0],)),
        ConflictRegion(7, 8, (), (other[2],)),
        ConflictRegion(8, 9, (slm[3],), (other[3],)),
        ConflictRegion(10, 11, (slm[4],), ()),
    ]


def test_a_region_reaches_as_far_as_the_longest_of_its_spans():
    long, short, after = Span(0, 6, "NR"), Span(1, 2, "NS"), Span(5, 7, "NS")
    _, regions = find_agreements_and_conflicts([long], [LlmEntity(short, 0.5, 0.5), LlmEntity(after, 0.5, 0.5)])
    assert [(region.start, region.end) for region in regions] == [(0, 7)]


@given(votes())
def test_each_span_is_agreed_or_in_exactly_one_region(both):
    slm, llm = both
    agreed, regions = find_agreements_and_conflicts(slm.spans, llm.entities)
    assert agreed == sorted({*slm.spans} & {*llm.spans})
    assert sorted([*agreed, *(s for r in regions for s in r.slm_spans)]) == [*slm.spans]
    assert sorted([*agreed, *(item.span for r in regions for item in r.llm_entities)]) == [*llm.spans]


@given(votes())
def test_regions_are_in_order_disjoint_connected_and_free_of_agreed_spans(both):
    agreed, regions = find_agreements_and_conflicts(both[0].spans, both[1].entities)
    assert all(a.end <= b.start for a, b in itertools.pairwise(regions))
    for region in regions:
        own = [*region.slm_spans, *(item.span for item in region.llm_entities)]
        assert (region.start, region.end) == (min(s.start for s in own), max(s.end for s in own))
        for cut in range(region.start + 1, region.end):
            assert any(span.start < cut < span.end for span in own)
        assert not any(span.overlaps(Span(region.start, region.end, "")) for span in agreed)


@given(votes(), rules())
def test_fused_spans_are_always_legal(both, rule):
    spans = spans_of(rule.fuse(*both))
    assert sort_and_check_spans(spans, len(both[0].entropy)) == spans


@given(votes(), rules())
def test_agreed_spans_always_stay(both, rule):
    slm, llm = both
    decisions = rule.fuse(slm, llm)
    agreed = {*slm.spans} & {*llm.spans}
    assert agreed <= {d.span for d in decisions}
    assert {d.span for d in decisions if d.decided_by == "agree"} <= agreed
    assert all(d.decided_by == "agree" for d in decisions if d.llm_consulted and d.span in agreed)


@given(votes(), rules())
def test_each_region_goes_to_the_winner_of_its_reduced_scores(both, rule):
    slm, llm = both
    decided = {d.span: d.decided_by for d in rule.fuse(slm, llm)}
    for region in find_agreements_and_conflicts(slm.spans, llm.entities)[1]:
        values = region_llm_probs(region, llm, rule.llm_confidence)
        entropy = region_entropy(region, slm.entropy, rule.entropy_reduction)
        wins = slm_wins(entropy, reduce_llm_probs(values, rule.llm_reduction), rule.weight)
        ours, theirs = region.slm_spans, tuple(item.span for item in region.llm_entities)
        assert all(decided[span] == ("slm" if wins else "llm") for span in (ours if wins else theirs))
        assert not decided.keys() & {*(theirs if wins else ours)}


@given(votes(), rules(st.sampled_from([-math.inf, -1e9])))
def test_a_weight_of_minus_infinity_gives_exactly_the_slm(both, rule):
    assert spans_of(rule.fuse(*both)) == both[0].spans


@given(votes(), rules(st.sampled_from([math.inf, 1e9])))
def test_a_weight_of_infinity_gives_exactly_the_llm(both, rule):
    assert spans_of(rule.fuse(*both)) == both[1].spans


@given(votes(), rules(), st.floats(0, 5))
def test_what_the_llm_wins_it_wins_at_every_greater_weight(both, rule, more):
    heavier = RegionRule(rule.weight + more, rule.entropy_reduction, rule.llm_reduction, rule.llm_confidence)
    won, won_then = ({d.span for d in r.fuse(*both) if d.decided_by == "llm"} for r in (rule, heavier))
    assert won <= won_then


@given(votes(), rules())
def test_without_an_llm_answer_the_slm_decides(both, rule):
    slm, _ = both
    decisions = rule.fuse(slm, None)
    assert spans_of(decisions) == slm.spans
    assert all(d.decided_by == "slm" and d.slm_type == d.span.type for d in decisions)
    assert all((d.llm_type, d.llm_category_prob, d.llm_boundary_prob) == (None, None, None) for d in decisions)


def test_a_decision_tells_both_votes_on_its_characters():
    entropy = floats32([0.25, 0.75, 0, 0, 0, 0, 12])  # the last in such doubt that the LLM is heard
    slm = SlmPrediction((Span(0, 2, "NR"), Span(3, 4, "NS"), Span(5, 6, "NB")), entropy)
    items = (
        LlmEntity(Span(0, 2, "NR"), 0.1, 0.2),
        LlmEntity(Span(3, 5, "NG"), 0.3, 0.4),
        LlmEntity(Span(6, 7, "NB"), 0.5, 0.6),
    )
    llm = LlmAnswer(items, np.ones(8, np.float32))

    def told(weight):
        rows = RegionRule(weight).fuse(slm, llm)
        return [(d.span, d.decided_by, d.slm_type, d.llm_type, d.llm_category_prob, d.llm_boundary_prob) for d in rows]

    agreed = (Span(0, 2, "NR"), "agree", "NR", "NR", 0.1, 0.2)
    assert told(-9) == [
        agreed,
        (Span(3, 4, "NS"), "slm", "NS", "NG", 0.3, 0.4),
        (Span(5, 6, "NB"), "slm", "NB", None, None, None),
    ]
    assert told(9) == [
        agreed,
        (Span(3, 5, "NG"), "llm", "NS", "NG", 0.3, 0.4),
        (Span(6, 7, "NB"), "llm", None, "NB", 0.5, 0.6),
    ]
    assert RegionRule(9).fuse(slm, llm)[0].slm_entropy == 0.5


def test_a_decision_prefers_the_vote_for_the_very_same_span():
    slm = SlmPrediction((Span(0, 1, "NG"), Span(1, 3, "NR")), floats32([0, 0, 30]))
    llm = LlmAnswer((LlmEntity(Span(0, 3, "NO"), 0.5, 0.5),), np.ones(4, np.float32))
    first, second = RegionRule(-9).fuse(slm, llm)
    assert (first.slm_type, second.slm_type, first.llm_type, second.llm_type) == ("NG", "NR", "NO", "NO")
    (only,) = RegionRule(9).fuse(slm, llm)
    assert (only.slm_type, only.llm_type) == ("NG", "NO")


def test_entropy_is_reduced_over_the_characters_of_the_region():
    entropy = floats32([9, 1, 2, 6, 9])
    region = ConflictRegion(1, 4, (), ())
    assert region_entropy(region, entropy, "mean") == 3
    assert region_entropy(region, entropy, "max") == 6


def test_probabilities_are_reduced_as_named():
    values = [0.5, 0.25, 1.0, 0.25]
    assert [reduce_llm_probs(values, how) for how in ("mean", "min", "product")] == [0.5, 0.25, 0.03125]


@pytest.mark.parametrize(
    ("slm", "llm", "expected"),
    [
        ([(1, 3, "NR")], [(1, 3, "NS")], [0.75]),
        ([(1, 3, "NR")], [(1, 4, "NR")], [0.25]),
        ([(1, 2, "NR"), (2, 4, "NR")], [(1, 4, "NR")], [0.25]),
        ([(1, 2, "NR"), (2, 4, "NS")], [(1, 4, "NR")], [0.75]),
        ([], [(1, 4, "NR")], [0.75]),
        ([(1, 4, "NR")], [], [0.1, 0.2, 0.3]),
        ([(1, 4, "NR")], [(2, 3, "NR")], [0.25, 0.1, 0.3]),
        ([(1, 4, "NR")], [(1, 2, "NS"), (3, 4, "NR")], [0.75, 0.25, 0.2]),
    ],
    ids=[
        "type", "extent", "extent of two", "type of one of two", "slm silent", "llm silent", "llm partly silent",
        "type and extent",
    ],
)  # fmt: skip
def test_evidence_of_entities_is_category_boundary_or_that_of_copying_on(slm, llm, expected):
    items = tuple(LlmEntity(Span(*span), category_prob=0.75, boundary_prob=0.25) for span in llm)
    answer = LlmAnswer(items, floats32([0.0, 0.1, 0.2, 0.3, 0.0, 0.0]))
    region = find_agreements_and_conflicts([Span(*span) for span in slm], items)[1][0]
    assert region_llm_probs(region, answer, "entities") == pytest.approx(expected)


def test_evidence_of_decisions_is_every_choice_from_before_the_region_to_after_it():
    answer = LlmAnswer((), floats32([0.0, 0.1, 0.2, 0.3, 0.0]))
    assert region_llm_probs(ConflictRegion(1, 3, (), ()), answer, "slots") == pytest.approx([0.1, 0.2, 0.3])


@given(votes(), st.sampled_from(LLM_CONFIDENCES), st.sampled_from(LLM_REDUCTIONS))
def test_evidence_and_its_reductions_stay_between_0_and_1(both, kind, how):
    slm, llm = both
    for region in find_agreements_and_conflicts(slm.spans, llm.entities)[1]:
        values = region_llm_probs(region, llm, kind)
        assert values
        assert all(0 <= value <= 1 for value in values)
        assert 0 <= reduce_llm_probs(values, how) <= 1


@given(st.lists(st.sampled_from([1.0, 1 - 2**-53, float(np.float32(1) - np.float32(2**-24))]), min_size=1))
def test_reductions_of_probabilities_next_to_1_do_not_round_above_it(values):
    assert all(reduce_llm_probs(values, how) <= 1 for how in LLM_REDUCTIONS)


@given(
    st.integers(1, 600),
    st.floats(0, 4, width=32),
    st.lists(st.tuples(st.integers(0, 599), st.floats(0, 4, width=32)), max_size=5),
)
def test_the_mean_entropy_of_a_region_does_not_round_above_its_maximum(n_chars, most, others):
    entropy = np.full(n_chars, most, np.float32)
    for place, value in others:
        entropy[place % n_chars] = min(value, most)
    region = ConflictRegion(0, n_chars, (), ())
    mean, maximum = (region_entropy(region, entropy, how) for how in ("mean", "max"))
    assert mean <= maximum + 1e-12  # far inside the margin of the gate
