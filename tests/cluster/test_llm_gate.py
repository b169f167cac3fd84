"""The gate decides about a segment once, as rule and budget say."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion.budget import Budget
from rayner.steps.tag.llm_gate import Gate
from rayner.text.predictions import SegmentPrediction
from tests.strategies import rules, votes

BUDGET = Budget((0.0, 1.0, 2.0), (0.1, 0.3, 0.9), tuple(4 * (1 - i / 100) for i in range(101)))


def segment_of(slm):
    n_chars = len(slm.entropy)
    return SegmentPrediction("d", 0, n_chars, "楚" * n_chars, slm)


class CountingRule:
    """A rule that counts how often it is asked whether the LLM could change anything."""

    def __init__(self, rule, mask):
        self.rule, self.mask, self.n_asked = rule, mask, 0

    def could_change(self, segment):
        self.n_asked += 1
        return self.rule.could_change(segment)

    def stop_mask(self, slm):
        return self.rule.stop_mask(slm) if self.mask else None

    def block_entropy(self, slm):
        return self.rule.block_entropy(slm)


@given(votes(), rules(), st.booleans(), st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.booleans())
def test_a_decision_is_that_of_rule_and_budget(pair, rule, exact, share, mask):
    segment, counting = segment_of(pair[0]), CountingRule(rule, mask)
    decision = Gate(counting, BUDGET, exact=exact, share=share).decide(segment)
    could_change = rule.could_change(segment)
    expected = BUDGET.expected_overturned_tags(segment, rule)
    assert decision.ask_llm == (
        (could_change or not exact) and (share >= 1 or expected > BUDGET.overturned_tags_threshold(share))
    )
    assert decision.could_change in (None, could_change)
    assert counting.n_asked <= 1
    assert (decision.stop_mask is not None) == (exact and mask)


@given(votes(), rules())
def test_a_rule_fuses_alike_with_and_without_the_decision(pair, rule):
    segment = replace(segment_of(pair[0]), llm=pair[1])
    decided = replace(segment, gate=Gate(rule, BUDGET).decide(segment))
    assert rule.decide(decided) == rule.decide(segment)
