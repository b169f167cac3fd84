"""The LLM budget, which chooses the sentences to ask the LLM about if it cannot be asked about all.

Held-out sentences show how often the LLM overturns the SLM's tag, as a function of the SLM's entropy. The value of
asking about a sentence is the number of tags that the LLM is expected to overturn in it. The threshold for a share of
the sentences also comes from held-out sentences. So the corpus can be processed as a stream, without a first pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import SegmentPrediction
from rayner.text.tags import spans_to_tags

_N_SHARES = 100


@dataclass(frozen=True)
class Budget:
    """How many tags the LLM is expected to overturn, learned from held-out sentences.

    entropy_steps: entropies at which the steps of a rising step function begin, shape [n_steps], nats.
    overturned_shares: share of tags that the LLM overturns on each step, shape [n_steps].
    expected_by_share: thresholds of the expected number of overturned tags, shape [101]. About i% of the held-out
        sentences lie above entry i.
    """

    entropy_steps: tuple[float, ...]
    overturned_shares: tuple[float, ...]
    expected_by_share: tuple[float, ...]

    def expected_overturned_tags(self, segment: SegmentPrediction, rule: FusionRule) -> float:
        """Return how many tags of a segment the LLM is expected to overturn; 0 if it cannot overturn any."""
        if not rule.could_change(segment):
            return 0.0
        return self.sum_overturned_shares(rule.block_entropy(segment.slm))

    def sum_overturned_shares(self, entropies: npt.NDArray[np.float64]) -> float:
        """Sum the shares of tags that the LLM overturns at these entropies.

        entropies: shape [n_chars], nats.
        """
        steps = np.searchsorted(self.entropy_steps, entropies, side="right") - 1
        return float(np.where(steps >= 0, np.asarray(self.overturned_shares)[steps], 0.0).sum())

    def overturned_tags_threshold(self, llm_share: float) -> float:
        """Return the threshold of expected overturned tags that about this share of all sentences exceeds."""
        return float(np.interp(llm_share, np.linspace(0, 1, len(self.expected_by_share)), self.expected_by_share))


def fit_budget(segments: Sequence[SegmentPrediction], rule: FusionRule) -> Budget:
    """Fit the budget to held-out segments that both models answered. Raises ValueError if there are no segments."""
    if not segments:
        raise ValueError("a budget needs held-out sentences")
    entropy = np.concatenate([rule.block_entropy(segment.slm) for segment in segments])
    decided = rule.decide_all(segments)
    overturned = np.concatenate([overturned_mask(*each) for each in zip(segments, decided, strict=True)])
    budget = Budget(*_fit_isotonic_steps(entropy, overturned), ())
    expected = [budget.expected_overturned_tags(segment, rule) for segment in segments]
    quantiles = np.quantile(expected, np.linspace(1, 0, _N_SHARES + 1))
    return replace(budget, expected_by_share=tuple(float(value) for value in quantiles))


def overturned_mask(segment: SegmentPrediction, fused: Sequence[FusedEntity]) -> npt.NDArray[np.bool_]:
    """Return a mask of the characters whose fused tag differs from the SLM's tag, shape [n_chars].

    fused: the fused entities of the segment.
    """
    n_chars = len(segment.text)
    fused_tags = spans_to_tags([entity.span for entity in fused], n_chars)
    slm_tags = spans_to_tags(segment.slm.spans, n_chars)
    return np.array([fused != slm for fused, slm in zip(fused_tags, slm_tags, strict=True)], dtype=bool)


def rank_and_count_passing_gate(
    segments: Sequence[SegmentPrediction], rule: FusionRule, budget: Budget
) -> tuple[list[int], int]:
    """Return the order in which a growing budget asks about the segments, and how many segments pass the gate.

    The order is a list of segment indices. A segment passes the gate if some LLM answer could change its output.
    Segments that do not pass come last.
    """
    expected = [budget.expected_overturned_tags(segment, rule) for segment in segments]
    passes_gate = [rule.could_change(segment) for segment in segments]
    return sorted(range(len(segments)), key=lambda i: (not passes_gate[i], -expected[i])), sum(passes_gate)


def _fit_isotonic_steps(
    entropy: npt.NDArray[np.float64], overturned: npt.NDArray[np.bool_]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the rising step function closest to the data (isotonic regression, by pooling adjacent violators)."""
    values, inverse, counts = np.unique(entropy, return_inverse=True, return_counts=True)
    blocks: list[tuple[float, float, float]] = []  # lowest entropy, overturned characters, characters
    for lowest, n_overturned, n_chars in zip(values, np.bincount(inverse, weights=overturned), counts, strict=True):
        block = (float(lowest), float(n_overturned), float(n_chars))
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            before = blocks.pop()
            block = (before[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return tuple(lowest for lowest, _, _ in blocks), tuple(n_over / n for _, n_over, n in blocks)
