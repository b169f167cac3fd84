"""The search for lambda of the rule by regions: exact and vectorised (method, section 4).

For given reductions each conflict region is two numbers, 1 - H and P, and two outcomes: how many entities are right
if the SLM wins it, and if the LLM does. Agreed entities and gold counts are constants. So F1 at thousands of values
of lambda is one comparison and one sum each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.fusion.conflict_regions import ConflictRegion, find_agreements_and_conflicts
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction

_Floats = npt.NDArray[np.float64]
_MAX_COMPARISONS = 2_000_000  # at once: memory stays small however many regions there are


@dataclass(frozen=True)
class WeightCurve:
    """F1 at every lambda that was tried, under given reductions.

    weights, f1: lambdas and strict entity micro F1 on all held-out sentences, rounded to 6 digits.
    best_weight, best_f1: the chosen lambda (`choose_middle_of_best_weights`) and its F1, not rounded.
    held_out_f1: F1 on sentences that lambda was not fitted on; the reductions are the same on all of them.
    """

    entropy_reduction: str
    llm_reduction: str
    llm_confidence: str
    weights: tuple[float, ...]
    f1: tuple[float, ...]
    best_weight: float
    best_f1: float
    held_out_f1: float = 0.0


@dataclass(frozen=True)
class ConflictTable:
    """All conflict regions of some sentences under given reductions.

    slm_confidence, llm_prob: [n_regions], 1 - H and P.
    slm_counts, llm_counts: [n_regions, 2], entities right and predicted if that model wins.
    agreed_counts: (right, predicted) of the entities that both models put.
    n_gold: gold entities.
    """

    slm_confidence: _Floats
    llm_prob: _Floats
    slm_counts: npt.NDArray[np.int64]
    llm_counts: npt.NDArray[np.int64]
    agreed_counts: tuple[int, int]
    n_gold: int


def tabulate_conflicts(
    segments: Sequence[SegmentPrediction],
    measure_entropy_and_llm_prob: Callable[[ConflictRegion, SlmPrediction, LlmAnswer], tuple[float, float]],
) -> ConflictTable:
    """Collect the conflict regions of labelled segments that both models answered.

    measure_entropy_and_llm_prob: gives H and P of a region (`RegionRule.measure_entropy_and_llm_prob`).
    Raises ValueError for a segment without an LLM answer.
    """
    scores: list[tuple[float, float]] = []
    counts: list[tuple[tuple[int, int], tuple[int, int]]] = []
    right = predicted = n_gold = 0
    for segment in segments:
        gold = set(segment.gold)
        n_gold += len(gold)
        if segment.llm is None:
            raise ValueError(f"{segment.doc_id} [{segment.start}, {segment.end}) has no LLM answer to tune on")
        agreed, regions = find_agreements_and_conflicts(segment.slm.spans, segment.llm.entities)
        right += len(gold.intersection(agreed))
        predicted += len(agreed)
        for region in regions:
            entropy, llm_prob = measure_entropy_and_llm_prob(region, segment.slm, segment.llm)
            scores.append((1.0 - entropy, llm_prob))
            slm, llm = ((len(gold.intersection(side)), len(side)) for side in (region.slm_spans, region.llm_spans))
            counts.append((slm, llm))
    score_array = np.array(scores, dtype=np.float64).reshape(-1, 2)
    count_array = np.array(counts, dtype=np.int64).reshape(-1, 2, 2)
    return ConflictTable(
        score_array[:, 0], score_array[:, 1], count_array[:, 0], count_array[:, 1], (right, predicted), n_gold
    )


def compute_f1_curve(table: ConflictTable, weights: _Floats) -> _Floats:
    """Return the strict entity micro F1 of the fused output at each lambda, [n_weights]."""
    parts = []
    for chunk in np.array_split(weights, max(1, len(weights) * len(table.slm_confidence) // _MAX_COMPARISONS)):
        # The very comparison of `region_rule.slm_wins`, for all regions [n, 1] and many lambdas [1, m] at once.
        slm_wins = table.slm_confidence[:, None] >= chunk[None, :] * np.exp(table.llm_prob)[:, None]
        parts.append(table.slm_counts.T @ slm_wins + table.llm_counts.T @ ~slm_wins)
    totals = np.concatenate(parts, axis=1) + np.array(table.agreed_counts)[:, None]
    denominator = totals[1] + table.n_gold
    curve: _Floats = np.divide(2.0 * totals[0], denominator, out=np.zeros(len(weights)), where=denominator > 0)
    return curve


def choose_middle_of_best_weights(weights: _Floats, f1: _Floats) -> tuple[float, float]:
    """Return lambda and F1 at the middle of the longest stretch of lambdas that reach the maximum.

    A small change of the data moves the middle of a plateau least.
    """
    top = np.flatnonzero(f1 >= f1.max() - 1e-12)
    stretches = np.split(top, np.flatnonzero(np.diff(top) > 1) + 1)
    longest = max(stretches, key=len)
    middle = int(longest[(len(longest) - 1) // 2])
    return float(weights[middle]), float(f1[middle])
