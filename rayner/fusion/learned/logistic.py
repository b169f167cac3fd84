"""Logistic regression with a ridge penalty, by Newton's method."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def fit_logistic_weights(
    rows: Sequence[Sequence[float]] | npt.NDArray[np.float64], is_right: Sequence[bool], *, ridge: float = 1.0
) -> list[float]:
    """Fit the weights of a logistic regression with a ridge penalty.

    rows: shape [n_rows, n_columns]. The first column should be the constant 1; its weight is hardly penalised.
    is_right: shape [n_rows].

    Returns the weights, shape [n_columns]. The list is empty if there are no rows.
    """
    if not len(rows):
        return []
    x, y = np.asarray(rows, dtype=float), np.asarray(is_right, dtype=float)
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
    return [float(weight) for weight in weights]


def logistic_probability(row: Sequence[float], weights: Sequence[float]) -> float | None:
    """Return the probability for one row of columns; None if there are no weights because nothing was fitted."""
    return float(_sigmoid(np.dot(row, weights))) if len(weights) else None


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    result: npt.NDArray[np.floating] = 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))
    return result
