"""The gate decides which segments the LLM is asked about, and how much of each answer must be decoded.

A segment may have an answer already, which an earlier job with another rule or gate has kept (`kept_scores`). It is
used if it goes as far as the rule reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rayner.fusion.budget import Budget
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.gate import first_slot_outside_spans
from rayner.text.predictions import GateDecision, SegmentPrediction

SLM_ERROR, LLM_ERROR = "slm: ", "llm: "  # beginnings of `SegmentPrediction.error`


@dataclass(frozen=True)
class Gate:
    """The gate with its settings and the fusion rule that it works for.

    rule: the fusion rule that combines the predictions of both models.
    budget: estimates how many tags of a segment the LLM would change; None only for a rule that reads no LLM answer.
    exact: skip the LLM where no answer could change the output, and stop decoding where the rest of an answer could
        not change it. This saves time and does not change the output.
    share: ask about at most roughly this share of all segments. The segments with the most expected changes are
        chosen.
    candidate_scores: whether whole answers come with scores of candidates (`score.llm.candidates`).
    """

    rule: FusionRule
    budget: Budget | None
    exact: bool = True
    share: float = 1.0
    candidate_scores: bool = False

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
        if self.budget is None:
            raise ValueError("expected a budget for a rule that reads LLM answers, found none")
        entropies = self.rule.block_entropy(segment.slm)
        return self.budget.sum_overturned_shares(entropies) > self.budget.overturned_tags_threshold(self.share)


def apply_gate(segments: Sequence[SegmentPrediction], gate: Gate | None) -> tuple[list[SegmentPrediction], list[int]]:
    """Return the segments with the gate's decisions, and the indices of those that the LLM must be asked about.

    The other segments are those that the gate skips, and those that the LLM has answered far enough or failed at.

    gate: if None, the LLM is asked about every segment.
    """
    decided = [replace(segment, gate=_decide(segment, gate)) for segment in segments]
    asked = []
    for i, segment in enumerate(decided):
        ask_llm = segment.gate is not None and segment.gate.ask_llm
        decided[i] = replace(segment, gated=not ask_llm and not _slm_failed(segment))
        needs_scores = gate is not None and gate.candidate_scores
        if ask_llm and not _llm_failed(segment) and not _is_answered_far_enough(decided[i], needs_scores=needs_scores):
            asked.append(i)
    return decided, asked


def without_unasked_answer(segment: SegmentPrediction) -> SegmentPrediction:
    """Return the segment as if the LLM had never been asked about it, if the gate skips it."""
    return replace(segment, llm=None, error=None) if segment.gated else segment


def _decide(segment: SegmentPrediction, gate: Gate | None) -> GateDecision:
    if _slm_failed(segment) or not segment.text.strip():
        return GateDecision(ask_llm=False)
    return gate.decide(segment) if gate else GateDecision(ask_llm=True)


def _slm_failed(segment: SegmentPrediction) -> bool:
    return segment.error is not None and segment.error.startswith(SLM_ERROR)


def _llm_failed(segment: SegmentPrediction) -> bool:
    return segment.error is not None and segment.error.startswith(LLM_ERROR)


def _is_answered_far_enough(segment: SegmentPrediction, *, needs_scores: bool) -> bool:
    """Return whether the segment has an answer that goes at least to the slot where decoding would stop now.

    needs_scores: whether a whole answer must come with scores of candidates. An answer that was asked for only up to a
        stop slot has none.
    """
    if segment.llm is None:
        return False
    stop_mask = segment.gate.stop_mask if segment.gate else None
    if stop_mask is None:
        has_scores = segment.llm.candidate_scores is not None
        return segment.llm.last_known_slot >= len(segment.text) and (has_scores or not needs_scores)
    return segment.llm.last_known_slot >= first_slot_outside_spans(stop_mask, segment.llm.spans)
