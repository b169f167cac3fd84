"""The expected calibration error: how far scores lie from the share of right entities.

Even perfectly calibrated scores have an error above 0, because the share of right entities in a bin varies by chance.
So the error is compared with the error of perfectly calibrated scores for the same number of entities.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.evaluation.calibration_records import PerfectCalibration, ReliabilityBin

N_BINS = 10
N_DRAWS = 1000


def group_into_reliability_bins(scores: Sequence[float], is_right: Sequence[bool]) -> tuple[ReliabilityBin, ...]:
    """Group entities, sorted by score, into ten bins of equal size. With fewer entities there are fewer bins.

    Sizes differ by at most one. Entities with equal scores keep their order.
    """
    values, right = np.asarray(scores, dtype=float), np.asarray(is_right, dtype=float)
    return tuple(
        ReliabilityBin(
            low=float(values[own[0]]),
            high=float(values[own[-1]]),
            mean=float(values[own].mean()),
            right=float(right[own].mean()),
            n=len(own),
        )
        for own in _divide_by_score(values)
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error (Guo et al. 2017) with bins of equal size; 0 without entities.

    A bin's error is the distance between its mean score and its share of right entities. The result is the mean over
    the bins, weighted by their numbers of entities.
    """
    n = sum(own.n for own in bins)
    return sum(own.n * abs(own.mean - own.right) for own in bins) / n if n else 0.0


def simulate_perfect_calibration(scores: Sequence[float], seed: int = 0) -> PerfectCalibration:
    """Return the error that these scores would show if they were perfectly calibrated.

    In each of 1,000 draws, every entity is right with the probability that its score says.
    """
    values, rng = np.asarray(scores, dtype=float), np.random.default_rng(seed)
    errors = np.zeros(N_DRAWS)
    for own in _divide_by_score(values):
        n_right = (rng.random((N_DRAWS, len(own))) < values[own]).sum(axis=1)
        errors += np.abs(values[own].sum() - n_right)
    errors /= max(1, len(values))
    return PerfectCalibration(float(errors.mean()), float(np.quantile(errors, 0.95)))


def _divide_by_score(values: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Return the indices of the scores in each bin, in rising order of the scores."""
    return np.array_split(np.argsort(values, kind="stable"), min(N_BINS, len(values))) if len(values) else []
