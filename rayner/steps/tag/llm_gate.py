"""The gate: which segments the LLM is asked about, and how much of its answer is read."""

from dataclasses import dataclass

from rayner.fusion.budget import Budget
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import GateDecision, SegmentPrediction


@dataclass(frozen=True)
class Gate:
    """The settings of the gate, under a fusion rule.

    exact: do not ask about segments that no answer could change, and read of an answer only what could matter.
    share: ask about at most about this share of all segments: those of which the budget expects most.
    """

    rule: FusionRule
    budget: Budget
    exact: bool = True
    share: float = 1.0

    def decide(self, segment: SegmentPrediction) -> GateDecision:
        """Decide about a segment from the small model's prediction."""
        if not self.exact and self.share >= 1:
            return GateDecision(ask_llm=True)
        mask = self.rule.stop_mask(segment.slm) if self.exact else None
        # Where decoding may stop at the first slot, nothing of an answer is read.
        could_change = self.rule.could_change(segment) if mask is None else not mask[0]
        ask_llm = could_change and (self.share >= 1 or self._is_worth_asking(segment))
        return GateDecision(ask_llm, could_change, mask)

    def _is_worth_asking(self, segment: SegmentPrediction) -> bool:
        """Say whether the budget for `share` reaches a segment that the LLM could change."""
        entropies = self.rule.block_entropy(segment.slm)
        return self.budget.sum_overturned_shares(entropies) > self.budget.overturned_tags_threshold(self.share)
