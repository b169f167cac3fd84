"""The rule by conflict regions: where the two models disagree, the more confident one wins (method, section 4).

The SLM's score is S_S = 1 - H, where H is its entropy in the region (nats). The LLM's score is S_L = lambda * exp(P),
where P is its probability there. The SLM wins where S_S >= S_L. The paper prints the comparison the other way round,
but its own Table 2 contradicts that (docs/decisions.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rayner.fusion import gate
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
from rayner.fusion.fused_entities import FusedEntity, build_fused_entity, slm_entities
from rayner.fusion.fusion_rule import FittingSample, RuleFit
from rayner.fusion.weight_search import WeightCurve, choose_middle_of_best_weights, compute_f1_curve, tabulate_conflicts
from rayner.text.json_records import RecordError, describe_json, record_from_json
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction

_CURVE_DIGITS = 6
_CHOICES = {
    "entropy_reduction": ENTROPY_REDUCTIONS, "llm_reduction": LLM_REDUCTIONS, "llm_confidence": LLM_CONFIDENCES
}  # fmt: skip


def slm_wins(entropy: float, llm_prob: float, weight: float) -> bool:
    """Say whether S_S >= S_L, with S_S = 1 - entropy and S_L = weight * exp(llm_prob)."""
    return 1.0 - entropy >= llm_score(llm_prob, weight)


def llm_score(llm_prob: float, weight: float) -> float:
    """Return S_L = weight * exp(llm_prob)."""
    return weight * math.exp(llm_prob)


@dataclass(frozen=True, slots=True)
class RegionRule:
    """The rule by conflict regions.

    weight: lambda.
    entropy_reduction: how H is reduced over a region (`conflict_regions.region_entropy`).
    llm_reduction: how P is reduced over a region (`conflict_regions.reduce_llm_probs`).
    llm_confidence: which LLM probabilities P is computed from (`conflict_regions.region_llm_probs`).
    """

    name: ClassVar[str] = "regions"

    weight: float
    entropy_reduction: str = "mean"
    llm_reduction: str = "product"
    llm_confidence: str = "slots"

    def fit(self, sample: FittingSample) -> RuleFit:
        """Choose lambda for these reductions. The curve's `held_out_f1` stays 0."""
        f1 = compute_f1_curve(tabulate_conflicts(sample.segments, self.measure_entropy_and_llm_prob), sample.weights)
        weight, best_f1 = choose_middle_of_best_weights(sample.weights, f1)
        curve = WeightCurve(
            entropy_reduction=self.entropy_reduction,
            llm_reduction=self.llm_reduction,
            llm_confidence=self.llm_confidence,
            weights=tuple(round(float(value), _CURVE_DIGITS) for value in sample.weights),
            f1=tuple(round(float(value), _CURVE_DIGITS) for value in f1),
            best_weight=weight,
            best_f1=best_f1,
        )
        return RuleFit(replace(self, weight=weight), curve)

    def measure_entropy_and_llm_prob(
        self, region: ConflictRegion, slm: SlmPrediction, llm: LlmAnswer
    ) -> tuple[float, float]:
        """Return H (nats) and P of a conflict region."""
        probs = region_llm_probs(region, llm, self.llm_confidence)
        entropy = region_entropy(region, slm.entropy, self.entropy_reduction)
        return entropy, reduce_llm_probs(probs, self.llm_reduction)

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the fused entities of a segment, in text order (`fuse`)."""
        return self.fuse(segment.slm, segment.llm)

    def fuse(self, slm: SlmPrediction, llm: LlmAnswer | None) -> list[FusedEntity]:
        """Return the fused entities of a text, in text order; the SLM's if there is no LLM answer.

        The LLM's answer is read only up to the slot (position between two characters) behind which it cannot change the
        result (`gate.first_stop_slot`). An answer that stops at this slot gives the same entities, with the same
        fields, as a whole answer. If the slot is 0, this is also true if the LLM was not asked.
        Raises ValueError for an answer that stops before this slot.
        """
        end = 0 if llm is None else gate.first_stop_slot(slm, llm.spans, self.weight, self.entropy_reduction)
        if llm is None or end == 0:
            return slm_entities(slm)
        gate.require_known_up_to(llm, end)
        votes = [entity for entity in llm.entities if entity.span.end <= end]
        agreed, regions = find_agreements_and_conflicts([span for span in slm.spans if span.end <= end], votes)
        entities = [build_fused_entity(span, "agree", slm, votes) for span in agreed]
        for region in regions:
            if slm_wins(*self.measure_entropy_and_llm_prob(region, slm, llm), self.weight):
                entities += [build_fused_entity(span, "slm", slm, votes) for span in region.slm_spans]
            else:
                entities += [build_fused_entity(span, "llm", slm, votes) for span in region.llm_spans]
        entities += [build_fused_entity(span, "slm", slm, None) for span in slm.spans if span.end > end]
        return sorted(entities, key=lambda entity: entity.span)

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Decide each segment by itself."""
        return [self.decide(segment) for segment in segments]

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could change the output (`gate.first_closed_slot`)."""
        return gate.first_closed_slot(segment.slm, self.weight, self.entropy_reduction) > 0

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_]:
        """Return the slots at which decoding may stop (`gate.stop_mask`), shape [n_chars + 1]."""
        return gate.stop_mask(slm, self.weight, self.entropy_reduction)

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the entropy H of each character's block (`gate.block_entropy`), shape [n_chars], nats."""
        return gate.block_entropy(slm, self.entropy_reduction)

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "RegionRule":
        """Return the rule itself, because it stores no tags of single sentences."""
        return self

    def summary(self) -> dict[str, Any]:
        """Describe the rule by its name, lambda and reductions."""
        return {"kind": self.name, **self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """Return lambda and the reductions by field name."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "RegionRule":
        """Build the rule from what `to_json` returned. Raises RecordError for anything else."""
        rule = record_from_json(cls, tree)
        for name, choices in _CHOICES.items():
            if getattr(rule, name) not in choices:
                raise RecordError(f"{name}: expected {' | '.join(choices)}, found {describe_json(getattr(rule, name))}")
        return rule
