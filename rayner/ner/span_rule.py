"""A learned fusion rule: each candidate span is accepted or not by what both models and the training text say of it.

A ridge-penalised logistic model of the columns of `candidates.features`, fitted on held-out scores. Candidates whose
probability is above one half are accepted, best first, none that overlaps one accepted before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rayner.ner import calibration
from rayner.ner.candidates import RISING, Floats, Lexicon, candidates, features, highest, names
from rayner.ner.scores import Scored
from rayner.ner.spans import Span

_MARGIN = 1e-6  # rounding; to the side that asks the LLM


@dataclass(frozen=True)
class SpanRule:
    """weights: the constant, then one for each of `candidates.names(types)`."""

    types: tuple[str, ...]
    weights: tuple[float, ...]
    lexicon: Lexicon

    @property
    def named(self) -> dict[str, float]:
        """The weights with what they weigh."""
        return dict(zip(("constant", *names(self.types)), self.weights, strict=True))

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        strings = {
            string: [self.lexicon.seen.get(string, 0), dict(counts)] for string, counts in self.lexicon.tagged.items()
        }
        return {"types": list(self.types), "weights": list(self.weights), "lexicon": strings}


def span_rule(tree: dict[str, Any]) -> SpanRule:
    """The inverse of `SpanRule.plain`."""
    strings = tree["lexicon"].items()
    known = Lexicon({s: counts for s, (_, counts) in strings}, {s: seen for s, (seen, _) in strings})
    return SpanRule(tuple(tree["types"]), tuple(tree["weights"]), known)


def fit(
    rows: Sequence[Scored],
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
    spans = [candidates(row, types) for row in rows]
    lexicons = [(others or {}).get(row.doc_id, known) for row in rows]
    parts = [features(row, own, types, of) for row, own, of in zip(rows, spans, lexicons, strict=True)]
    columns = np.concatenate(parts)
    right = [span in row.gold for row, own in zip(rows, spans, strict=True) for span in own]
    if not right:
        return SpanRule(tuple(types), (-1.0, *[0.0] * len(names(types))), known)
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale < 1e-9] = np.inf  # always the same: says nothing
    rising = [names(types).index(name) for name in RISING]
    ones = np.ones((len(columns), 1))
    while True:
        found: Floats = np.array(calibration.fit(np.hstack([ones, (columns - mean) / scale]), right, ridge=ridge))
        weights = found[1:] / scale
        falling = [i for i in rising if weights[i] < 0]
        if not falling:
            return SpanRule(tuple(types), (float(found[0] - weights @ mean), *map(float, weights)), known)
        scale[falling] = np.inf


def probabilities(row: Scored, spans: Sequence[Span], rule: SpanRule) -> Floats:
    """[n] the probability of each candidate of a segment that both models answered."""
    if not spans:
        return np.zeros(0)
    weights = np.array(rule.weights)
    # A row at a time: a matrix product may round a row otherwise among others than alone.
    logits = (features(row, spans, rule.types, rule.lexicon) * weights[1:]).sum(axis=1) + weights[0]
    chances: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    return chances


def accepted(row: Scored, rule: SpanRule) -> list[tuple[Span, float]]:
    """The entities of a segment that both models answered, in order, with their probabilities."""
    spans = candidates(row, rule.types)
    chances = probabilities(row, spans, rule)
    out: list[tuple[Span, float]] = []
    for i in np.argsort(-chances, kind="stable"):
        if chances[i] <= 0.5:
            break
        if not any(spans[i].overlaps(other) for other, _ in out):
            out.append((spans[i], float(chances[i])))
    return sorted(out)


def can_change(row: Scored, rule: SpanRule) -> bool:
    """Whether some LLM answer could give other entities than the small model's.

    Where that puts none, no answer can if no candidate could pass; where it puts some, this is not known.
    """
    weights = np.array(rule.weights)
    return bool(row.slm.spans) or weights[0] + highest(row, rule.types, rule.lexicon, weights[1:]) > -_MARGIN
