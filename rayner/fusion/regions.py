"""Where the two models disagree, the more confident one wins (method, section 4).

S_S = 1 - H for the SLM, S_L = lambda * exp(P) for the LLM; the SLM wins where S_S >= S_L. (The paper prints the
comparison the other way round; its own Table 2 refutes that, see docs/decisions.md.)

The unit of decision is the *conflict region*: a maximal run of characters covered by overlapping spans on which
the two differ. One winner a region, so the output is always legal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.fusion.gate import first_stop_slot
from rayner.fusion.region_rule import RegionRule, slm_wins
from rayner.text.predictions import LlmAnswer, LlmEntity, SlmPrediction
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, DecodedTags, spans_to_tags, split_tag, tags_to_spans


@dataclass(frozen=True, slots=True)
class ConflictRegion:
    """Characters [start, end), and what each model put there."""

    start: int
    end: int
    slm_spans: tuple[Span, ...]
    llm_entities: tuple[LlmEntity, ...]


@dataclass(frozen=True, slots=True)
class FusedEntity:
    """An entity of the fused output, who decided it, and both models' votes on its characters.

    consulted: whether the LLM had a say. Where it could not have changed the output it has none, whether it was asked
    or not, and its vote is not recorded. probability: that of a rule which gives one.
    """

    span: Span
    decided_by: str  # agree | slm | llm
    slm_entropy: float
    slm_type: str | None
    llm_type: str | None
    llm_category_prob: float | None
    llm_boundary_prob: float | None
    llm_consulted: bool = True
    rule_prob: float | None = None


def find_agreements_and_conflicts(
    slm: Sequence[Span], llm: Sequence[LlmEntity]
) -> tuple[list[Span], list[ConflictRegion]]:
    """The spans that both put, and the conflict regions in order."""
    agreed = set(slm) & {item.span for item in llm}
    differing: list[tuple[Span, LlmEntity | None]] = [(span, None) for span in slm if span not in agreed]
    differing += [(item.span, item) for item in llm if item.span not in agreed]
    differing.sort(key=lambda pair: pair[0])
    regions: list[ConflictRegion] = []
    for span, item in differing:
        if not regions or span.start >= regions[-1].end:
            regions.append(ConflictRegion(span.start, span.end, (), ()))
        last = regions[-1]
        regions[-1] = ConflictRegion(
            last.start,
            max(last.end, span.end),
            last.slm_spans if item else (*last.slm_spans, span),
            (*last.llm_entities, item) if item else last.llm_entities,
        )
    return sorted(agreed), regions


def region_entropy(region: ConflictRegion, entropy: npt.NDArray[np.floating], reduction: str) -> float:
    """The SLM's H over a region, nats."""
    part = entropy[region.start : region.end]
    # In float64: a float32 mean of equal values can round above their maximum, which the exact gate relies on.
    return float(part.max() if reduction == "max" else part.mean(dtype=np.float64))


def region_llm_probs(region: ConflictRegion, answer: LlmAnswer, kind: str) -> list[float]:
    """The LLM's probabilities that bear on a region; at least one, each at most 1."""
    if kind == "slots":
        return [float(p) for p in answer.slot_probs[region.start : region.end + 1]]
    values = []
    silent = set(range(region.start, region.end))
    for item in region.llm_entities:
        silent -= set(range(item.span.start, item.span.end))
        against = [span for span in region.slm_spans if span.overlaps(item.span)]
        only_extent = bool(against) and all(span.type == item.span.type for span in against)
        values.append(item.boundary_prob if only_extent else item.category_prob)
    return values + [float(answer.slot_probs[i]) for i in sorted(silent)]


def reduce_llm_probs(values: Sequence[float], how: str) -> float:
    """P of a region from its values; at most 1 whenever they are."""
    if how == "product":
        return math.prod(values)
    return min(values) if how == "min" else sum(values) / len(values)


def fuse_by_regions(slm: SlmPrediction, llm: LlmAnswer | None, rule: RegionRule) -> list[FusedEntity]:
    """The fused entities of a text, in order; without an LLM answer those of the SLM.

    The LLM's answer is read only as far as it can matter (`reach`), so that an answer that was broken off there, or
    never asked for, gives the same decisions, field by field, as a whole one.
    Raises ValueError for an answer that was broken off before.
    """
    end = 0 if llm is None else first_stop_slot(slm, llm.spans, rule)
    if llm is None or end == 0:
        return [record_votes(span, "slm", slm, None) for span in slm.spans]
    if llm.last_known_slot < end:
        raise ValueError(f"the answer is known up to slot {llm.last_known_slot}, needed up to slot {end}")
    votes = [item for item in llm.entities if item.span.end <= end]
    agreed, regions = find_agreements_and_conflicts([span for span in slm.spans if span.end <= end], votes)
    decisions = [record_votes(span, "agree", slm, votes) for span in agreed]
    for region in regions:
        confidence = 1.0 - region_entropy(region, slm.entropy, rule.entropy_reduction)
        probability = reduce_llm_probs(region_llm_probs(region, llm, rule.llm_confidence), rule.llm_reduction)
        if slm_wins(confidence, probability, rule.weight):
            decisions += [record_votes(span, "slm", slm, votes) for span in region.slm_spans]
        else:
            decisions += [record_votes(item.span, "llm", slm, votes) for item in region.llm_entities]
    decisions += [record_votes(span, "slm", slm, None) for span in slm.spans if span.end > end]
    return sorted(decisions, key=lambda d: d.span)


def record_votes(span: Span, decided_by: str, slm: SlmPrediction, llm: Sequence[LlmEntity] | None) -> FusedEntity:
    """A decision for an entity, with both models' votes on its characters; llm: None where it has no say."""
    vote = next((item for item in llm or () if item.span.overlaps(span)), None)
    own = next((s for s in slm.spans if s.overlaps(span)), None)
    return FusedEntity(
        span=span,
        decided_by=decided_by,
        slm_entropy=float(slm.entropy[span.start : span.end].mean()),
        slm_type=own.type if own else None,
        llm_type=vote.span.type if vote else None,
        llm_category_prob=vote.category_prob if vote else None,
        llm_boundary_prob=vote.boundary_prob if vote else None,
        llm_consulted=llm is not None,
    )


def fuse_by_characters(slm: SlmPrediction, llm: LlmAnswer, weight: float) -> DecodedTags:
    """The paper's rule, character by character, for comparison: its output can be illegal, which is counted."""
    n = len(slm.entropy)
    tags, other = spans_to_tags(slm.spans, n), spans_to_tags(llm.spans, n)
    for i in range(n):
        if tags[i] == other[i]:
            continue
        probability = float(llm.slot_probs[i])
        if other[i] != OUTSIDE:
            item = next(item for item in llm.entities if item.span.start <= i < item.span.end)
            only_extent = split_tag(tags[i])[1] == item.span.type
            probability = item.boundary_prob if only_extent else item.category_prob
        if not slm_wins(1.0 - float(slm.entropy[i]), probability, weight):
            tags[i] = other[i]
    return tags_to_spans(tags)
