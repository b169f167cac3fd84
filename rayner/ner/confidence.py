"""What each model itself says of an entity, as one number, and the same after calibration on held-out sentences.

The small model: the product of the probabilities of its labels. The LLM: category times boundary probability (method,
section 3). Calibration is Platt's: a logistic model of the logit, so the order of entities stays.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from rayner.ner import calibration
from rayner.ner.candidates import label_log_probs
from rayner.ner.scores import Scored
from rayner.ner.spans import Span

Judged = list[tuple[Span, float, bool]]  # an entity, the model's confidence, whether it is a gold one
_EDGE = 1e-6


def of_slm(rows: Iterable[Scored], types: Sequence[str]) -> Judged:
    """The small model's entities where its distributions were kept."""
    return [
        (span, math.exp(float(label_log_probs(row.slm.log_probs, span, types).sum())), span in row.gold)
        for row in rows
        if row.slm.log_probs is not None
        for span in row.slm.spans
    ]


def of_llm(rows: Iterable[Scored]) -> Judged:
    """The LLM's entities."""
    return [
        (item.span, item.category * item.boundary, item.span in row.gold)
        for row in rows
        if row.llm is not None
        for item in row.llm.spans
    ]


def logit(confidence: float) -> list[float]:
    """A confidence as the columns of its calibration: 1, and the logit."""
    inside = min(max(confidence, _EDGE), 1 - _EDGE)
    return [1.0, math.log(inside / (1 - inside))]


def fit(judged: Judged) -> list[float]:
    """The weights that calibrate a model's confidences; none without entities."""
    return calibration.fit([logit(value) for _, value, _ in judged], [right for *_, right in judged])


def calibrated(weights: Sequence[float]) -> Callable[[float], float | None]:
    """The calibrated confidence; None where nothing was fitted."""
    return lambda value: calibration.probability(logit(value), weights)


def expected_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: how far the mean score of a bin is from the share that is right, by entities.

    Bins of equal width over [0, 1] (Guo et al. 2017). 0 without entities.
    """
    if not len(scores):
        return 0.0
    values, good = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    which = np.minimum((values * bins).astype(int), bins - 1)
    gap = np.abs(np.bincount(which, weights=values - good, minlength=bins))
    return float(gap.sum() / len(values))
