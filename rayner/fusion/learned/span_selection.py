"""Choose among candidates that overlap: the set with the highest sum of scores.

This is the decoding of a semi-Markov model (Sarawagi and Cohen 2004) in which the score of a span depends on no other
span.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.spans import Span

SELECTIONS = GREEDY, BEST_SET = "greedy", "best_set"
_STEP = 0.01  # between the thresholds that are tried


def choose_best_set(spans: Sequence[Span], scores: Sequence[float] | npt.NDArray[np.float64]) -> list[int]:
    """Return the indices of the spans without overlaps whose scores have the highest sum, in text order.

    A span whose score is not positive is never chosen.
    """
    order = sorted((i for i, score in enumerate(scores) if score > 0), key=lambda i: (spans[i].end, spans[i].start))
    ends = [spans[i].end for i in order]
    n_before = [bisect_right(ends, spans[i].start) for i in order]  # spans in this order that end before each one
    totals = [0.0]  # by k, the highest sum of the first k spans
    for k, i in enumerate(order):
        totals.append(max(totals[k], totals[n_before[k]] + scores[i]))
    chosen, k = [], len(order)
    while k:
        if totals[k] > totals[k - 1]:
            chosen.append(order[k - 1])
            k = n_before[k - 1]
        else:
            k -= 1
    return chosen[::-1]


def tune_best_set_threshold(
    spans: Sequence[Sequence[Span]],
    probs: Sequence[npt.NDArray[np.float64]],
    gold: Sequence[Collection[Span]],
    bounds: tuple[float, float],
) -> float:
    """Return the threshold, in steps of 0.01, at which the best sets of candidates reach the highest micro F1.

    Another threshold may change the whole set, so each is tried.

    Args:
        spans: The candidates of each text.
        probs: Their probabilities. The score of a candidate is its probability minus the threshold.
        gold: The gold entities of each text.
        bounds: The lowest and the highest threshold.

    """
    thresholds = np.linspace(*bounds, round((bounds[1] - bounds[0]) / _STEP) + 1)
    n_gold, f1 = sum(map(len, gold)), []
    for threshold in thresholds:
        chosen = [
            [own_spans[i] for i in choose_best_set(own_spans, own_probs - threshold)]
            for own_spans, own_probs in zip(spans, probs, strict=True)
        ]
        n_right = sum(span in own_gold for found, own_gold in zip(chosen, gold, strict=True) for span in found)
        f1.append(2 * n_right / max(1, sum(map(len, chosen)) + n_gold))
    return float(thresholds[int(np.argmax(f1))])
