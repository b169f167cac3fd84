"""Definitions of all scores (method, section 5).

- Strict entity scores: an entity is right if its start, its end and its type are all right.
- Token-level macro F1: the mean F1 over BMES tags that occur in gold or prediction, with and without O.
- Intervals: percentile bootstrap over sentences. It is paired if two systems answer the same sentences.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rayner.text.json_records import record_from_json
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE

EntityCounts = npt.NDArray[np.int64]  # [n_sentences, n_types, 3]: right, predicted, gold


@dataclass(frozen=True)
class Score:
    """Counts of entities, and precision, recall and F1 in [0, 1]. A share is 0 if there is nothing to count."""

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
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.predicted + self.gold) if self.predicted + self.gold else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return precision, recall, F1 and the counts by name."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "right": self.right,
            "predicted": self.predicted,
            "gold": self.gold,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Build the score from what `to_json` returned."""
        names = [field.name for field in dataclasses.fields(cls)]  # the others are computed from these
        return record_from_json(cls, {name: tree[name] for name in names if name in tree})


@dataclass(frozen=True)
class IntervalScore(Score):
    """A score with the bootstrap interval of its F1."""

    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return precision, recall, F1, the counts and the interval by name."""
        return {**super().to_json(), "interval": list(self.interval)}


def count_entities(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str]
) -> EntityCounts:
    """Count right, predicted and gold entities by sentence and type.

    Raises ValueError if the numbers of sentences differ.
    """
    columns = {type_: i for i, type_ in enumerate(types)}
    counts = np.zeros((len(gold), len(types), 3), dtype=np.int64)
    for sentence, (gold_spans, predicted_spans) in enumerate(zip(gold, predicted, strict=True)):
        right = set(gold_spans) & set(predicted_spans)
        for quantity, spans in enumerate((right, predicted_spans, gold_spans)):
            for span in spans:
                counts[sentence, columns[span.type], quantity] += 1
    return counts


def micro_score(counts: EntityCounts) -> Score:
    """Return the score over all sentences and types."""
    return Score(*map(int, counts.sum(axis=(0, 1))))


def score_by_type(counts: EntityCounts, types: Sequence[str]) -> dict[str, Score]:
    """Return the score of each type over all sentences."""
    return {type_: Score(*map(int, totals)) for type_, totals in zip(types, counts.sum(axis=0), strict=True)}


def macro_f1(counts: EntityCounts) -> float:
    """Return the mean F1 over the types that occur in gold or prediction."""
    scores = [Score(*map(int, totals)) for totals in counts.sum(axis=0)]
    present = [score.f1 for score in scores if score.gold or score.predicted]
    return float(np.mean(present)) if present else 0.0


def _f1(totals: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return F1 from counts of shape [..., 3] (right, predicted, gold)."""
    denominator = totals[..., 1] + totals[..., 2]
    result: npt.NDArray[np.floating] = np.divide(
        2 * totals[..., 0], denominator, out=np.zeros_like(denominator, dtype=float), where=denominator > 0
    )
    return result


@lru_cache(maxsize=2)
def _count_sentence_draws(n_sentences: int, seed: int, rounds: int) -> npt.NDArray[np.int64]:
    """Return how often each sentence is drawn in each round, shape [rounds, n_sentences].

    The same arguments always give the same draws.
    """
    draws: npt.NDArray[np.int64] = np.random.default_rng(seed).multinomial(
        n_sentences, np.full(n_sentences, 1 / n_sentences), size=rounds
    )
    return draws


def _resampled_f1(counts: EntityCounts, seed: int, rounds: int) -> npt.NDArray[np.floating]:
    return _f1(_count_sentence_draws(len(counts), seed, rounds) @ counts.sum(axis=1).astype(float))


def bootstrap_f1_interval(
    counts: EntityCounts, *, seed: int, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Return the bootstrap interval of the micro F1 as (low, high); (0, 0) without sentences."""
    if len(counts) == 0:
        return 0.0, 0.0
    low, high = np.quantile(_resampled_f1(counts, seed, rounds), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def f1_difference_with_bootstrap_interval(
    counts: EntityCounts, other_counts: EntityCounts, *, seed: int, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Return how much higher the micro F1 of the first system is, with its interval: (difference, low, high).

    Each round draws the same sentences for both systems.
    """
    if len(counts) == 0:
        return 0.0, 0.0, 0.0
    differences = _resampled_f1(counts, seed, rounds) - _resampled_f1(other_counts, seed, rounds)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return micro_score(counts).f1 - micro_score(other_counts).f1, float(low), float(high)


def token_macro_f1(gold_tags: Sequence[str], predicted_tags: Sequence[str]) -> tuple[float, float]:
    """Return the macro F1 over tags: (with O, without O).

    gold_tags: one tag for each character.
    predicted_tags: one tag for each character.

    Raises ValueError if the lengths differ.
    """
    if len(gold_tags) != len(predicted_tags):
        raise ValueError(f"{len(gold_tags)} gold tags but {len(predicted_tags)} predicted ones")
    tags, codes = np.unique(np.array([*gold_tags, *predicted_tags], dtype=str), return_inverse=True)
    gold_codes, predicted_codes = codes[: len(gold_tags)], codes[len(gold_tags) :]
    n_tags = len(tags)
    totals = np.stack(
        [
            np.bincount(gold_codes[gold_codes == predicted_codes], minlength=n_tags),
            np.bincount(predicted_codes, minlength=n_tags),
            np.bincount(gold_codes, minlength=n_tags),
        ],
        axis=1,
    ).astype(float)
    scores = _f1(totals)
    without_o = scores[tags != OUTSIDE]
    return (float(scores.mean()) if n_tags else 0.0), (float(without_o.mean()) if len(without_o) else 0.0)
