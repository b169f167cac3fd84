"""Conflict regions, where the two models disagree, and the confidence of each model in a region.

A *conflict region* is a maximal run of characters covered by overlapping spans on which the two models differ. The rule
by regions (`region_rule`) chooses one winner for each region, which keeps the output legal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.predictions import LlmAnswer, LlmEntity
from rayner.text.spans import Span

ENTROPY_REDUCTIONS = ("mean", "max")
LLM_REDUCTIONS = ("mean", "min", "product")
LLM_CONFIDENCES = ("entities", "slots")


@dataclass(frozen=True, slots=True)
class ConflictRegion:
    """The characters [start, end), and the entities that each model predicted there."""

    start: int
    end: int
    slm_spans: tuple[Span, ...]
    llm_entities: tuple[LlmEntity, ...]

    @property
    def llm_spans(self) -> tuple[Span, ...]:
        """The spans of the LLM's entities, without probabilities."""
        return tuple(entity.span for entity in self.llm_entities)


def find_agreements_and_conflicts(
    slm_spans: Sequence[Span], llm_entities: Sequence[LlmEntity]
) -> tuple[list[Span], list[ConflictRegion]]:
    """Return the spans that both models predicted, and the conflict regions, both in text order."""
    agreed = set(slm_spans) & {entity.span for entity in llm_entities}
    differing: list[tuple[Span, LlmEntity | None]] = [(span, None) for span in slm_spans if span not in agreed]
    differing += [(entity.span, entity) for entity in llm_entities if entity.span not in agreed]
    differing.sort(key=lambda pair: pair[0])
    regions: list[ConflictRegion] = []
    for span, entity in differing:
        if not regions or span.start >= regions[-1].end:
            regions.append(ConflictRegion(span.start, span.end, (), ()))
        last = regions[-1]
        regions[-1] = ConflictRegion(
            last.start,
            max(last.end, span.end),
            last.slm_spans if entity else (*last.slm_spans, span),
            (*last.llm_entities, entity) if entity else last.llm_entities,
        )
    return sorted(agreed), regions


def region_entropy(region: ConflictRegion, entropy: npt.NDArray[np.floating], reduction: str) -> float:
    """Return H of a region: the mean or maximum of the SLM's entropies in it, nats.

    entropy: entropy of each character of the text, shape [n_chars], nats.
    reduction: one of ENTROPY_REDUCTIONS.
    """
    values = entropy[region.start : region.end]
    # Use float64: a float32 mean of equal values can round above their maximum, and the gate's bound would fail.
    return float(values.max() if reduction == "max" else values.mean(dtype=np.float64))


def region_llm_probs(region: ConflictRegion, answer: LlmAnswer, llm_confidence: str) -> list[float]:
    """Collect the LLM's probabilities for a region. There is at least one, and each is at most 1.

    llm_confidence: one of LLM_CONFIDENCES.

    With `slots`, these are the probabilities of all choices in the region (`LlmAnswer.slot_probs`). With `entities`,
    they are those of the paper (method, section 3):

    - For each LLM entity: its boundary probability if only the extent differs from the SLM's entities, and its category
      probability if a type differs or the SLM predicted no entity there.
    - For each character where the LLM predicted no entity: the probability of copying the text.
    """
    if llm_confidence == "slots":
        return [float(prob) for prob in answer.slot_probs[region.start : region.end + 1]]
    probs = []
    outside = set(range(region.start, region.end))
    for entity in region.llm_entities:
        outside -= set(range(entity.span.start, entity.span.end))
        opponents = [span for span in region.slm_spans if span.overlaps(entity.span)]
        only_extent_differs = bool(opponents) and all(span.type == entity.span.type for span in opponents)
        probs.append(entity.boundary_prob if only_extent_differs else entity.category_prob)
    return probs + [float(answer.slot_probs[i]) for i in sorted(outside)]


def reduce_llm_probs(probs: Sequence[float], reduction: str) -> float:
    """Reduce the LLM's probabilities in a region to one number, P. It is at most 1 if all of them are.

    reduction: one of LLM_REDUCTIONS.
    """
    if reduction == "product":
        return math.prod(probs)
    return min(probs) if reduction == "min" else sum(probs) / len(probs)
