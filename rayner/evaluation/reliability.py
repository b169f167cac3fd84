"""How far scores mean what they say: of each model, before and after calibration, and of the fused output, by type."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rayner.fusion import calibration, model_confidence
from rayner.fusion.deciding import FusionRule, decide
from rayner.text.predictions import SegmentPrediction

_BINS = 10


def reliability(
    rows: Sequence[SegmentPrediction], rule: FusionRule, weights: Sequence[float]
) -> list[dict[str, float]]:
    """Calibrated scores of the fused entities against how many of them are right, in ten bins; empty bins left out."""
    found = [(score, right) for _, score, right in _fused(rows, rule, weights)]
    return reliability_bins([score for score, _ in found], [right for _, right in found])


def evaluate_calibration(
    rows: Sequence[SegmentPrediction], rule: FusionRule, types: Sequence[str], fitted: dict[str, Sequence[float]]
) -> dict[str, Any]:
    """Expected calibration errors on labelled sentences.

    fitted: `calibration` of fusion.json. Keys `slm`, `llm`: {n, before, after, bins} of a model's own confidences;
    `fused`: {n, after, bins, by_type: {type: {n, after}}} of the scores in the output. All in [0, 1].
    """
    out: dict[str, Any] = {}
    for name, judged in (
        ("slm", model_confidence.slm_confidences(rows, types)),
        ("llm", model_confidence.llm_confidences(rows)),
    ):
        weights = fitted.get(name) or []
        if not judged or not weights:
            continue
        right = [good for *_, good in judged]
        told = model_confidence.confidence_calibrator(weights)
        after = [float(told(value) or 0.0) for _, value, _ in judged]
        before = model_confidence.expected_calibration_error([value for _, value, _ in judged], right)
        out[name] = {
            "n": len(judged),
            "before": before,
            "after": model_confidence.expected_calibration_error(after, right),
            "bins": reliability_bins(after, right),
        }
    fused = _fused(rows, rule, fitted.get("with_llm") or [])
    if fused:
        scores, right = [score for _, score, _ in fused], [good for *_, good in fused]
        kinds = {kind: [(s, good) for of, s, good in fused if of == kind] for kind in sorted({of for of, *_ in fused})}
        out["fused"] = {
            "n": len(fused),
            "after": model_confidence.expected_calibration_error(scores, right),
            "bins": reliability_bins(scores, right),
            "by_type": {
                kind: {
                    "n": len(own),
                    "after": model_confidence.expected_calibration_error([s for s, _ in own], [g for _, g in own]),
                }
                for kind, own in kinds.items()
            },
        }
    return out


def reliability_bins(scores: Sequence[float], right: Sequence[bool]) -> list[dict[str, float]]:
    """The scores in ten bins of equal width, empty ones left out: see `plots.plot_reliability`."""
    values, good = np.array(scores, dtype=float), np.array(right, dtype=float)
    which = np.minimum((values * _BINS).astype(int), _BINS - 1)
    return [
        {
            "low": i / _BINS,
            "high": (i + 1) / _BINS,
            "mean": float(values[which == i].mean()),
            "right": float(good[which == i].mean()),
            "n": int((which == i).sum()),
        }
        for i in range(_BINS)
        if (which == i).any()
    ]


def _fused(
    rows: Sequence[SegmentPrediction], rule: FusionRule, weights: Sequence[float]
) -> list[tuple[str, float, bool]]:
    """Type, score and rightness of each fused entity on which the LLM was consulted, where it has a score."""
    found = [
        (decision, calibration.logistic_probability(calibration.calibration_features(decision), weights), row)
        for row in rows
        for decision in decide(row, rule)
        if decision.llm_consulted
    ]
    return [(d.span.type, score, d.span in row.gold) for d, score, row in found if score is not None]
