"""F1 of the fused output by the share of sentences that the LLM is asked about."""

from collections.abc import Sequence

import numpy as np

from rayner.evaluation.metrics import Score, count_entities
from rayner.fusion.budget import Budget, rank_for_llm
from rayner.fusion.deciding import FusionRule, decide
from rayner.text.predictions import SegmentPrediction


def f1_by_llm_share(rows: Sequence[SegmentPrediction], rule: FusionRule, budget: Budget) -> tuple[list[float], int]:
    """Strict micro F1 of the fused output if the LLM is asked about the first 0, 1, ... n sentences in `order`.

    Also how many of them the exact gate lets through: from there on the F1 stays.
    """
    asked, passed = rank_for_llm(rows, rule, budget)
    types = sorted({s.type for r in rows for s in (*r.gold, *r.slm.spans, *(r.llm.spans if r.llm else ()))})
    gold = [rows[i].gold for i in asked]
    alone = count_entities(gold, [rows[i].slm.spans for i in asked], types).sum(axis=1)
    fused = [[d.span for d in decide(rows[i], rule)] for i in asked]
    gain = (count_entities(gold, fused, types).sum(axis=1) - alone).cumsum(axis=0)
    totals = alone.sum(axis=0) + np.concatenate([np.zeros((1, 3), dtype=np.int64), gain])
    return [Score(*map(int, row)).f1 for row in totals], passed
