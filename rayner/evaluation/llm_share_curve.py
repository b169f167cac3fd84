"""F1 of the fused output, as a function of the share of sentences that the LLM is asked about."""

from collections.abc import Sequence

import numpy as np

from rayner.evaluation.artifact import GatePoint, LlmShareCurve
from rayner.evaluation.metrics import Score, count_entities
from rayner.fusion.budget import Budget, rank_and_count_passing_gate
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import SegmentPrediction


def f1_by_llm_share(segments: Sequence[SegmentPrediction], rule: FusionRule, budget: Budget) -> LlmShareCurve:
    """Compute strict micro F1 if the LLM is asked about the first 0, 1, ... n of `segments` (at least one segment).

    The segments are taken in the order of `rank_and_count_passing_gate`. F1 no longer changes after the segments that
    pass the gate, because the LLM could not change the others. A rule by documents reads the evidence of all answers.
    """
    order, n_passing = rank_and_count_passing_gate(segments, rule, budget)
    types = sorted({
        span.type
        for segment in segments
        for span in (*segment.gold, *segment.slm.spans, *(segment.llm.spans if segment.llm else ()))
    })  # fmt: skip
    gold = [segments[i].gold for i in order]
    slm_counts = count_entities(gold, [segments[i].slm.spans for i in order], types).sum(axis=1)
    decided = rule.decide_all(segments)
    fused = [[entity.span for entity in decided[i]] for i in order]
    gain = (count_entities(gold, fused, types).sum(axis=1) - slm_counts).cumsum(axis=0)
    totals = slm_counts.sum(axis=0) + np.concatenate([np.zeros((1, 3), dtype=np.int64), gain])
    f1 = tuple(Score(*map(int, counts)).f1 for counts in totals)
    share = tuple(i / len(segments) for i in range(len(f1)))
    return LlmShareCurve(share, f1, GatePoint(share[n_passing], f1[n_passing]))
