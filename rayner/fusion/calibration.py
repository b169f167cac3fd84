"""Probabilities that a fused entity is right, fitted on held-out sentences.

The probability comes from a logistic model of both models' predictions. Entities on which the LLM was not consulted
have a separate logistic model, which uses the SLM's prediction alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.learned.logistic import fit_logistic_weights, logistic_probability
from rayner.fusion.model_confidence import fit_confidence_weights, llm_confidences, slm_confidences
from rayner.text.predictions import SegmentPrediction

_MIN_PROB = 1e-6
_MIN_ENTROPY = 1e-3  # nats


@dataclass(frozen=True)
class Calibration:
    """Weights of the logistic models. They are empty if there was nothing to fit the model on.

    with_llm: weights for fused entities on which the LLM was consulted (`calibration_features`).
    slm_alone: weights for the other fused entities (`calibration_features`).
    slm: weights for the SLM's own confidences (`model_confidence`).
    llm: weights for the LLM's own confidences (`model_confidence`).
    """

    with_llm: tuple[float, ...] = ()
    slm_alone: tuple[float, ...] = ()
    slm: tuple[float, ...] = ()
    llm: tuple[float, ...] = ()

    def score(self, entity: FusedEntity) -> float | None:
        """Return the probability that the entity is right; None if there was nothing to fit the model on."""
        weights = self.with_llm if entity.llm_consulted else self.slm_alone
        return logistic_probability(calibration_features(entity), weights)


def fit_calibration(
    segments: Sequence[SegmentPrediction],
    held_out_entities: Sequence[Sequence[FusedEntity]],
    rule: FusionRule,
    types: Sequence[str],
) -> Calibration:
    """Fit all models on labelled segments that both models answered.

    held_out_entities: for each segment, the entities of a rule that was not fitted on it
        (`rule_search.decide_held_out`). A learned rule is overconfident on segments that it was fitted on.
    """
    consulted = [
        (entity, segment)
        for segment, entities in zip(segments, held_out_entities, strict=True)
        for entity in entities
        if entity.llm_consulted
    ]
    alone = [(entity, segment) for segment in segments for entity in rule.decide(replace(segment, llm=None))]
    with_llm, slm_alone = (
        fit_logistic_weights(
            [calibration_features(entity) for entity, _ in pairs],
            [entity.span in segment.gold for entity, segment in pairs],
        )
        for pairs in (consulted, alone)
    )
    return Calibration(
        with_llm=tuple(with_llm),
        slm_alone=tuple(slm_alone),
        slm=tuple(fit_confidence_weights(slm_confidences(segments, types))),
        llm=tuple(fit_confidence_weights(llm_confidences(segments))),
    )


def calibration_features(entity: FusedEntity) -> list[float]:
    """Return the columns of an entity's logistic model. H is the SLM's mean entropy over the entity, nats.

    - If the LLM was not consulted: 1 and ln(H + 0.001). Among small H, on which the LLM is not asked, the logarithm
      tells more than H does.
    - If the rule gave a probability: 1 and the logit of that probability.
    - Otherwise: 1, H, whether both models agree, whether the LLM decided, and the logarithms of the LLM's category and
      boundary probabilities.
    """
    if not entity.llm_consulted:
        return [1.0, float(np.log(entity.slm_entropy + _MIN_ENTROPY))]
    if entity.rule_prob is not None:
        return [1.0, float(np.log(entity.rule_prob / (1.0 - entity.rule_prob)))]
    return [
        1.0,
        entity.slm_entropy,
        float(entity.decided_by == "agree"),
        float(entity.decided_by == "llm"),
        _log_prob(entity.llm_category_prob),
        _log_prob(entity.llm_boundary_prob),
    ]


def _log_prob(prob: float | None) -> float:
    return 0.0 if prob is None else float(np.log(max(prob, _MIN_PROB)))
