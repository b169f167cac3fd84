"""The search for lambda, exact and vectorised (method, section 4), and what a search is worth on unseen sentences.

For given reductions each conflict region is two numbers, 1 - H and P, and two outcomes: how many entities are right
if the SLM wins it, and if the LLM does. Agreed entities and gold counts are constants. So F1 at thousands of values
of lambda is one comparison and one sum each.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.fusion.deciding import FusionRule, decide
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.regions import (
    FusedEntity,
    find_agreements_and_conflicts,
    reduce_llm_probs,
    region_entropy,
    region_llm_probs,
)
from rayner.text.predictions import SegmentPrediction

Floats = npt.NDArray[np.float64]
_AT_ONCE = 2_000_000  # comparisons: memory stays small however many regions there are


@dataclass(frozen=True)
class ConflictTable:
    """All conflict regions of some sentences under given reductions.

    confidence, probability: [n]; slm, llm: [n, 2] entities right and predicted if that model wins;
    agreed: (right, predicted) of the entities that both put; gold: entities to be found.
    """

    confidence: Floats
    probability: Floats
    slm: npt.NDArray[np.int64]
    llm: npt.NDArray[np.int64]
    agreed: tuple[int, int]
    gold: int


def tabulate_conflicts(rows: Sequence[SegmentPrediction], rule: RegionRule) -> ConflictTable:
    """The conflict regions of labelled sentences, by the rule's reductions (its weight plays no part)."""
    numbers: list[tuple[float, float]] = []
    outcomes: list[tuple[tuple[int, int], tuple[int, int]]] = []
    right = predicted = gold = 0
    for row in rows:
        want = set(row.gold)
        gold += len(want)
        if row.llm is None:
            raise ValueError(f"{row.doc_id} [{row.start}, {row.end}) has no LLM answer to tune on")
        agreed, regions = find_agreements_and_conflicts(row.slm.spans, row.llm.entities)
        right += len(want.intersection(agreed))
        predicted += len(agreed)
        for region in regions:
            values = region_llm_probs(region, row.llm, rule.llm_confidence)
            entropy = region_entropy(region, row.slm.entropy, rule.entropy_reduction)
            numbers.append((1.0 - entropy, reduce_llm_probs(values, rule.llm_reduction)))
            sides = [region.slm_spans, [item.span for item in region.llm_entities]]
            slm, llm = ((len(want.intersection(side)), len(side)) for side in sides)
            outcomes.append((slm, llm))
    pair = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    both = np.array(outcomes, dtype=np.int64).reshape(-1, 2, 2)
    return ConflictTable(pair[:, 0], pair[:, 1], both[:, 0], both[:, 1], (right, predicted), gold)


def compute_f1_curve(found: ConflictTable, weights: Floats) -> Floats:
    """Strict entity micro F1 of the fused output at each lambda."""
    parts = []
    for some in np.array_split(weights, max(1, len(weights) * len(found.confidence) // _AT_ONCE)):
        # The very comparison of `fusion.slm_wins`, for all regions [n, 1] and many lambdas [1, m] at once.
        slm = found.confidence[:, None] >= some[None, :] * np.exp(found.probability)[:, None]
        parts.append(found.slm.T @ slm + found.llm.T @ ~slm)
    totals = np.concatenate(parts, axis=1) + np.array(found.agreed)[:, None]
    both = totals[1] + found.gold
    curve: Floats = np.divide(2.0 * totals[0], both, out=np.zeros(len(weights)), where=both > 0)
    return curve


def choose_weight(weights: Floats, f1: Floats) -> tuple[float, float]:
    """(lambda, F1) at the middle of the longest stretch of lambdas that reach the maximum.

    The middle of a plateau is what a small change of the data moves least.
    """
    top = np.flatnonzero(f1 >= f1.max() - 1e-12)
    stretches = np.split(top, np.flatnonzero(np.diff(top) > 1) + 1)
    longest = max(stretches, key=len)
    middle = int(longest[(len(longest) - 1) // 2])
    return float(weights[middle]), float(f1[middle])


def decide_held_out(
    rows: Sequence[SegmentPrediction],
    choose: Callable[[Sequence[SegmentPrediction]], FusionRule],
    *,
    folds: int,
    seed: int,
    blind: Callable[[FusionRule, SegmentPrediction], FusionRule] = lambda rule, row: rule,
) -> list[list[FusedEntity]]:
    """The decisions on each segment by the rule that `choose` finds on those of the other folds.

    All copies of a text fall into the same fold. With fewer than two texts, the rule has seen its segment. blind: the
    rule as it may judge a segment, without what it knows of its tags from elsewhere.
    """
    texts = sorted({row.text for row in rows})
    random.Random(seed).shuffle(texts)
    fold = {text: i % folds for i, text in enumerate(texts)}
    out: list[list[FusedEntity]] = [[] for _ in rows]
    for part in sorted(set(fold.values())):
        others = [row for row in rows if fold[row.text] != part]
        rule = choose(others or rows)
        for i, row in enumerate(rows):
            if fold[row.text] == part:
                out[i] = decide(row, blind(rule, row))
    return out
