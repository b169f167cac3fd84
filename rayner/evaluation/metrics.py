"""Definitions of all scores (method, section 5).

- Strict entity scores: an entity is right if its start, its end and its type are all right.
- Token-level scores of a class c: each character has a gold class and a predicted class. Precision is the share of the
  characters predicted as c whose gold class is c. Recall is the share of the characters of gold class c that are
  predicted as c. F1 is their harmonic mean. A share is 0 if there is nothing to count.
- Token-level macro P, R and F1: each the mean over the classes that occur in gold or prediction. So the macro F1 is not
  the harmonic mean of macro P and macro R. The classes are the BMES tags, such as B-NR, or the types: then a character
  counts for its type whatever its BMES prefix. Each is given with and without the class O.
- Intervals: percentile bootstrap over sentences. It is paired if two systems answer the same sentences. A token-level
  macro score of a drawn sample is the mean over the same classes. A class that does not occur in the sample counts with
  its F1 on all sentences.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rayner.text.json_records import record_from_json
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, split_tag

EntityCounts = npt.NDArray[np.int64]  # [n_sentences, n_types, 3]: right, predicted, gold
Tags = Sequence[Sequence[str]]  # the tags of each sentence


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


@dataclass(frozen=True)
class MacroScore:
    """Token-level precision, recall and F1 in [0, 1], each the mean over classes.

    interval: bootstrap interval of the F1.
    """

    precision: float
    recall: float
    f1: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class TokenScores:
    """The token-level macro scores of a system by four definitions of the classes.

    tags_with_o: the BMES tags and O.
    tags_without_o: the BMES tags.
    types_with_o: the types, whatever the BMES prefix, and O.
    types_without_o: the types, whatever the BMES prefix.
    """

    tags_with_o: MacroScore
    tags_without_o: MacroScore
    types_with_o: MacroScore
    types_without_o: MacroScore

    def by_name(self) -> dict[str, MacroScore]:
        """Return the four scores by the names of their fields."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


RIGHT, PREDICTED, GOLD = range(3)  # the quantities of `EntityCounts`


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


def micro_f1(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str]) -> float:
    """Return the strict micro F1 of the entities predicted in each sentence, over all sentences and types."""
    return micro_score(count_entities(gold, predicted, types)).f1


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


def bootstrap_share_interval(
    counts: EntityCounts, part: int, whole: int, *, seed: int, rounds: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Return the bootstrap interval of a share of entities over all sentences and types; (0, 0) if there are none.

    part, whole: which of the quantities of `EntityCounts` to divide, such as 0 and 2 for recall. A drawn sample without
        the whole does not count.
    """
    totals = counts.sum(axis=1)[:, [part, whole]].astype(float)
    if not totals[:, 1].sum():
        return 0.0, 0.0
    drawn = _count_sentence_draws(len(counts), seed, rounds) @ totals
    shares = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(shares[:, 0] / shares[:, 1], [(1 - level) / 2, (1 + level) / 2])
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


def score_token_classes(gold_tags: Tags, predicted_tags: Tags, *, seed: int, rounds: int = 2000) -> TokenScores:
    """Return the token-level macro scores over tags and over types, each with and without O.

    gold_tags: for each sentence, one BMES tag for each character.
    predicted_tags: the same for the prediction.

    Raises ValueError if the numbers of sentences or of characters differ.
    """
    scores = []
    for class_of in (str, _type_of_tag):
        classes, counts = _count_classes(gold_tags, predicted_tags, class_of)
        inside = [i for i, class_ in enumerate(classes) if class_ != OUTSIDE]
        scores += [_macro_score(part, seed, rounds) for part in (counts, counts[:, inside])]
    return TokenScores(*scores)


def _type_of_tag(tag: str) -> str:
    return split_tag(tag)[1] or OUTSIDE


def _count_classes(
    gold_tags: Tags, predicted_tags: Tags, class_of: Callable[[str], str]
) -> tuple[list[str], EntityCounts]:
    """Return the classes that occur, and the right, predicted and gold characters by sentence and class."""
    lengths = [len(tags) for tags in gold_tags]
    if lengths != [len(tags) for tags in predicted_tags]:
        raise ValueError(f"{sum(lengths)} gold tags but {sum(map(len, predicted_tags))} predicted ones, by sentence")
    gold, predicted = ([class_of(tag) for tags in part for tag in tags] for part in (gold_tags, predicted_tags))
    classes = sorted({*gold, *predicted})
    numbers = {class_: i for i, class_ in enumerate(classes)}
    gold_codes, predicted_codes = (np.array([numbers[c] for c in part], dtype=int) for part in (gold, predicted))
    offsets = np.repeat(np.arange(len(lengths)), lengths) * len(classes)
    right = gold_codes == predicted_codes
    cells = (offsets[right] + gold_codes[right], offsets + predicted_codes, offsets + gold_codes)
    counts = [np.bincount(cell, minlength=len(lengths) * len(classes)) for cell in cells]
    return classes, np.stack(counts, axis=-1).reshape(len(lengths), len(classes), 3)


def _macro_score(counts: EntityCounts, seed: int, rounds: int) -> MacroScore:
    """Return the mean scores over classes, each of which occurs; all 0 without classes."""
    if not counts.size:
        return MacroScore(0.0, 0.0, 0.0, (0.0, 0.0))
    right, predicted, gold = totals = np.moveaxis(counts.sum(axis=0).astype(float), -1, 0)
    f1 = _f1(totals.T)
    n_sentences, n_classes, _ = counts.shape
    drawn = _count_sentence_draws(n_sentences, seed, rounds) @ counts.reshape(n_sentences, -1).astype(float)
    drawn = drawn.reshape(rounds, n_classes, 3)
    drawn_f1 = np.where(drawn[..., 1:].any(axis=-1), _f1(drawn), f1)
    low, high = np.quantile(drawn_f1.mean(axis=-1), [0.025, 0.975])
    shares = [np.divide(right, whole, out=np.zeros_like(whole), where=whole > 0).mean() for whole in (predicted, gold)]
    return MacroScore(float(shares[0]), float(shares[1]), float(f1.mean()), (float(low), float(high)))
