"""Probabilities that an entity is right, fitted on held-out scores.

A ridge-penalised logistic model of what both models say of an entity. Entities on which the LLM was not consulted
have a model of their own, fitted on what the SLM says alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.fusion.regions import FusedEntity

_FLOOR = 1e-6


def calibration_features(decision: FusedEntity) -> list[float]:
    """What the calibration looks at: 1, H, and if the LLM was consulted, who decided and its two log-probabilities.

    Of a decision that has a probability, the logit of that alone.
    """
    if not decision.llm_consulted:
        return [1.0, decision.slm_entropy]
    if decision.rule_prob is not None:
        return [1.0, float(np.log(decision.rule_prob / (1.0 - decision.rule_prob)))]
    return [
        1.0,
        decision.slm_entropy,
        float(decision.decided_by == "agree"),
        float(decision.decided_by == "llm"),
        _log(decision.llm_category_prob),
        _log(decision.llm_boundary_prob),
    ]


def fit_logistic_weights(
    rows: Sequence[Sequence[float]] | npt.NDArray[np.float64], right: Sequence[bool], *, ridge: float = 1.0
) -> list[float]:
    """Weights of the logistic model (Newton's method; the penalty spares the constant).

    rows: [n, d] from `features`; right: whether each entity was right. Without rows, there is nothing to learn
    and the list is empty.
    """
    if not len(rows):
        return []
    x, y = np.asarray(rows, dtype=float), np.asarray(right, dtype=float)
    penalty = np.full(x.shape[1], ridge)
    penalty[0] = 1e-3
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = _sigmoid(x @ weights)
        gradient = x.T @ (p - y) + penalty * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return [float(w) for w in weights]


def logistic_probability(row: Sequence[float], weights: Sequence[float]) -> float | None:
    """The probability that the entity is right; None where nothing was fitted."""
    return float(_sigmoid(np.dot(row, weights))) if len(weights) else None


def _log(probability: float | None) -> float:
    return 0.0 if probability is None else float(np.log(max(probability, _FLOOR)))


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    result: npt.NDArray[np.floating] = 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))
    return result
