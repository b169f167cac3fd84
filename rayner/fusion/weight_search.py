"""The search for lambda of the rule by regions, exact and vectorised (method, section 4).

With given reductions, each conflict region has two scores: 1 - H (H is the SLM's entropy, nats) and P (the LLM's
probability). It also has two outcomes: how many entities are right if the SLM wins, and if the LLM wins. The number of
agreed entities and the number of gold entities are constant. So F1 at one lambda takes one comparison and one sum, and
thousands of lambdas can be tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.fusion.conflict_regions import ConflictRegion, find_agreements_and_conflicts
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction

_Floats = npt.NDArray[np.float64]
_MAX_COMPARISONS = 2_000_000  # at once, so that memory stays small for any number of regions


@dataclass(frozen=True)
class WeightCurve:
    """F1 at every lambda that was tried, with given reductions.

    weights: the lambdas, rounded to 6 digits.
    f1: strict entity micro F1 on all held-out sentences at each lambda, rounded to 6 digits.
    best_weight: the chosen lambda (`choose_middle_of_best_weights`), not rounded.
    best_f1: F1 at the chosen lambda, not rounded.
    held_out_f1: F1 on sentences that lambda was not fitted on. The reductions are the same for all sentences.
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
    """All conflict regions of some sentences, with given reductions.

    slm_confidence: 1 - H of each region, shape [n_regions].
    llm_prob: P of each region, shape [n_regions].
    slm_counts: numbers of right and of predicted entities if the SLM wins the region, shape [n_regions, 2].
    llm_counts: the same if the LLM wins the region, shape [n_regions, 2].
    agreed_counts: numbers of right and of predicted entities among those that both models predicted.
    n_gold: number of gold entities.
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

    measure_entropy_and_llm_prob: returns H and P of a region (`RegionRule.measure_entropy_and_llm_prob`).

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
    """Return the strict entity micro F1 of the fused output at each lambda, shape [n_weights]."""
    parts = []
    for chunk in np.array_split(weights, max(1, len(weights) * len(table.slm_confidence) // _MAX_COMPARISONS)):
        # The same comparison as in `region_rule.slm_wins`, for all regions [n, 1] and many lambdas [1, m] at once.
        slm_wins = table.slm_confidence[:, None] >= chunk[None, :] * np.exp(table.llm_prob)[:, None]
        parts.append(table.slm_counts.T @ slm_wins + table.llm_counts.T @ ~slm_wins)
    totals = np.concatenate(parts, axis=1) + np.array(table.agreed_counts)[:, None]
    return f1_from_counts(totals[0], totals[1], table.n_gold)


def f1_from_counts(n_right: npt.NDArray[np.int64], n_predicted: npt.NDArray[np.int64], n_gold: int) -> _Floats:
    """Return F1 from the numbers of right and of predicted entities, shape [n_weights]; 0 if there are no entities."""
    denominator = n_predicted + n_gold
    curve: _Floats = np.divide(2.0 * n_right, denominator, out=np.zeros(len(denominator)), where=denominator > 0)
    return curve


def choose_middle_of_best_weights(weights: _Floats, f1: _Floats) -> tuple[float, float]:
    """Return lambda and F1 at the middle of the longest stretch of lambdas that reach the maximum.

    The middle of a plateau changes least if the data change a little.
    """
    top = np.flatnonzero(f1 >= f1.max() - 1e-12)
    stretches = np.split(top, np.flatnonzero(np.diff(top) > 1) + 1)
    longest = max(stretches, key=len)
    middle = int(longest[(len(longest) - 1) // 2])
    return float(weights[middle]), float(f1[middle])
