"""How well scores agree with the share of right entities, for each model and for the fused output.

The scores of the models are measured before and after calibration. The scores of the fused output are also measured by
type.
"""

from collections.abc import Sequence

import numpy as np

from rayner.evaluation.artifact import ReliabilityBin, SystemCalibration, TypeCalibration
from rayner.fusion.calibration import Calibration
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.model_confidence import (
    confidence_calibrator,
    expected_calibration_error,
    llm_confidences,
    slm_confidences,
)
from rayner.text.predictions import SegmentPrediction

_N_BINS = 10


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
        after = [float(calibrate(confidence) or 0.0) for _, confidence, _ in judged]
        systems[name] = SystemCalibration(
            n=len(judged),
            before=expected_calibration_error([confidence for _, confidence, _ in judged], is_right),
            after=expected_calibration_error(after, is_right),
            bins=reliability_bins(after, is_right),
        )
    fused = _score_and_judge_consulted_entities(segments, rule, calibration)
    if fused:
        scores, is_right = [score for _, score, _ in fused], [is_gold for *_, is_gold in fused]
        systems["fused"] = SystemCalibration(
            n=len(fused),
            after=expected_calibration_error(scores, is_right),
            bins=reliability_bins(scores, is_right),
            by_type={type_: _type_calibration(fused, type_) for type_ in sorted({type_ for type_, *_ in fused})},
        )
    return systems


def _type_calibration(fused: Sequence[tuple[str, float, bool]], type_: str) -> TypeCalibration:
    judged = [(score, is_gold) for other, score, is_gold in fused if other == type_]
    return TypeCalibration(
        n=len(judged),
        after=expected_calibration_error([score for score, _ in judged], [is_gold for _, is_gold in judged]),
    )


def reliability_bins(scores: Sequence[float], is_right: Sequence[bool]) -> tuple[ReliabilityBin, ...]:
    """Group scores in [0, 1] into ten bins of equal width. Empty bins are left out."""
    values, right = np.array(scores, dtype=float), np.array(is_right, dtype=float)
    bins = np.minimum((values * _N_BINS).astype(int), _N_BINS - 1)
    return tuple(
        ReliabilityBin(
            low=i / _N_BINS,
            high=(i + 1) / _N_BINS,
            mean=float(values[bins == i].mean()),
            right=float(right[bins == i].mean()),
            n=int((bins == i).sum()),
        )
        for i in range(_N_BINS)
        if (bins == i).any()
    )


def _score_and_judge_consulted_entities(
    segments: Sequence[SegmentPrediction], rule: FusionRule, calibration: Calibration
) -> list[tuple[str, float, bool]]:
    """Return the type, the score, and whether it is right, of each fused entity on which the LLM was consulted.

    Entities without a score are left out.
    """
    scored = [
        (entity, calibration.score(entity), segment)
        for segment in segments
        for entity in rule.decide(segment)
        if entity.llm_consulted
    ]
    return [
        (entity.span.type, score, entity.span in segment.gold) for entity, score, segment in scored if score is not None
    ]
