"""The gate decides which segments the LLM is asked about, and how much of each answer must be decoded."""

from dataclasses import dataclass

from rayner.fusion.budget import Budget
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import GateDecision, SegmentPrediction


@dataclass(frozen=True)
class Gate:
    """The gate with its settings and the fusion rule that it works for.

    rule: the fusion rule that combines the predictions of both models.
    budget: estimates how many tags of a segment the LLM would change.
    exact: skip the LLM where no answer could change the output, and stop decoding where the rest of an answer could
        not change it. This saves time and does not change the output.
    share: ask about at most roughly this share of all segments. The segments with the most expected changes are
        chosen.
    """

    rule: FusionRule
    budget: Budget
    exact: bool = True
    share: float = 1.0

    def decide(self, segment: SegmentPrediction) -> GateDecision:
        """Decide from the small model's prediction whether the LLM is asked about a segment."""
        if not self.exact and self.share >= 1:
            return GateDecision(ask_llm=True)
        mask = self.rule.stop_mask(segment.slm) if self.exact else None
        # A slot is a position between two characters. If decoding may stop at the first slot, no answer is needed.
        could_change = self.rule.could_change(segment) if mask is None else not mask[0]
        ask_llm = could_change and (self.share >= 1 or self._is_worth_asking(segment))
        return GateDecision(ask_llm, could_change, mask)

    def _is_worth_asking(self, segment: SegmentPrediction) -> bool:
        """Return whether a segment that the LLM could change has enough expected changes to be within `share`."""
        entropies = self.rule.block_entropy(segment.slm)
        return self.budget.sum_overturned_shares(entropies) > self.budget.overturned_tags_threshold(self.share)
