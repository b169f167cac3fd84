"""A learned fusion rule, which accepts or rejects each candidate span by features of both models and the training text.

The rule is a logistic model with a ridge penalty on the columns of `span_features`, fitted on held-out sentences. It
accepts candidates whose probability is above a threshold, best first. It skips a candidate that overlaps one accepted
before. Or it accepts the set without overlaps that has the highest sum of probability minus threshold. The threshold
is the one with the highest F1 on the held-out sentences. It lies below one half, because the best threshold is half of
the F1 (Lipton et al. 2014).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rayner.fusion import gate
from rayner.fusion.fused_entities import FusedEntity, build_accepted_entities, slm_entities
from rayner.fusion.fusion_rule import FittingSample, RuleFit, llm_could_change
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.logistic import fit_logistic_weights
from rayner.fusion.learned.span_bound import max_score_over_llm_answers
from rayner.fusion.learned.span_features import (
    NON_NEGATIVE_FEATURES,
    Floats,
    all_have_candidate_scores,
    candidate_spans,
    compute_span_features,
    feature_names,
)
from rayner.fusion.learned.span_selection import (
    BEST_SET,
    GREEDY,
    SELECTIONS,
    choose_best_set,
    tune_best_set_threshold,
)
from rayner.text.json_records import RecordError, record_from_json
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

_THRESHOLD_BOUNDS = (0.1, 0.9)
_MARGIN = 1e-6  # for rounding errors: the LLM is also asked in cases very close to the threshold


@dataclass(frozen=True)
class SpanRule:
    """The learned rule.

    types: entity types, in the order of the SLM's labels.
    weights: the constant, then one weight for each of `feature_names`.
    lexicon: the strings tagged in the training text.
    threshold: probability above which a candidate is accepted.
    candidate_scores: whether the rule reads the LLM's scores of the candidates.
    selection: how it chooses among candidates that overlap: `greedy` or `best_set` (`span_selection`).
    """

    name: ClassVar[str] = "spans"

    types: tuple[str, ...]
    weights: tuple[float, ...]
    lexicon: Lexicon
    threshold: float = 0.5
    candidate_scores: bool = False
    selection: str = GREEDY

    @classmethod
    def unfitted(cls, types: Sequence[str], lexicon: Lexicon, selection: str = GREEDY) -> "SpanRule":
        """Return an unfitted rule, which accepts no candidate."""
        return cls(tuple(types), (-1.0, *[0.0] * len(feature_names(types))), lexicon, selection=selection)

    @property
    def column_names(self) -> list[str]:
        """The names of the features that the rule reads."""
        return feature_names(self.types, candidate_scores=self.candidate_scores)

    @property
    def named_weights(self) -> dict[str, float]:
        """The constant and the weights, by feature name."""
        return dict(zip(("constant", *self.column_names), self.weights, strict=True))

    def fit(self, sample: FittingSample) -> RuleFit:
        """Fit weights and threshold (`fit_span_rule`)."""
        rule = fit_span_rule(
            sample.segments,
            sample.types,
            sample.lexicon,
            ridge=sample.ridge,
            fold_lexicons=sample.fold_lexicons,
            selection=self.selection,
        )
        return RuleFit(rule)

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the accepted candidates with their probabilities.

        Returns the SLM's entities if there is no LLM answer or it could change nothing.
        """
        if segment.llm is None or not llm_could_change(segment, self):
            return slm_entities(segment.slm)
        return build_accepted_entities(segment, accept_candidates(segment, self))

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could give other entities than the SLM's.

        If the SLM predicts no entity, the result is False when no candidate could exceed the threshold. If the SLM
        predicts entities, the result is always True, because no bound is known.
        """
        if segment.slm.spans:
            return True
        weights = np.array(self.weights)
        highest = weights[0] + max_score_over_llm_answers(
            segment, self.types, self.lexicon, weights[1:], candidate_scores=self.candidate_scores
        )
        return bool(highest > math.log(self.threshold / (1 - self.threshold)) - _MARGIN)

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_] | None:
        """Return None, because the rule reads whole answers."""
        return None

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the maximal entropy of each character's block (`gate.block_entropy`), shape [n_chars], nats."""
        return gate.block_entropy(slm, "max")

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "SpanRule":
        """Return the rule with the lexicon that does not contain the segment's tags."""
        return replace(self, lexicon=sample.fold_lexicons.get(segment.doc_id, self.lexicon))

    def summary(self) -> dict[str, Any]:
        """Describe the rule by its weights, without its lexicon."""
        return {"kind": self.name, "weights": self.named_weights}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values. The lexicon becomes {string: [occurrences, {type: tags}]}."""
        strings = {
            string: [self.lexicon.occurrence_counts.get(string, 0), dict(counts)]
            for string, counts in self.lexicon.type_counts.items()
        }
        return {
            "types": list(self.types), "weights": list(self.weights), "threshold": self.threshold, "lexicon": strings,
            "candidate_scores": self.candidate_scores, "selection": self.selection,
        }  # fmt: skip

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "SpanRule":
        """Build the rule from what `to_json` returned. Raises RecordError for anything else."""
        fields = record_from_json(_SpanRuleFields, tree)
        n_weights = 1 + len(feature_names(fields.types, candidate_scores=fields.candidate_scores))
        if len(fields.weights) != n_weights:
            raise RecordError(f"weights: expected {n_weights} numbers, found {len(fields.weights)}")
        if fields.selection not in SELECTIONS:
            raise RecordError(f"selection: expected {' | '.join(SELECTIONS)}, found {fields.selection!r}")
        if not 0 < fields.threshold < 1:
            raise RecordError(f"threshold: expected a number between 0 and 1, found {fields.threshold:g}")
        strings = fields.lexicon.items()
        lexicon = Lexicon(
            {string: counts for string, (_, counts) in strings}, {string: n_seen for string, (n_seen, _) in strings}
        )
        return cls(fields.types, fields.weights, lexicon, fields.threshold, fields.candidate_scores, fields.selection)


@dataclass(frozen=True)
class _SpanRuleFields:
    """The fields of the rule in `fusion.json`."""

    types: tuple[str, ...]
    weights: tuple[float, ...]
    threshold: float
    lexicon: Mapping[str, tuple[int, Mapping[str, int]]]
    candidate_scores: bool
    selection: str


def fit_span_rule(
    segments: Sequence[SegmentPrediction],
    types: Sequence[str],
    lexicon: Lexicon,
    *,
    ridge: float = 3.0,
    fold_lexicons: Mapping[str, Lexicon] | None = None,
    selection: str = GREEDY,
) -> SpanRule:
    """Fit the rule to labelled segments that both models answered.

    ridge: penalty on the weights of the standardised columns.
    fold_lexicons: lexicons by `doc_id`, for segments whose own tags are in `lexicon`.
    selection: how the rule chooses among candidates that overlap.

    Weights of the LLM's own probabilities are never negative: a column that would get a negative weight is left out. If
    the segments have no candidates, the rule accepts nothing. The rule reads the LLM's scores of the candidates if all
    segments have them.
    """
    with_scores = all_have_candidate_scores(segments)
    candidates = [candidate_spans(segment, types) for segment in segments]
    lexicons = [(fold_lexicons or {}).get(segment.doc_id, lexicon) for segment in segments]
    columns = np.concatenate(
        [
            compute_span_features(segment, spans, types, own_lexicon, candidate_scores=with_scores)
            for segment, spans, own_lexicon in zip(segments, candidates, lexicons, strict=True)
        ]
    )
    is_gold = [span in segment.gold for segment, spans in zip(segments, candidates, strict=True) for span in spans]
    if not is_gold:
        return SpanRule.unfitted(types, lexicon, selection)
    names = feature_names(types, candidate_scores=with_scores)
    weights = _fit_constant_and_weights(columns, is_gold, names, ridge)
    rule = SpanRule(tuple(types), weights, lexicon, candidate_scores=with_scores, selection=selection)
    rules = [replace(rule, lexicon=own_lexicon) for own_lexicon in lexicons]
    choose_threshold = _choose_threshold if selection == GREEDY else _choose_best_set_threshold
    return replace(rule, threshold=choose_threshold(segments, rules))


def _fit_constant_and_weights(
    columns: Floats, is_gold: Sequence[bool], column_names: Sequence[str], ridge: float
) -> tuple[float, ...]:
    """Return the constant and the weights of the columns, shape [1 + n_columns]."""
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale < 1e-9] = np.inf  # a constant column carries no information
    non_negative = [i for i, name in enumerate(column_names) if name in NON_NEGATIVE_FEATURES]
    ones = np.ones((len(columns), 1))
    while True:
        fitted: Floats = np.array(
            fit_logistic_weights(np.hstack([ones, (columns - mean) / scale]), is_gold, ridge=ridge)
        )
        weights = fitted[1:] / scale
        negative = [i for i in non_negative if weights[i] < 0]
        if not negative:
            return (float(fitted[0] - weights @ mean), *map(float, weights))
        scale[negative] = np.inf


def _choose_threshold(segments: Sequence[SegmentPrediction], rule_per_segment: Sequence[SpanRule]) -> float:
    """Return the threshold at which the rule reaches the highest F1.

    rule_per_segment: for each segment, the rule with the segment's lexicon.

    A lower threshold only adds accepted candidates. The threshold lies in the middle between two candidates.
    """
    pairs = [
        (segment, candidate)
        for segment, rule in zip(segments, rule_per_segment, strict=True)
        for candidate in rank_nonoverlapping_candidates(segment, rule)
    ]
    ranked = sorted(((prob, span in segment.gold) for segment, (span, prob) in pairs), reverse=True)
    probs = np.array([prob for prob, _ in ranked])
    right = np.cumsum([is_gold for _, is_gold in ranked])
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + sum(len(segment.gold) for segment in segments))
    f1[:-1][probs[1:] == probs[:-1]] = 0  # no threshold separates equal probabilities
    best = int(f1.argmax())
    below = probs[best + 1] if best + 1 < len(probs) else 0.0
    return float(np.clip((probs[best] + below) / 2, *_THRESHOLD_BOUNDS))


def _choose_best_set_threshold(segments: Sequence[SegmentPrediction], rule_per_segment: Sequence[SpanRule]) -> float:
    """Return the threshold at which the best sets reach the highest F1. rule_per_segment: as in `_choose_threshold`."""
    spans = [candidate_spans(segment, rule.types) for segment, rule in zip(segments, rule_per_segment, strict=True)]
    probs = [candidate_probs(*each) for each in zip(segments, spans, rule_per_segment, strict=True)]
    return tune_best_set_threshold(spans, probs, [segment.gold for segment in segments], _THRESHOLD_BOUNDS)


def candidate_probs(segment: SegmentPrediction, spans: Sequence[Span], rule: SpanRule) -> Floats:
    """Return the probability of each candidate of a segment that both models answered, shape [n_spans]."""
    if not spans:
        return np.zeros(0)
    weights = np.array(rule.weights)
    # Sum each row alone: in a matrix product, the rounding of a row may depend on the other rows.
    columns = compute_span_features(segment, spans, rule.types, rule.lexicon, candidate_scores=rule.candidate_scores)
    logits = (columns * weights[1:]).sum(axis=1) + weights[0]
    probs: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    return probs


def rank_nonoverlapping_candidates(segment: SegmentPrediction, rule: SpanRule) -> list[tuple[Span, float]]:
    """Return the candidates with their probabilities, best first, without those that overlap a better one."""
    spans = candidate_spans(segment, rule.types)
    probs = candidate_probs(segment, spans, rule)
    ranked: list[tuple[Span, float]] = []
    is_taken = np.zeros(len(segment.text), dtype=np.bool_)
    for i in np.argsort(-probs, kind="stable"):
        chars = slice(spans[i].start, spans[i].end)
        if not is_taken[chars].any():
            is_taken[chars] = True
            ranked.append((spans[i], float(probs[i])))
    return ranked


def accept_candidates(segment: SegmentPrediction, rule: SpanRule) -> list[tuple[Span, float]]:
    """Return the accepted candidates of a segment that both models answered, with probabilities, in text order."""
    if rule.selection == BEST_SET:
        spans = candidate_spans(segment, rule.types)
        probs = candidate_probs(segment, spans, rule)
        return [(spans[i], float(probs[i])) for i in choose_best_set(spans, probs - rule.threshold)]
    return sorted((span, prob) for span, prob in rank_nonoverlapping_candidates(segment, rule) if prob > rule.threshold)
