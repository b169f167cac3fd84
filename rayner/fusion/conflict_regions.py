"""Where the two models disagree, and what each says there.

A *conflict region* is a maximal run of characters covered by overlapping spans on which the two models differ. It is
the unit of decision of the rule by regions (`region_rule`): one winner per region keeps the output legal.
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
    """Characters [start, end), and the entities that each model put there."""

    start: int
    end: int
    slm_spans: tuple[Span, ...]
    llm_entities: tuple[LlmEntity, ...]

    @property
    def llm_spans(self) -> tuple[Span, ...]:
        """The LLM's entities without their probabilities."""
        return tuple(entity.span for entity in self.llm_entities)


def find_agreements_and_conflicts(
    slm_spans: Sequence[Span], llm_entities: Sequence[LlmEntity]
) -> tuple[list[Span], list[ConflictRegion]]:
    """Return the spans that both models put, and the conflict regions, both in order."""
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
    """Reduce the SLM's entropies (nats, one per character of the text) over a region: its H.

    reduction: one of ENTROPY_REDUCTIONS.
    """
    values = entropy[region.start : region.end]
    # In float64: a float32 mean of equal values can round above their maximum, which the exact gate relies on.
    return float(values.max() if reduction == "max" else values.mean(dtype=np.float64))


def region_llm_probs(region: ConflictRegion, answer: LlmAnswer, llm_confidence: str) -> list[float]:
    """Collect the LLM's probabilities that bear on a region: at least one, each at most 1.

    llm_confidence: one of LLM_CONFIDENCES. With `slots` these are the probabilities of every choice in the region.
    With `entities` they are the paper's (method, section 3): of each entity the category probability where the types
    differ and the boundary probability where only the extent does, and the probability of copying on where the LLM put
    no entity.
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
    """Reduce the probabilities of a region to its P; at most 1 if all of them are.

    reduction: one of LLM_REDUCTIONS.
    """
    if reduction == "product":
        return math.prod(probs)
    return min(probs) if reduction == "min" else sum(probs) / len(probs)
