"""Each model's own confidence in an entity as one number, before and after calibration on held-out sentences.

- The SLM's confidence is the product of the probabilities of the entity's labels.
- The LLM's confidence is the category probability times the boundary probability (method, section 3).

Calibration is Platt scaling: a logistic model of the logit. So the order of the entities does not change.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from rayner.fusion.learned.logistic import fit_logistic_weights, logistic_probability
from rayner.fusion.learned.span_features import entity_label_log_probs
from rayner.text.hints import HintEntity
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

JudgedConfidences = list[tuple[Span, float, bool]]  # entity, the model's confidence, whether the entity is gold
_EDGE = 1e-6


def slm_confidences(segments: Iterable[SegmentPrediction], types: Sequence[str]) -> JudgedConfidences:
    """Return the SLM's entities with their confidences, from all segments whose label distributions were kept."""
    return [
        (entity.span, entity.confidence, entity.span in segment.gold)
        for segment in segments
        if segment.slm.log_probs is not None
        for entity in build_slm_hint(segment.slm, types)
    ]


def build_slm_hint(slm: SlmPrediction, types: Sequence[str]) -> tuple[HintEntity, ...]:
    """Return the SLM's entities with their confidences, before calibration.

    Raises ValueError if there are entities, but their label distributions were not kept.
    """
    if not slm.spans:
        return ()
    if slm.log_probs is None:
        raise ValueError("expected the small model's label distributions, found entities alone")
    log_probs = [float(entity_label_log_probs(slm.log_probs, span, types).sum()) for span in slm.spans]
    return tuple(HintEntity(span, math.exp(log_prob)) for span, log_prob in zip(slm.spans, log_probs, strict=True))


def llm_confidences(segments: Iterable[SegmentPrediction]) -> JudgedConfidences:
    """Return the LLM's entities with their confidences, from all segments that the LLM answered."""
    return [
        (entity.span, entity.category_prob * entity.boundary_prob, entity.span in segment.gold)
        for segment in segments
        if segment.llm is not None
        for entity in segment.llm.entities
    ]


def logit_features(confidence: float) -> list[float]:
    """Return the columns of a confidence's logistic model: 1 and the logit. The confidence is clipped near 0 and 1."""
    inside = min(max(confidence, _EDGE), 1 - _EDGE)
    return [1.0, math.log(inside / (1 - inside))]


def fit_confidence_weights(judged: JudgedConfidences) -> list[float]:
    """Fit the weights that calibrate a model's confidences; an empty list if there are no entities."""
    return fit_logistic_weights(
        [logit_features(confidence) for _, confidence, _ in judged], [is_gold for *_, is_gold in judged]
    )


def confidence_calibrator(weights: Sequence[float]) -> Callable[[float], float | None]:
    """Return a function that calibrates a confidence. The function returns None if nothing was fitted."""
    return lambda confidence: logistic_probability(logit_features(confidence), weights)
