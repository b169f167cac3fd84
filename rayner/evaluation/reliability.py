"""How well scores agree with the share of right entities, for each model and for the fused output.

The scores of the models are measured before and after calibration. The scores of the fused output are also measured by
type. They include entities on which the LLM was not consulted.
"""

from collections.abc import Sequence

from rayner.evaluation.calibration_error import (
    expected_calibration_error,
    group_into_reliability_bins,
    simulate_perfect_calibration,
)
from rayner.evaluation.calibration_records import SystemCalibration, TypeCalibration
from rayner.fusion.calibration import Calibration
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.model_confidence import confidence_calibrator, llm_confidences, slm_confidences
from rayner.text.predictions import SegmentPrediction


def evaluate_calibration(
    segments: Sequence[SegmentPrediction], rule: FusionRule, types: Sequence[str], calibration: Calibration
) -> dict[str, SystemCalibration]:
    """Measure the expected calibration errors on labelled segments.

    Returns `slm` and `llm` for each model's own confidences, and `fused` for the scores in the output. A system without
    scored entities is left out.
    """
    systems: dict[str, SystemCalibration] = {}
    for name, judged, weights in (
        ("slm", slm_confidences(segments, types), calibration.slm),
        ("llm", llm_confidences(segments), calibration.llm),
    ):
        if not judged or not weights:
            continue
        is_right = [is_gold for *_, is_gold in judged]
        calibrate = confidence_calibrator(weights)
        before = group_into_reliability_bins([confidence for _, confidence, _ in judged], is_right)
        scores = [float(calibrate(confidence) or 0.0) for _, confidence, _ in judged]
        systems[name] = _system_calibration(scores, is_right, before=expected_calibration_error(before))
    fused = _score_and_judge_entities(segments, rule, calibration)
    if fused:
        scores, is_right = [score for _, score, _ in fused], [is_gold for *_, is_gold in fused]
        by_type = {type_: _type_calibration(fused, type_) for type_ in sorted({type_ for type_, *_ in fused})}
        systems["fused"] = _system_calibration(scores, is_right, by_type=by_type)
    return systems


def _system_calibration(
    scores: Sequence[float],
    is_right: Sequence[bool],
    *,
    before: float | None = None,
    by_type: dict[str, TypeCalibration] | None = None,
) -> SystemCalibration:
    bins = group_into_reliability_bins(scores, is_right)
    return SystemCalibration(
        n=len(scores),
        after=expected_calibration_error(bins),
        bins=bins,
        perfect=simulate_perfect_calibration(scores),
        before=before,
        by_type=by_type,
    )


def _type_calibration(fused: Sequence[tuple[str, float, bool]], type_: str) -> TypeCalibration:
    scores = [score for other, score, _ in fused if other == type_]
    bins = group_into_reliability_bins(scores, [is_gold for other, _, is_gold in fused if other == type_])
    return TypeCalibration(len(scores), expected_calibration_error(bins), simulate_perfect_calibration(scores))


def _score_and_judge_entities(
    segments: Sequence[SegmentPrediction], rule: FusionRule, calibration: Calibration
) -> list[tuple[str, float, bool]]:
    """Return the type, the score, and whether it is right, of each fused entity that has a score."""
    scored = [
        (entity, calibration.score(entity), segment)
        for segment, entities in zip(segments, rule.decide_all(segments), strict=True)
        for entity in entities
    ]
    return [
        (entity.span.type, score, entity.span in segment.gold) for entity, score, segment in scored if score is not None
    ]
