"""Estimates of precision, recall and F1 of a whole corpus from a random sample of its sentences.

Sentences are drawn, not entities, and entities of a sentence are alike. So the variance of a share is that of a ratio
of sums over sentences. The interval is Wilson's, for as many independent entities as have this variance, with the
quantile of Student's t. It holds for small samples and for shares near 0 and 1, where an interval of plus and minus
twice the standard error leaves [0, 1] or is empty (Korn and Graubard, 1998; Dean and Pagano, 2015).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from rayner.evaluation.metrics import GOLD, PREDICTED, RIGHT


@dataclass(frozen=True, slots=True)
class EstimatedShare:
    """A share of the entities of a corpus, with the interval [low, high]; all in [0, 1]."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EstimatedScore:
    """Precision, recall and F1 of a corpus or a part of it.

    A share is None if the sample has no entity to divide by, or entities in one sentence alone, which has no variance.

    sentences: the sentences of the sample in which an entity of the part was found or missed.
    predicted, gold: the entities of the sample.
    """

    precision: EstimatedShare | None
    recall: EstimatedShare | None
    f1: EstimatedShare | None
    sentences: int
    predicted: int
    gold: int


def estimate_score(counts: npt.NDArray[np.int64], population: int, *, level: float = 0.95) -> EstimatedScore:
    """Estimate the score of a corpus, or of a part of it, from a sample of its sentences.

    Args:
        counts: The right, predicted and gold entities of each sentence of the sample, shape [sentences, 3]. For a part
            of the corpus, such as a type, all sentences of the sample have a row, with zeros where they lie outside.
        population: The sentences of the whole corpus.
        level: The level of the intervals.

    """
    right, predicted, gold = (counts[:, quantity] for quantity in (RIGHT, PREDICTED, GOLD))
    return EstimatedScore(
        estimate_share(right, predicted, population, level=level),
        estimate_share(right, gold, population, level=level),
        estimate_share(2 * right, predicted + gold, population, level=level),
        int(np.count_nonzero(predicted + gold)),
        int(predicted.sum()),
        int(gold.sum()),
    )


def estimate_share(
    part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64], population: int, *, level: float = 0.95
) -> EstimatedShare | None:
    """Estimate a share of a corpus, sum(part) / sum(whole), from the values in each sentence of a random sample.

    Returns None if fewer than two sentences have something of the whole.
    """
    n, total, n_informative = len(whole), int(whole.sum()), int(np.count_nonzero(whole))
    if n_informative < 2:  # one value has no variance
        return None
    share = float(part.sum() / total)
    not_drawn = max(0.0, 1 - n / population)
    residuals = part - share * whole
    variance = not_drawn * n / (n - 1) * math.fsum(np.square(residuals)) / total**2
    if not_drawn == 0:
        return EstimatedShare(share, share, share)
    n_effective = total / not_drawn
    if variance > 0:
        n_effective = min(n_effective, share * (1 - share) / variance)
    low, high = _wilson_interval(share, n_effective, student_t_quantile((1 + level) / 2, n_informative - 1))
    return EstimatedShare(share, low, high)


def count_further_sentences(estimate: EstimatedShare, n: int, population: int, half_width: float) -> int:
    """Return how many sentences must be drawn beyond the n of the sample, for an interval of this half-width.

    The variance is taken to stay as it is. All sentences of the corpus are always enough.
    """
    found = (estimate.high - estimate.low) / 2
    if found <= half_width:
        return 0
    inverse = 1 / population + (1 / n - 1 / population) * (half_width / found) ** 2
    return min(population, math.ceil(1 / inverse)) - n


def student_t_quantile(probability: float, degrees: int) -> float:
    """Return a quantile of Student's t (Abramowitz and Stegun, 26.7.5), within 0.01 of the 97.5% from 3 degrees on.

    Below 3 degrees it is too small: there, the quantile of 3 degrees is used.
    """
    z, v = NormalDist().inv_cdf(probability), max(3, degrees)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / v ** (power + 1) for power, term in enumerate(terms))


def _wilson_interval(share: float, n: float, quantile: float) -> tuple[float, float]:
    spread = quantile**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = quantile * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
