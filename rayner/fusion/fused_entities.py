"""Entities of the fused output, with the vote of each model."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rayner.text.predictions import LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span


@dataclass(frozen=True, slots=True)
class FusedEntity:
    """An entity of the fused output.

    decided_by: `agree` (both models predicted it), `slm` or `llm`.
    slm_entropy: mean entropy over its characters, nats.
    slm_type: type of the SLM's entity that overlaps it; None without one.
    llm_type: type of the LLM's entity that overlaps it; None without one.
    llm_category_prob: category probability of that LLM entity.
    llm_boundary_prob: boundary probability of that LLM entity.
    llm_consulted: whether the LLM had a vote. If it could not have changed the output, it has no vote, even if it was
        asked.
    rule_prob: the probability that the fusion rule gives the entity; None if the rule gives none.
    """

    span: Span
    decided_by: str
    slm_entropy: float
    slm_type: str | None
    llm_type: str | None
    llm_category_prob: float | None
    llm_boundary_prob: float | None
    llm_consulted: bool = True
    rule_prob: float | None = None


def build_fused_entity(
    span: Span, decided_by: str, slm: SlmPrediction, llm_entities: Sequence[LlmEntity] | None
) -> FusedEntity:
    """Build the fused entity of a span from the first entity of each model that overlaps it.

    llm_entities: the LLM's entities, in text order; None if the LLM has no vote.
    """
    voters = () if llm_entities is None else llm_entities
    i = bisect_right(voters, span.start, key=lambda entity: entity.span.end)
    llm_vote = next((entity for entity in voters[i : i + 1] if entity.span.overlaps(span)), None)
    i = bisect_right(slm.spans, span.start, key=lambda other: other.end)
    slm_vote = next((other for other in slm.spans[i : i + 1] if other.overlaps(span)), None)
    return FusedEntity(
        span=span,
        decided_by=decided_by,
        slm_entropy=float(slm.entropy[span.start : span.end].mean()),
        slm_type=slm_vote.type if slm_vote else None,
        llm_type=llm_vote.span.type if llm_vote else None,
        llm_category_prob=llm_vote.category_prob if llm_vote else None,
        llm_boundary_prob=llm_vote.boundary_prob if llm_vote else None,
        llm_consulted=llm_entities is not None,
    )


def slm_entities(slm: SlmPrediction) -> list[FusedEntity]:
    """Return the SLM's entities as the fused output, for a text where the LLM has no vote."""
    return [build_fused_entity(span, "slm", slm, None) for span in slm.spans]


def build_accepted_entities(
    segment: SegmentPrediction, spans_with_rule_probs: Sequence[tuple[Span, float | None]]
) -> list[FusedEntity]:
    """Build the fused entities from the spans that a rule accepted.

    spans_with_rule_probs: each accepted span with the rule's probability, or None if the rule gives none.

    Raises ValueError if the segment has no LLM answer.
    """
    if segment.llm is None:
        raise ValueError(f"{segment.doc_id} [{segment.start}, {segment.end}) has no LLM answer")
    slm_spans, llm_spans = set(segment.slm.spans), set(segment.llm.spans)
    entities = []
    for span, prob in spans_with_rule_probs:
        # A span that neither model predicted is a candidate of the SLM, so `decided_by` is `slm`.
        decided_by = "slm" if span not in llm_spans else "agree" if span in slm_spans else "llm"
        entities.append(
            replace(build_fused_entity(span, decided_by, segment.slm, segment.llm.entities), rule_prob=prob)
        )
    return entities
