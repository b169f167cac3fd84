"""What each model itself says of an entity, as one number, and the same after calibration on held-out sentences.

The small model: the product of the probabilities of its labels. The LLM: category times boundary probability (method,
section 3). Calibration is Platt's: a logistic model of the logit, so the order of entities stays.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from rayner.fusion import calibration
from rayner.fusion.regions import compare
from rayner.fusion.span_features import label_log_probs
from rayner.text.predictions import Scored
from rayner.text.spans import Span

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


def fuse(row: Scored, types: Sequence[str], weights: Mapping[str, Sequence[float]]) -> tuple[Span, ...]:
    """The entities where, in each conflict region, the model with the higher mean calibrated confidence wins.

    weights: of `slm` and `llm`, from `fit`. A model that puts nothing there wins unless the other is more likely right
    than not. For comparison with the rules of `deciding`: it needs no lambda, and no gate is known for it. Without
    distributions of the small model, an answer of the LLM, or weights, the small model stands.
    """
    if row.slm.log_probs is None or row.llm is None or not (weights.get("slm") and weights.get("llm")):
        return tuple(row.slm.spans)
    slm, llm = (calibrated(weights[name]) for name in ("slm", "llm"))
    said = {span: float(slm(value) or 0.0) for span, value, _ in of_slm([row], types)}
    agreed, regions = compare(row.slm.spans, row.llm.spans)
    out = list(agreed)
    for region in regions:
        ours = [said[span] for span in region.slm] or [0.5]
        theirs = [float(llm(item.category * item.boundary) or 0.0) for item in region.llm] or [0.5]
        won = sum(ours) / len(ours) >= sum(theirs) / len(theirs)
        out += region.slm if won else [item.span for item in region.llm]
    return tuple(sorted(out))


def expected_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: how far the mean score of a bin is from the share that is right, by entities.

    Bins of equal width over [0, 1] (Guo et al. 2017). 0 without entities.
    """
    if not len(scores):
        return 0.0
    values, good = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    which = np.minimum((values * bins).astype(int), bins - 1)
    gap = np.abs(np.bincount(which, weights=values - good))
    return float(gap.sum() / len(values))
