"""Records of how well scores are calibrated, in `evaluation.json`. All errors are in [0, 1]."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ReliabilityBin:
    """One of ten bins of equal size over the entities, sorted by score.

    low: lowest score.
    high: highest score.
    mean: mean score.
    right: share of the entities that is right.
    n: number of entities.
    """

    low: float
    high: float
    mean: float
    right: float
    n: int


@dataclass(frozen=True)
class PerfectCalibration:
    """The expected calibration error that perfectly calibrated scores would show, by chance alone.

    mean: mean over 1,000 draws.
    high: 95% of the draws lie at or below it.
    """

    mean: float
    high: float


@dataclass(frozen=True)
class TypeCalibration:
    """The expected calibration error of the scores of one type.

    n: number of entities.
    after: the error.
    perfect: the error that perfectly calibrated scores would show.
    """

    n: int
    after: float
    perfect: PerfectCalibration


@dataclass(frozen=True)
class SystemCalibration:
    """The expected calibration error of a system's scores, and their reliability.

    n: number of entities.
    after: error of the calibrated scores.
    bins: reliability of the calibrated scores.
    perfect: the error that perfectly calibrated scores would show.
    before: error of a model's own confidences before calibration; None for fused scores.
    by_type: error for each type; only for fused scores.
    """

    n: int
    after: float
    bins: tuple[ReliabilityBin, ...]
    perfect: PerfectCalibration
    before: float | None = None
    by_type: Mapping[str, TypeCalibration] | None = None
