"""The exact gate: where it is shut, or stops reading, no LLM answer could have changed the output."""

import dataclasses
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
    find_agreements_and_conflicts,
    reduce_llm_probs,
    region_entropy,
    region_llm_probs,
)
from rayner.fusion.gate import block_entropy, first_closed_slot, first_stop_slot, max_llm_score
from rayner.fusion.region_rule import RegionRule, slm_wins
from rayner.text.predictions import LlmAnswer, LlmEntity, SlmPrediction
from rayner.text.spans import Span
from tests.strategies import floats32, probabilities, rules, votes

REDUCTIONS = [*itertools.product(ENTROPY_REDUCTIONS, LLM_REDUCTIONS, LLM_CONFIDENCES)]


def spans_of(decisions):
    return tuple(decision.span for decision in decisions)


def fused_whole(slm, llm, rule):
    """The fused spans, from every region of the whole answer."""
    agreed, regions = find_agreements_and_conflicts(slm.spans, llm.entities)
    spans = list(agreed)
    for region in regions:
        entropy = region_entropy(region, slm.entropy, rule.entropy_reduction)
        p = reduce_llm_probs(region_llm_probs(region, llm, rule.llm_confidence), rule.llm_reduction)
        spans += region.slm_spans if slm_wins(entropy, p, rule.weight) else [item.span for item in region.llm_entities]
    return tuple(sorted(spans))


def broken_off(llm, slot):
    """The answer as it is when reading stops at a slot that cuts no entity."""
    decisions = llm.slot_probs.copy()
    decisions[slot + 1 :] = np.nan
    return LlmAnswer(tuple(item for item in llm.entities if item.span.end <= slot), decisions)


@st.composite
def near_rules(draw, slm):
    """A rule whose bound lies at, or a little beside, 1 - H of some block."""
    how = draw(st.sampled_from(REDUCTIONS))
    confidences = 1 - block_entropy(slm, how[0])
    at = draw(st.sampled_from([float(c) for c in confidences] or [0.5]))
    limit = at + draw(st.sampled_from([-1e-3, -1e-5, 0.0, 1e-5, 1e-3]))
    return RegionRule(limit / math.e if limit > 0 else limit, *how)


@st.composite
def close_calls(draw):
    slm, llm = draw(votes(12))
    return slm, llm, draw(st.one_of(near_rules(slm), rules()))


@given(close_calls())
def test_reading_no_further_than_the_gate_asks_gives_the_spans_of_the_whole_answer(drawn):
    slm, llm, rule = drawn
    assert spans_of(rule.fuse(slm, llm)) == fused_whole(slm, llm, rule)


@given(close_calls())
def test_an_answer_broken_off_where_the_gate_allows_gives_the_same_decisions_field_by_field(drawn):
    slm, llm, rule = drawn
    end = first_stop_slot(slm, llm.spans, rule.weight, rule.entropy_reduction)
    assert rule.fuse(slm, broken_off(llm, end)) == rule.fuse(slm, llm)
    if end < len(slm.entropy):  # a little more than needed does no harm
        later = next(i for i in range(end + 1, len(slm.entropy) + 1) if not any(s.start < i < s.end for s in llm.spans))
        assert rule.fuse(slm, broken_off(llm, later)) == rule.fuse(slm, llm)


@given(close_calls())
def test_where_the_gate_is_shut_no_llm_answer_is_needed(drawn):
    slm, llm, rule = drawn
    if not first_closed_slot(slm, rule.weight, rule.entropy_reduction):
        assert rule.fuse(slm, llm) == rule.fuse(slm, None)
        assert spans_of(rule.fuse(slm, None)) == slm.spans
    if fused_whole(slm, llm, rule) != slm.spans:
        assert first_closed_slot(slm, rule.weight, rule.entropy_reduction)


@given(close_calls())
def test_the_answer_is_read_to_a_slot_that_cuts_no_entity_and_lies_behind_every_block_that_can_lose(drawn):
    slm, llm, rule = drawn
    end, slots = first_stop_slot(slm, llm.spans, rule.weight, rule.entropy_reduction), rule.stop_mask(slm)
    assert slots[-1]
    assert slots[end]
    assert end >= first_closed_slot(slm, rule.weight, rule.entropy_reduction)
    assert not any(span.start < end < span.end for span in (*slm.spans, *llm.spans))


def test_an_answer_that_stops_too_early_is_refused():
    slm = SlmPrediction((Span(0, 1, "NR"),), floats32([3, 3, 3]))
    llm = LlmAnswer((), floats32([1, 1, 1, 1]))
    with pytest.raises(ValueError, match="known up to slot 1, needed up to slot 3"):
        RegionRule(0.3).fuse(slm, broken_off(llm, 1))


@pytest.mark.parametrize("how", ENTROPY_REDUCTIONS)
def test_a_block_is_an_entity_or_a_character_outside(how):
    slm = SlmPrediction((Span(1, 3, "NR"),), floats32([0.5, 1, 2, 0.25]))
    inside = {"mean": 1.5, "max": 2.0}[how]
    assert block_entropy(slm, how).tolist() == [0.5, inside, inside, 0.25]


def test_an_entity_of_certain_mean_shuts_the_gate_though_one_of_its_characters_is_in_doubt():
    slm = SlmPrediction((Span(0, 4, "NR"),), floats32([0, 0, 0, 0.8]))
    assert first_closed_slot(slm, 0.25, "mean") == 0
    assert first_closed_slot(slm, 0.25, "max") == 4


@given(st.floats(-5, 5), probabilities, st.sampled_from(REDUCTIONS))
def test_no_probability_lifts_the_llm_above_the_bound(weight, p, how):
    assert weight * math.exp(p) <= max_llm_score(weight) + 1e-12


@given(st.floats(0, 4, width=32), st.floats(1e-5, 3), st.sampled_from(REDUCTIONS))
def test_where_the_gate_is_open_some_llm_answer_changes_the_spans(entropy, slack, how):
    limit = 1 - entropy + slack
    weight = limit / math.e if limit > 0 else limit
    slm = SlmPrediction((Span(0, 1, "NR"),), floats32([entropy]))
    sure = LlmAnswer((), floats32([1, 1] if weight > 0 else [0, 0]))
    assert first_closed_slot(slm, weight, how[0])
    assert RegionRule(weight, *how).fuse(slm, sure) == []


@pytest.mark.parametrize("how", REDUCTIONS)
def test_the_gate_holds_for_long_regions_whose_mean_entropy_rounds_above_the_maximum(how):
    # 127 equal values whose float32 mean is greater than each by 1.2e-6.
    entropy = np.full(127, 2.9356253, np.float32)
    assert entropy.mean() > entropy.max() + np.float32(1e-6)
    rule = RegionRule(1 - float(entropy.max()) - 1.05e-6, *how)
    slm = SlmPrediction((), entropy)
    llm = LlmAnswer((LlmEntity(Span(0, 127, "NR"), 0.0, 0.0),), np.zeros(128, np.float32))
    assert not first_closed_slot(slm, rule.weight, rule.entropy_reduction)
    assert fused_whole(slm, llm, rule) == ()


def test_the_gate_looks_at_every_character_and_is_shut_for_an_empty_text():
    assert not first_closed_slot(SlmPrediction((), floats32([0, 0, 0])), 0.3, "mean")
    assert first_closed_slot(SlmPrediction((), floats32([0, 0.5, 0])), 0.3, "mean") == 2
    assert not first_closed_slot(SlmPrediction((), floats32([])), 9, "mean")


@given(votes())
def test_an_answer_knows_how_far_it_was_read(both):
    _, llm = both
    assert llm.last_known_slot == len(llm.slot_probs) - 1
    for slot in range(len(llm.slot_probs)):
        part = broken_off(dataclasses.replace(llm, entities=()), slot)
        assert part.last_known_slot == slot
        assert part.pad(2, 3).last_known_slot == (slot + 2 if slot < len(llm.slot_probs) - 1 else slot + 5)


def test_within_the_margin_of_rounding_the_llm_is_asked():
    slm = SlmPrediction((), floats32([0.5]))
    assert first_closed_slot(slm, (0.5 - 5e-7) / math.e, "mean") == 1
    assert first_closed_slot(slm, (0.5 - 2e-6) / math.e, "mean") == 0


def test_quiet_are_the_slots_in_no_entity_of_the_small_model():
    slm = SlmPrediction((Span(2, 4, "NR"),), floats32([0, 0, 0, 0, 0]))
    assert RegionRule(0.3).stop_mask(slm).tolist() == [True, True, True, False, True, True]


def test_where_the_gate_is_shut_an_answer_of_which_nothing_was_read_will_do():
    slm = SlmPrediction((Span(0, 1, "NR"),), floats32([0, 0]))
    assert RegionRule(0.3).fuse(slm, LlmAnswer((), floats32([math.nan] * 3))) == RegionRule(0.3).fuse(slm, None)
