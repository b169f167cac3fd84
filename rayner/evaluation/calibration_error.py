"""The expected calibration error: how far scores lie from the share of right entities.

Even perfectly calibrated scores have an error above 0, because the share of right entities in a bin varies by chance.
So the error is compared with the error of perfectly calibrated scores for the same number of entities.
"""

from collections.abc import Sequence

import numpy as np

from rayner.evaluation.artifact import PerfectCalibration, ReliabilityBin

N_BINS = 10
N_DRAWS = 1000


def reliability_bins(scores: Sequence[float], is_right: Sequence[bool]) -> tuple[ReliabilityBin, ...]:
    """Group entities, sorted by score, into ten bins of equal size. With fewer entities there are fewer bins.

    Sizes differ by at most one. Entities with equal scores keep their order.
    """
    order, sizes = _sort_and_size_bins(scores)
    values, right = np.asarray(scores, dtype=float)[order], np.asarray(is_right, dtype=float)[order]
    ends = np.cumsum(sizes)
    return tuple(
        ReliabilityBin(
            low=float(values[start]),
            high=float(values[end - 1]),
            mean=float(values[start:end].mean()),
            right=float(right[start:end].mean()),
            n=int(end - start),
        )
        for start, end in zip(ends - sizes, ends, strict=True)
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error (Guo et al. 2017) with bins of equal size; 0 without entities.

    A bin's error is the distance between its mean score and its share of right entities. The result is the mean over
    the bins, weighted by their numbers of entities.
    """
    n = sum(own.n for own in bins)
    return sum(own.n * abs(own.mean - own.right) for own in bins) / n if n else 0.0


def perfect_calibration(scores: Sequence[float], seed: int = 0) -> PerfectCalibration:
    """Return the error that these scores would show if they were perfectly calibrated.

    In each of 1,000 draws, every entity is right with the probability that its score says.
    """
    if not len(scores):
        return PerfectCalibration(0.0, 0.0)
    order, sizes = _sort_and_size_bins(scores)
    values = np.asarray(scores, dtype=float)[order]
    rng = np.random.default_rng(seed)
    errors = np.zeros(N_DRAWS)
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        n_right = (rng.random((N_DRAWS, end - start)) < values[start:end]).sum(axis=1)
        errors += np.abs(values[start:end].sum() - n_right)
    errors /= len(values)
    return PerfectCalibration(float(errors.mean()), float(np.quantile(errors, 0.95)))


def _sort_and_size_bins(scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the scores in rising order, and the size of each bin."""
    n_bins = min(N_BINS, len(scores))
    sizes = [len(part) for part in np.array_split(np.arange(len(scores)), n_bins)] if n_bins else []
    return np.argsort(np.asarray(scores, dtype=float), kind="stable"), np.array(sizes, dtype=int)
