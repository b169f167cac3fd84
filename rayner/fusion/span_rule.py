"""A learned fusion rule: each candidate span is accepted or not by what both models and the training text say of it.

A ridge-penalised logistic model of the columns of `candidates.features`, fitted on held-out scores. Candidates whose
probability is above a threshold are accepted, best first, none that overlaps one accepted before. The threshold is the
one that gives the highest F1 there; it lies below one half, as it must (at half the F1: Lipton et al. 2014).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rayner.fusion import calibration
from rayner.fusion.span_features import (
    NON_NEGATIVE_FEATURES,
    Floats,
    Lexicon,
    candidate_spans,
    compute_span_features,
    feature_names,
    max_linear_score,
)
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span

_THRESHOLDS = (0.1, 0.9)
_MARGIN = 1e-6  # rounding; to the side that asks the LLM


@dataclass(frozen=True)
class SpanRule:
    """weights: the constant, then one for each of `candidates.names(types)`; threshold: of the probability."""

    types: tuple[str, ...]
    weights: tuple[float, ...]
    lexicon: Lexicon
    threshold: float = 0.5

    @property
    def named_weights(self) -> dict[str, float]:
        """The weights with what they weigh."""
        return dict(zip(("constant", *feature_names(self.types)), self.weights, strict=True))

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        strings = {
            string: [self.lexicon.occurrence_counts.get(string, 0), dict(counts)]
            for string, counts in self.lexicon.type_counts.items()
        }
        return {
            "types": list(self.types), "weights": list(self.weights), "threshold": self.threshold, "lexicon": strings
        }  # fmt: skip


def span_rule(tree: dict[str, Any]) -> SpanRule:
    """The inverse of `SpanRule.plain`."""
    strings = tree["lexicon"].items()
    known = Lexicon({s: counts for s, (_, counts) in strings}, {s: seen for s, (seen, _) in strings})
    return SpanRule(tuple(tree["types"]), tuple(tree["weights"]), known, tree["threshold"])


def fit_span_rule(
    rows: Sequence[SegmentPrediction],
    types: Sequence[str],
    known: Lexicon,
    *,
    ridge: float = 3.0,
    others: Mapping[str, Lexicon] | None = None,
) -> SpanRule:
    """The rule that fits held-out sentences that both models answered. ridge: the penalty, columns at one scale.

    others: by `doc_id`, the lexicons for segments whose tags `known` holds.
    No weight on the LLM's own probabilities is negative: what would have one is left out.

    Without a candidate in them the rule accepts nothing.
    """
    spans = [candidate_spans(row, types) for row in rows]
    lexicons = [(others or {}).get(row.doc_id, known) for row in rows]
    parts = [compute_span_features(row, own, types, of) for row, own, of in zip(rows, spans, lexicons, strict=True)]
    columns = np.concatenate(parts)
    right = [span in row.gold for row, own in zip(rows, spans, strict=True) for span in own]
    if not right:
        return SpanRule(tuple(types), (-1.0, *[0.0] * len(feature_names(types))), known)
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale < 1e-9] = np.inf  # always the same: says nothing
    rising = [feature_names(types).index(name) for name in NON_NEGATIVE_FEATURES]
    ones = np.ones((len(columns), 1))
    while True:
        found: Floats = np.array(
            calibration.fit_logistic_weights(np.hstack([ones, (columns - mean) / scale]), right, ridge=ridge)
        )
        weights = found[1:] / scale
        falling = [i for i in rising if weights[i] < 0]
        if not falling:
            break
        scale[falling] = np.inf
    own = (float(found[0] - weights @ mean), *map(float, weights))
    rules = [SpanRule(tuple(types), own, of) for of in lexicons]
    return SpanRule(tuple(types), own, known, _threshold(rows, rules))


def _threshold(rows: Sequence[SegmentPrediction], rules: Sequence[SpanRule]) -> float:
    """The threshold at which the rule, given for each row with its lexicon, reaches the highest F1.

    Lowering it only adds to what is accepted. It lies in the middle between two candidates.
    """
    pairs = [(row, found) for row, rule in zip(rows, rules, strict=True) for found in rank_candidates(row, rule)]
    ranked = sorted(((chance, span in row.gold) for row, (span, chance) in pairs), reverse=True)
    chances = np.array([chance for chance, _ in ranked])
    right = np.cumsum([good for _, good in ranked])
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + sum(len(row.gold) for row in rows))
    f1[:-1][chances[1:] == chances[:-1]] = 0  # no threshold parts those that are alike
    best = int(f1.argmax())
    below = chances[best + 1] if best + 1 < len(chances) else 0.0
    return float(np.clip((chances[best] + below) / 2, *_THRESHOLDS))


def candidate_probs(row: SegmentPrediction, spans: Sequence[Span], rule: SpanRule) -> Floats:
    """[n] the probability of each candidate of a segment that both models answered."""
    if not spans:
        return np.zeros(0)
    weights = np.array(rule.weights)
    # A row at a time: a matrix product may round a row otherwise among others than alone.
    logits = (compute_span_features(row, spans, rule.types, rule.lexicon) * weights[1:]).sum(axis=1) + weights[0]
    chances: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    return chances


def rank_candidates(row: SegmentPrediction, rule: SpanRule) -> list[tuple[Span, float]]:
    """The candidates of a segment that both models answered, best first, without those that overlap a better one."""
    spans = candidate_spans(row, rule.types)
    chances = candidate_probs(row, spans, rule)
    out: list[tuple[Span, float]] = []
    for i in np.argsort(-chances, kind="stable"):
        if not any(spans[i].overlaps(other) for other, _ in out):
            out.append((spans[i], float(chances[i])))
    return out


def accept_candidates(row: SegmentPrediction, rule: SpanRule) -> list[tuple[Span, float]]:
    """The entities of a segment that both models answered, in order, with their probabilities."""
    return sorted((span, chance) for span, chance in rank_candidates(row, rule) if chance > rule.threshold)


def can_change(row: SegmentPrediction, rule: SpanRule) -> bool:
    """Whether some LLM answer could give other entities than the small model's.

    Where that puts none, no answer can if no candidate could pass; where it puts some, this is not known.
    """
    weights = np.array(rule.weights)
    least = math.log(rule.threshold / (1 - rule.threshold)) - _MARGIN
    return bool(row.slm.spans or weights[0] + max_linear_score(row, rule.types, rule.lexicon, weights[1:]) > least)
