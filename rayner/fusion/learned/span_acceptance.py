"""The linear model of the learned rules: fit it to candidate spans, and accept candidates by their probabilities."""

from collections.abc import Collection, Sequence

import numpy as np

from rayner.fusion.learned.logistic import fit_logistic_weights
from rayner.fusion.learned.span_features import Floats
from rayner.text.spans import Span

_THRESHOLD_BOUNDS = (0.1, 0.9)


def fit_constant_and_weights(
    columns: Floats, is_gold: Sequence[bool], column_names: Sequence[str], non_negative: Collection[str], ridge: float
) -> tuple[float, ...]:
    """Return the constant and the weights of the columns, shape [1 + n_columns].

    columns: the features of all candidates, shape [n_candidates, n_columns].
    non_negative: names of columns whose weight is never negative. A column that would get a negative one is left out.
    ridge: penalty on the weights of the standardised columns.
    """
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale < 1e-9] = np.inf  # a constant column carries no information
    bounded = [i for i, name in enumerate(column_names) if name in non_negative]
    ones = np.ones((len(columns), 1))
    while True:
        fitted: Floats = np.array(
            fit_logistic_weights(np.hstack([ones, (columns - mean) / scale]), is_gold, ridge=ridge)
        )
        weights = fitted[1:] / scale
        negative = [i for i in bounded if weights[i] < 0]
        if not negative:
            return (float(fitted[0] - weights @ mean), *map(float, weights))
        scale[negative] = np.inf


def compute_probs(columns: Floats, weights: Sequence[float]) -> Floats:
    """Return the probability of each candidate, shape [n_candidates].

    columns: shape [n_candidates, n_columns].
    weights: the constant, then the weight of each column.
    """
    constant, own_weights = weights[0], np.array(weights[1:])
    # Sum each row alone: in a matrix product, the rounding of a row may depend on the other rows.
    logits = (columns * own_weights).sum(axis=1) + constant
    probs: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    return probs


def rank_nonoverlapping(spans: Sequence[Span], probs: Floats) -> list[tuple[Span, float]]:
    """Return the spans with their probabilities, best first, without those that overlap a better one."""
    ranked: list[tuple[Span, float]] = []
    is_taken = np.zeros(max((span.end for span in spans), default=0), dtype=np.bool_)
    for i in np.argsort(-probs, kind="stable"):
        chars = slice(spans[i].start, spans[i].end)
        if not is_taken[chars].any():
            is_taken[chars] = True
            ranked.append((spans[i], float(probs[i])))
    return ranked


def accept_nonoverlapping(spans: Sequence[Span], probs: Floats, threshold: float) -> list[tuple[Span, float]]:
    """Return the spans above the threshold, best first in case of overlaps, with probabilities, in text order."""
    return sorted((span, prob) for span, prob in rank_nonoverlapping(spans, probs) if prob > threshold)


def choose_acceptance_threshold(
    spans: Sequence[Sequence[Span]], probs: Sequence[Floats], gold: Sequence[Collection[Span]]
) -> float:
    """Return the threshold at which `accept_nonoverlapping` reaches the highest micro F1.

    spans, probs, gold: the candidates of each text, their probabilities, and the entities of the text.

    A lower threshold only adds accepted candidates. The threshold lies in the middle between two candidates.
    """
    judged = [
        (prob, span in own_gold)
        for own_spans, own_probs, own_gold in zip(spans, probs, gold, strict=True)
        for span, prob in rank_nonoverlapping(own_spans, own_probs)
    ]
    judged.sort(reverse=True)
    sorted_probs = np.array([prob for prob, _ in judged])
    right = np.cumsum([is_gold for _, is_gold in judged])
    f1 = 2 * right / (np.arange(1, len(judged) + 1) + sum(map(len, gold)))
    f1[:-1][sorted_probs[1:] == sorted_probs[:-1]] = 0  # no threshold separates equal probabilities
    best = int(f1.argmax())
    below = sorted_probs[best + 1] if best + 1 < len(sorted_probs) else 0.0
    return float(np.clip((sorted_probs[best] + below) / 2, *_THRESHOLD_BOUNDS))
