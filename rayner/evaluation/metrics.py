"""Scores, each named for what it is (method, section 5).

Strict entity scores: an entity counts if its start, its end and its type are all right.
Token-level macro: the mean F1 over BMES tags, with and without O, over the tags that occur in gold or prediction.
Intervals: percentile bootstrap over sentences; paired where two systems answer the same sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE

EntityCounts = npt.NDArray[np.int64]  # [n_sentences, n_types, 3]: right, predicted, gold


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of counted entities; 0 where there is nothing to count."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the predicted entities that are right."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold entities that were found."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        return 2 * self.right / (self.predicted + self.gold) if self.predicted + self.gold else 0.0


def count_entities(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str]
) -> EntityCounts:
    """Strict counts per sentence and type. Raises ValueError if the numbers of sentences differ."""
    index = {kind: i for i, kind in enumerate(types)}
    out = np.zeros((len(gold), len(types), 3), dtype=np.int64)
    for row, (want, got) in enumerate(zip(gold, predicted, strict=True)):
        for place, spans in enumerate((set(want) & set(got), got, want)):
            for span in spans:
                out[row, index[span.type], place] += 1
    return out


def micro_score(counts: EntityCounts) -> Score:
    """Over all sentences and types."""
    return Score(*map(int, counts.sum(axis=(0, 1))))


def score_by_type(counts: EntityCounts, types: Sequence[str]) -> dict[str, Score]:
    """Over all sentences, for each type."""
    return {kind: Score(*map(int, row)) for kind, row in zip(types, counts.sum(axis=0), strict=True)}


def macro_f1(counts: EntityCounts) -> float:
    """Mean of the F1 of the types that occur in gold or prediction."""
    scores = [Score(*map(int, row)) for row in counts.sum(axis=0)]
    present = [score.f1 for score in scores if score.gold or score.predicted]
    return float(np.mean(present)) if present else 0.0


def _f1(totals: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    both = totals[..., 1] + totals[..., 2]
    result: npt.NDArray[np.floating] = np.divide(
        2 * totals[..., 0], both, out=np.zeros_like(both, dtype=float), where=both > 0
    )
    return result


@lru_cache(maxsize=2)
def _draws(n: int, seed: int, rounds: int) -> npt.NDArray[np.int64]:
    """How often each of n sentences is drawn, [rounds, n]: the same for all that is measured on the same sentences."""
    drawn: npt.NDArray[np.int64] = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=rounds)
    return drawn


def _resampled_f1(counts: EntityCounts, seed: int, rounds: int) -> npt.NDArray[np.floating]:
    return _f1(_draws(len(counts), seed, rounds) @ counts.sum(axis=1).astype(float))


def bootstrap_interval(
    counts: EntityCounts, *, seed: int, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the micro F1. (0, 0) without sentences."""
    if len(counts) == 0:
        return 0.0, 0.0
    low, high = np.quantile(_resampled_f1(counts, seed, rounds), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap_interval(
    ours: EntityCounts, theirs: EntityCounts, *, seed: int, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference in micro F1 (ours - theirs) and its bootstrap interval, the same sentences drawn for both."""
    if len(ours) == 0:
        return 0.0, 0.0, 0.0
    differences = _resampled_f1(ours, seed, rounds) - _resampled_f1(theirs, seed, rounds)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return micro_score(ours).f1 - micro_score(theirs).f1, float(low), float(high)


def token_macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> tuple[float, float]:
    """Token-level macro F1 over tags, (with O, without O). Raises ValueError if the lengths differ."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold tags but {len(predicted)} predicted ones")
    names, codes = np.unique(np.array([*gold, *predicted], dtype=str), return_inverse=True)
    want, got = codes[: len(gold)], codes[len(gold) :]
    size = len(names)
    totals = np.stack(
        [np.bincount(want[want == got], minlength=size), np.bincount(got, minlength=size),
         np.bincount(want, minlength=size)], axis=1,
    ).astype(float)  # fmt: skip
    scores = _f1(totals)
    inner = scores[names != OUTSIDE]
    return (float(scores.mean()) if size else 0.0), (float(inner.mean()) if len(inner) else 0.0)
