"""What each model itself says of an entity, as one number, and the same after calibration on held-out sentences.

The small model: the product of the probabilities of its labels. The LLM: category times boundary probability (method,
section 3). Calibration is Platt's: a logistic model of the logit, so the order of entities stays.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from rayner.fusion import calibration
from rayner.fusion.regions import find_agreements_and_conflicts
from rayner.fusion.span_features import entity_label_log_probs
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span

JudgedConfidences = list[tuple[Span, float, bool]]  # an entity, the model's confidence, whether it is a gold one
_EDGE = 1e-6


def slm_confidences(rows: Iterable[SegmentPrediction], types: Sequence[str]) -> JudgedConfidences:
    """The small model's entities where its distributions were kept."""
    return [
        (span, math.exp(float(entity_label_log_probs(row.slm.log_probs, span, types).sum())), span in row.gold)
        for row in rows
        if row.slm.log_probs is not None
        for span in row.slm.spans
    ]


def llm_confidences(rows: Iterable[SegmentPrediction]) -> JudgedConfidences:
    """The LLM's entities."""
    return [
        (item.span, item.category_prob * item.boundary_prob, item.span in row.gold)
        for row in rows
        if row.llm is not None
        for item in row.llm.entities
    ]


def logit_features(confidence: float) -> list[float]:
    """A confidence as the columns of its calibration: 1, and the logit."""
    inside = min(max(confidence, _EDGE), 1 - _EDGE)
    return [1.0, math.log(inside / (1 - inside))]


def fit_confidence_weights(judged: JudgedConfidences) -> list[float]:
    """The weights that calibrate a model's confidences; none without entities."""
    return calibration.fit_logistic_weights(
        [logit_features(value) for _, value, _ in judged], [right for *_, right in judged]
    )


def confidence_calibrator(weights: Sequence[float]) -> Callable[[float], float | None]:
    """The calibrated confidence; None where nothing was fitted."""
    return lambda value: calibration.logistic_probability(logit_features(value), weights)


def fuse(row: SegmentPrediction, types: Sequence[str], weights: Mapping[str, Sequence[float]]) -> tuple[Span, ...]:
    """The entities where, in each conflict region, the model with the higher mean calibrated confidence wins.

    weights: of `slm` and `llm`, from `fit`. A model that puts nothing there wins unless the other is more likely right
    than not. For comparison with the rules of `deciding`: it needs no lambda, and no gate is known for it. Without
    distributions of the small model, an answer of the LLM, or weights, the small model stands.
    """
    if row.slm.log_probs is None or row.llm is None or not (weights.get("slm") and weights.get("llm")):
        return tuple(row.slm.spans)
    slm, llm = (confidence_calibrator(weights[name]) for name in ("slm", "llm"))
    said = {span: float(slm(value) or 0.0) for span, value, _ in slm_confidences([row], types)}
    agreed, regions = find_agreements_and_conflicts(row.slm.spans, row.llm.entities)
    out = list(agreed)
    for region in regions:
        ours = [said[span] for span in region.slm_spans] or [0.5]
        theirs = [float(llm(item.category_prob * item.boundary_prob) or 0.0) for item in region.llm_entities] or [0.5]
        won = sum(ours) / len(ours) >= sum(theirs) / len(theirs)
        out += region.slm_spans if won else [item.span for item in region.llm_entities]
    return tuple(sorted(out))


def expected_calibration_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: how far the mean score of a bin is from the share that is right, by entities.

    Bins of equal width over [0, 1] (Guo et al. 2017). 0 without entities.
    """
    if not len(scores):
        return 0.0
    values, good = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    which = np.minimum((values * bins).astype(int), bins - 1)
    gap = np.abs(np.bincount(which, weights=values - good))
    return float(gap.sum() / len(values))
