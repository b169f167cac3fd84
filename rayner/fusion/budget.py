"""A budget for the LLM: which sentences to ask about when not all can be (streaming, from the SLM's entropies alone).

How often the LLM overturns a tag at which entropy is learned from held-out sentences. A sentence is worth asking about
by the number of tags that the LLM is expected to overturn in it. The threshold for a share of the sentences comes from
the held-out ones too, so that no pass over the corpus is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import SegmentPrediction
from rayner.text.tags import spans_to_tags

_N_SHARES = 100


@dataclass(frozen=True)
class Budget:
    """What the held-out sentences say about the worth of asking the LLM.

    entropy_steps, overturned_shares: [n_steps] a rising step function: from each entropy (nats) on, the share of tags
        that the LLM overturns.
    expected_by_share: [101] expected overturned tags of the held-out sentences, at shares 0, 1%, ... 100% from the top.
    """

    entropy_steps: tuple[float, ...]
    overturned_shares: tuple[float, ...]
    expected_by_share: tuple[float, ...]

    def expected_overturned_tags(self, segment: SegmentPrediction, rule: FusionRule) -> float:
        """Return how many tags of a segment the LLM should overturn; 0 if it cannot overturn any."""
        if not rule.could_change(segment):
            return 0.0
        return self.sum_overturned_shares(rule.block_entropy(segment.slm))

    def sum_overturned_shares(self, entropies: npt.NDArray[np.float64]) -> float:
        """Sum the shares of tags that the LLM overturns at these entropies, [n_chars], nats."""
        steps = np.searchsorted(self.entropy_steps, entropies, side="right") - 1
        return float(np.where(steps >= 0, np.asarray(self.overturned_shares)[steps], 0.0).sum())

    def overturned_tags_threshold(self, llm_share: float) -> float:
        """Return the expected overturned tags above which about that share of all sentences lies."""
        return float(np.interp(llm_share, np.linspace(0, 1, len(self.expected_by_share)), self.expected_by_share))


def fit_budget(segments: Sequence[SegmentPrediction], rule: FusionRule) -> Budget:
    """Fit the budget to held-out segments that both models answered. Raises ValueError without any."""
    if not segments:
        raise ValueError("a budget needs held-out sentences")
    entropy = np.concatenate([rule.block_entropy(segment.slm) for segment in segments])
    overturned = np.concatenate([overturned_mask(segment, rule) for segment in segments])
    budget = Budget(*_fit_isotonic_steps(entropy, overturned), ())
    expected = [budget.expected_overturned_tags(segment, rule) for segment in segments]
    quantiles = np.quantile(expected, np.linspace(1, 0, _N_SHARES + 1))
    return replace(budget, expected_by_share=tuple(float(value) for value in quantiles))


def overturned_mask(segment: SegmentPrediction, rule: FusionRule) -> npt.NDArray[np.bool_]:
    """Return where the fused tag differs from the SLM's, [n_chars]."""
    n_chars = len(segment.text)
    fused_tags = spans_to_tags([entity.span for entity in rule.decide(segment)], n_chars)
    slm_tags = spans_to_tags(segment.slm.spans, n_chars)
    return np.array([fused != slm for fused, slm in zip(fused_tags, slm_tags, strict=True)], dtype=bool)


def rank_and_count_passing_gate(
    segments: Sequence[SegmentPrediction], rule: FusionRule, budget: Budget
) -> tuple[list[int], int]:
    """Return the segments' indices in the order in which a growing budget asks, and how many pass the exact gate.

    Those that do not pass come last.
    """
    expected = [budget.expected_overturned_tags(segment, rule) for segment in segments]
    passes_gate = [rule.could_change(segment) for segment in segments]
    return sorted(range(len(segments)), key=lambda i: (not passes_gate[i], -expected[i])), sum(passes_gate)


def _fit_isotonic_steps(
    entropy: npt.NDArray[np.float64], overturned: npt.NDArray[np.bool_]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the rising step function nearest to the data (isotonic regression, by pooling adjacent violators)."""
    values, inverse, counts = np.unique(entropy, return_inverse=True, return_counts=True)
    blocks: list[tuple[float, float, float]] = []  # lowest entropy, overturned characters, characters
    for lowest, n_overturned, n_chars in zip(values, np.bincount(inverse, weights=overturned), counts, strict=True):
        block = (float(lowest), float(n_overturned), float(n_chars))
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            before = blocks.pop()
            block = (before[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return tuple(lowest for lowest, _, _ in blocks), tuple(n_over / n for _, n_over, n in blocks)
