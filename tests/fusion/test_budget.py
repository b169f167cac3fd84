"""The budget: what is learned from held-out scores rises with entropy, and a threshold lets its share through."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.artifact import GatePoint
from rayner.evaluation.llm_share_curve import f1_by_llm_share
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.budget import Budget, fit_budget, overturned_mask, rank_and_count_passing_gate
from rayner.fusion.gate import first_closed_slot
from rayner.fusion.region_rule import RegionRule
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.strategies import TYPES, floats32, rules, votes

sentences = st.lists(votes(), min_size=1, max_size=12).map(
    lambda all_votes: [
        SegmentPrediction("dev", 0, len(slm.entropy), "楚" * len(slm.entropy), slm, llm) for slm, llm in all_votes
    ]
)


@given(sentences, rules())
def test_the_more_entropy_the_more_is_expected_to_be_overturned(rows, rule):
    budget = fit_budget(rows, rule)
    assert list(budget.entropy_steps) == sorted(budget.entropy_steps)
    assert list(budget.overturned_shares) == sorted(budget.overturned_shares)
    assert all(0 <= share <= 1 for share in budget.overturned_shares)
    assert list(budget.expected_by_share) == sorted(budget.expected_by_share, reverse=True)


@given(sentences, rules())
def test_over_the_held_out_sentences_as_many_tags_are_expected_as_were_overturned(rows, rule):
    budget = fit_budget(rows, rule)
    changed = sum(int(overturned_mask(row, rule.decide(row)).sum()) for row in rows)
    flat = Budget(budget.entropy_steps, budget.overturned_shares, ())
    found = sum(
        float(np.asarray(flat.overturned_shares)[np.searchsorted(flat.entropy_steps, h, side="right") - 1])
        for row in rows
        for h in block_values(row, rule)
    )
    assert found == pytest.approx(changed, abs=1e-6)


def block_values(row, rule):
    from rayner.fusion.gate import block_entropy

    return block_entropy(row.slm, rule.entropy_reduction)


@given(sentences, rules())
def test_nothing_is_expected_where_the_gate_is_shut_and_such_sentences_come_last(rows, rule):
    budget = fit_budget(rows, rule)
    for row in rows:
        if not first_closed_slot(row.slm, rule.weight, rule.entropy_reduction):
            assert budget.expected_overturned_tags(row, rule) == 0
    found, passed = rank_and_count_passing_gate(rows, rule, budget)
    assert sorted(found) == list(range(len(rows)))
    assert [bool(first_closed_slot(rows[i].slm, rule.weight, rule.entropy_reduction)) for i in found] == [
        True
    ] * passed + [False] * (len(rows) - passed)


def test_a_threshold_lets_about_its_share_through():
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(400):
        entropy = (rng.uniform(0, 2) * rng.uniform(0, 1, 6)).astype(np.float32)
        hit = int(entropy.argmax())
        spans = (LlmEntity(Span(hit, hit + 1, "NR"), 0.9, 0.9),) if rng.random() < entropy.max() / 2 else ()
        rows.append(
            SegmentPrediction("dev", 0, 6, "楚" * 6, SlmPrediction((), entropy), LlmAnswer(spans, floats32([0.9] * 7)))
        )
    rule = RegionRule(0.3)
    budget = fit_budget(rows, rule)
    for share in (0.1, 0.2, 0.5):
        asked = sum(
            budget.expected_overturned_tags(row, rule) > budget.overturned_tags_threshold(share) for row in rows
        )
        assert asked / len(rows) == pytest.approx(share, abs=0.06)
    # What a fifth of the sentences overturns is more than a fifth of all that is overturned.
    found, _ = rank_and_count_passing_gate(rows, rule, budget)
    changed = np.array([len(rule.fuse(rows[i].slm, rows[i].llm)) for i in found])
    assert changed[:80].sum() > 1.3 * changed.sum() / 5


def test_without_held_out_sentences_there_is_no_budget():
    with pytest.raises(ValueError, match="held-out"):
        fit_budget([], RegionRule(0.3))


@given(sentences, rules())
def test_f1_at_each_share_is_that_of_asking_about_so_many_and_stays_behind_the_exact_gate(rows, rule):
    rows = [replace(row, gold=row.llm.spans if i % 2 else row.slm.spans) for i, row in enumerate(rows)]
    budget = fit_budget(rows, rule)
    curve = f1_by_llm_share(rows, rule, budget)
    first, passed = rank_and_count_passing_gate(rows, rule, budget)
    assert curve.share == tuple(n / len(rows) for n in range(len(rows) + 1))
    for n, f1 in enumerate(curve.f1):
        asked = {*first[:n]}
        answers = [[d.span for d in rule.fuse(r.slm, r.llm if i in asked else None)] for i, r in enumerate(rows)]
        assert f1 == micro_score(count_entities([r.gold for r in rows], answers, TYPES)).f1
    assert set(curve.f1[passed:]) == {curve.f1[passed]}
    assert curve.exact == GatePoint(curve.share[passed], curve.f1[passed])


def unsure(entropy, spans=(), answer=(), gold=()):
    n = len(entropy)
    items = tuple(LlmEntity(span, 0.9, 0.9) for span in answer)
    llm = LlmAnswer(items, floats32([0.9] * (n + 1)))
    return SegmentPrediction("dev", 0, n, "楚" * n, SlmPrediction(spans, floats32(entropy)), llm, gold=gold)


def test_what_is_expected_of_a_sentence_by_hand():
    """Each character's share is that of the highest step at or below its entropy; nothing below the first step."""
    budget = Budget((0.25, 0.5, 1.0), (0.125, 0.25, 0.75), ())
    rule = RegionRule(1.0, entropy_reduction="max")
    for entropy, expected in (([0.125], 0), ([0.25], 0.125), ([0.375], 0.125), ([0.5, 0.75], 0.5), ([1.0, 3.0], 1.5)):
        assert budget.expected_overturned_tags(unsure(entropy), rule) == expected
    entity = (Span(0, 2, "NR"),)  # the doubt of an entity is that of its most doubtful character
    assert budget.expected_overturned_tags(unsure([0.0, 0.5], entity), rule) == 0.5
    assert budget.expected_overturned_tags(unsure([0.0, 0.5], entity), replace(rule, entropy_reduction="mean")) == 0.25
    assert budget.expected_overturned_tags(unsure([3.0]), RegionRule(-9.0)) == 0  # the exact gate is shut


def test_steps_worked_by_hand():
    """Of entropies 0.25, 0.5, 1 and 2 the LLM overturns none, one of one, none of two and both."""
    one = (Span(0, 1, "NR"),)
    rows = [unsure([0.25]), unsure([0.5], (), one), unsure([1.0]), unsure([1.0]), unsure([2.0], (), one)]
    budget = fit_budget([*rows, rows[-1]], RegionRule(9.0))
    assert budget.entropy_steps == (0.25, 0.5, 2.0)
    assert budget.overturned_shares == (0.0, pytest.approx(1 / 3), 1.0)


def test_worth_is_that_of_the_held_out_sentences_from_the_most_to_the_least():
    one = (Span(0, 1, "NR"),)
    rows = [unsure([0.25]), unsure([2.0], (), one), *[unsure([1.0], (), one)] * 2, unsure([1.0]), unsure([1.0])]
    budget = fit_budget(rows, RegionRule(9.0))
    assert len(budget.expected_by_share) == 101
    assert (budget.expected_by_share[0], budget.expected_by_share[50], budget.expected_by_share[-1]) == (1.0, 0.5, 0.0)
    assert budget.overturned_tags_threshold(0.0) == 1.0
    assert budget.overturned_tags_threshold(1.0) == 0.0
    assert budget.overturned_tags_threshold(0.5) == 0.5
    assert replace(budget, expected_by_share=(4.0, 2.0, 0.0)).overturned_tags_threshold(0.25) == 3.0


def test_a_tag_that_the_llm_overturns():
    row = unsure([0, 3, 3, 0], (Span(0, 1, "NR"), Span(2, 4, "NS")), (Span(0, 1, "NR"), Span(1, 3, "NS")))
    found = overturned_mask(row, RegionRule(1.0, entropy_reduction="max").decide(row))
    assert found.dtype == bool
    assert found.tolist() == [False, True, True, True]


def test_types_that_only_one_side_has_are_counted():
    """One sentence with a type in gold alone, one of the SLM's alone and one of the LLM's alone."""
    row = unsure([3.0] * 3, (Span(0, 1, "NB"),), (Span(1, 2, "NS"),), (Span(2, 3, "NR"),))
    curve = f1_by_llm_share([row, replace(row, llm=None)], RegionRule(9.0), Budget((0.0,), (1.0,), ()))
    assert curve.f1 == (0.0, 0.0, 0.0)
    assert curve.exact.share == 1.0


def test_entropies_of_which_as_much_is_overturned_are_one_step():
    budget = fit_budget([unsure([0.25]), unsure([0.5]), unsure([1.0], (), (Span(0, 1, "NR"),))], RegionRule(9.0))
    assert (budget.entropy_steps, budget.overturned_shares) == ((0.25, 1.0), (0.0, 1.0))
