"""The LLM-free control of a fusion (method, section 4), and what the LLM is worth beside it.

The control is the same kind of rule, fitted anew on the same held-out sentences with every LLM answer empty. It can use
the SLM's probabilities and the training text as the fusion does. So what the fusion gains over its control is what the
LLM's answers are worth. Where that is nothing, or where there is no LLM, the control tags (`RuleWithoutLlm`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FittingSample, FusionRule, RuleFit
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction


def with_empty_answer(segment: SegmentPrediction) -> SegmentPrediction:
    """Return the segment with an empty answer in place of the LLM's (`give_empty_answer`).

    A segment without an LLM answer is returned unchanged. A fusion keeps the SLM's entities there, and so does its
    control.
    """
    return segment if segment.llm is None else give_empty_answer(segment)


def give_empty_answer(segment: SegmentPrediction) -> SegmentPrediction:
    """Return the segment with an empty LLM answer: no entity, and all slot probabilities are 1."""
    return replace(segment, llm=LlmAnswer((), np.ones(len(segment.text) + 1, dtype=np.float32)), gate=None)


@dataclass(frozen=True)
class RuleWithoutLlm:
    """A rule that was fitted on empty answers of the LLM, and gets an empty answer for every segment it decides.

    rule: the fitted rule.
    """

    rule: FusionRule

    @property
    def name(self) -> str:
        """The name of the fitted rule."""
        return self.rule.name

    def fit(self, sample: FittingSample) -> RuleFit:
        """Fit a rule of the same kind with every LLM answer of the sample empty."""
        fitted = self.rule.fit(sample.with_segments([give_empty_answer(segment) for segment in sample.segments]))
        return replace(fitted, rule=RuleWithoutLlm(fitted.rule))

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the entities of a segment, in text order, whatever the LLM said about it.

        Where a model failed, these are the SLM's; it has none if it failed itself.
        """
        return self.rule.decide(_replace_answer(segment))

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Return the entities of each segment, whatever the LLM said about it. See `decide`."""
        return self.rule.decide_all([_replace_answer(segment) for segment in segments])

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Return False, because no LLM answer is read."""
        return False

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_]:
        """Return a mask of all slots, because no LLM answer is read, shape [n_chars + 1]."""
        return np.ones(len(slm.entropy) + 1, dtype=np.bool_)

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the SLM's entropy in each character's block, shape [n_chars], nats."""
        return self.rule.block_entropy(slm)

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "RuleWithoutLlm":
        """Return the rule without this segment's tags."""
        return RuleWithoutLlm(self.rule.hold_out_tags_of(segment, sample))

    def summary(self) -> dict[str, Any]:
        """Describe the fitted rule as JSON values, without large tables."""
        return self.rule.summary()

    def to_json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return what was fitted, as JSON values."""
        return self.rule.to_json()


def _replace_answer(segment: SegmentPrediction) -> SegmentPrediction:
    """Return the segment with an empty answer, or without one where a model failed."""
    return give_empty_answer(segment) if segment.error is None else replace(segment, llm=None)


@dataclass(frozen=True)
class LlmWorth:
    """The strict micro F1 of a fusion and of its control, and the difference, on labelled sentences.

    interval: paired bootstrap interval (95%) of the difference.
    """

    n_sentences: int
    fused_f1: float
    control_f1: float
    difference: float
    interval: tuple[float, float]

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the LLM helps beyond chance: the whole interval is above 0."""
        return self.interval[0] > 0

    def describe(self) -> str:
        """Describe the worth in words, with F1 in percent and the difference in points."""
        low, high = self.interval
        verdict = (
            "the LLM helps beyond chance" if self.is_beyond_chance
            else "the LLM harms beyond chance" if high < 0
            else "not distinguishable from chance"
        )  # fmt: skip
        return (
            f"fusion F1 {100 * self.fused_f1:.2f}, the control without the LLM {100 * self.control_f1:.2f}, so the LLM "
            f"is worth {100 * self.difference:+.2f} points (95% interval {100 * low:+.2f} to {100 * high:+.2f}; "
            f"{verdict})"
        )
