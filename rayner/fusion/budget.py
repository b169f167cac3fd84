"""A budget for the LLM: which sentences to ask about when not all can be (streaming, from the SLM's entropies alone).

What the LLM overturns at which entropy is learned from held-out scores; a sentence is worth asking about by the
number of tags that the LLM is expected to overturn in it. The threshold for a share of the sentences comes from the
held-out ones too, so that no pass over the corpus is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.fusion.deciding import FusionRule, block_entropy, decide, llm_could_change
from rayner.text.predictions import SegmentPrediction
from rayner.text.tags import spans_to_tags

_SHARES = 100


@dataclass(frozen=True)
class Budget:
    """What `expected_overturned_tags` and `threshold_for_share` need.

    entropy, overturned: [m] a step function, rising: from each entropy on, the share of tags that the LLM overturns.
    worth: [101] the expected number of overturned tags of held-out sentences, at shares 0, 1%, ... 100% from the top.
    """

    entropy_steps: list[float]
    overturned_shares: list[float]
    expected_by_share: list[float]

    def expected_overturned_tags(self, row: SegmentPrediction, rule: FusionRule) -> float:
        """How many tags of a sentence the LLM should overturn; 0 where it cannot overturn any."""
        if not llm_could_change(row, rule):
            return 0.0
        return self.sum_overturned_shares(block_entropy(row.slm, rule))

    def sum_overturned_shares(self, entropies: npt.NDArray[np.float64]) -> float:
        """Sum the shares of tags that the LLM overturns at these entropies, [n_chars], nats."""
        at = np.searchsorted(self.entropy_steps, entropies, side="right") - 1
        return float(np.where(at >= 0, np.asarray(self.overturned_shares)[at], 0.0).sum())

    def threshold_for_share(self, share: float) -> float:
        """Sentences worth more than this are about that share of all."""
        return float(np.interp(share, np.linspace(0, 1, len(self.expected_by_share)), self.expected_by_share))


def fit_budget(rows: Sequence[SegmentPrediction], rule: FusionRule) -> Budget:
    """The budget from held-out sentences that both models answered. Raises ValueError without any."""
    if not rows:
        raise ValueError("a budget needs held-out sentences")
    entropy = np.concatenate([block_entropy(row.slm, rule) for row in rows])
    changed = np.concatenate([overturned_mask(row, rule) for row in rows])
    budget = Budget(*_fit_isotonic_steps(entropy, changed), [])
    worth = [budget.expected_overturned_tags(row, rule) for row in rows]
    return replace(budget, expected_by_share=[float(v) for v in np.quantile(worth, np.linspace(1, 0, _SHARES + 1))])


def overturned_mask(row: SegmentPrediction, rule: FusionRule) -> npt.NDArray[np.bool_]:
    """[n] whether the fused tag of each character is another than the SLM's."""
    n = len(row.text)
    fused = spans_to_tags([decision.span for decision in decide(row, rule)], n)
    return np.array([a != b for a, b in zip(fused, spans_to_tags(row.slm.spans, n), strict=True)], dtype=bool)


def rank_for_llm(rows: Sequence[SegmentPrediction], rule: FusionRule, budget: Budget) -> tuple[list[int], int]:
    """The sentences in the order in which a growing budget asks about them, and how many the exact gate lets through.

    Those that the exact gate skips come last.
    """
    worth = [budget.expected_overturned_tags(row, rule) for row in rows]
    passed = [llm_could_change(row, rule) for row in rows]
    return sorted(range(len(rows)), key=lambda i: (not passed[i], -worth[i])), sum(passed)


def _fit_isotonic_steps(
    entropy: npt.NDArray[np.float64], changed: npt.NDArray[np.bool_]
) -> tuple[list[float], list[float]]:
    """The rising step function nearest to the changes (isotonic regression, by pooling adjacent violators)."""
    values, which, counts = np.unique(entropy, return_inverse=True, return_counts=True)
    blocks: list[tuple[float, float, float]] = []  # lowest entropy, changes, characters
    for low, hits, n in zip(values, np.bincount(which, weights=changed), counts, strict=True):
        block = (float(low), float(hits), float(n))
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            before = blocks.pop()
            block = (before[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return [low for low, _, _ in blocks], [hits / n for _, hits, n in blocks]
