"""A learned fusion rule, which accepts or rejects each candidate span by features of both models and the training text.

The rule is a logistic model with a ridge penalty on the columns of `span_features`, fitted on held-out sentences. It
accepts candidates whose probability is above a threshold, best first. It skips a candidate that overlaps one accepted
before. The threshold is the one with the highest F1 on the held-out sentences. It lies below one half, because the best
threshold is half of the F1 (Lipton et al. 2014).
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
from rayner.fusion.learned.span_acceptance import (
    accept_nonoverlapping,
    choose_acceptance_threshold,
    compute_probs,
    fit_constant_and_weights,
)
from rayner.fusion.learned.span_bound import max_score_over_llm_answers
from rayner.fusion.learned.span_features import (
    NON_NEGATIVE_FEATURES,
    Floats,
    all_have_candidate_scores,
    candidate_spans,
    compute_span_features,
    feature_names,
)
from rayner.text.json_records import RecordError, record_from_json
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

MARGIN = 1e-6  # for rounding errors: the LLM is also asked in cases very close to the threshold


@dataclass(frozen=True)
class SpanRule:
    """The learned rule.

    types: entity types, in the order of the SLM's labels.
    weights: the constant, then one weight for each of `feature_names`.
    lexicon: the strings tagged in the training text.
    threshold: probability above which a candidate is accepted.
    candidate_scores: whether the rule reads the LLM's scores of the candidates.
    """

    name: ClassVar[str] = "spans"

    types: tuple[str, ...]
    weights: tuple[float, ...]
    lexicon: Lexicon
    threshold: float = 0.5
    candidate_scores: bool = False

    @classmethod
    def unfitted(cls, types: Sequence[str], lexicon: Lexicon) -> "SpanRule":
        """Return an unfitted rule, which accepts no candidate."""
        return cls(tuple(types), (-1.0, *[0.0] * len(feature_names(types))), lexicon)

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
        return RuleFit(self.fit_to(sample))

    def fit_to(self, sample: FittingSample) -> "SpanRule":
        """Return the rule with weights and threshold that fit the sample."""
        return fit_span_rule(
            sample.segments,
            sample.types,
            sample.lexicon,
            ridge=sample.ridge,
            fold_lexicons=sample.fold_lexicons,
        )

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the accepted candidates with their probabilities.

        Returns the SLM's entities if there is no LLM answer or it could change nothing.
        """
        if segment.llm is None or not llm_could_change(segment, self):
            return slm_entities(segment.slm)
        return build_accepted_entities(segment, accept_candidates(segment, self))

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Decide each segment by itself."""
        return [self.decide(segment) for segment in segments]

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
        return bool(highest > math.log(self.threshold / (1 - self.threshold)) - MARGIN)

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
            "candidate_scores": self.candidate_scores,
        }  # fmt: skip

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "SpanRule":
        """Build the rule from what `to_json` returned. Raises RecordError for anything else."""
        fields = record_from_json(_SpanRuleFields, tree)
        n_weights = 1 + len(feature_names(fields.types, candidate_scores=fields.candidate_scores))
        if len(fields.weights) != n_weights:
            raise RecordError(f"weights: expected {n_weights} numbers, found {len(fields.weights)}")
        if not 0 < fields.threshold < 1:
            raise RecordError(f"threshold: expected a number between 0 and 1, found {fields.threshold:g}")
        strings = fields.lexicon.items()
        lexicon = Lexicon(
            {string: counts for string, (_, counts) in strings}, {string: n_seen for string, (n_seen, _) in strings}
        )
        return cls(fields.types, fields.weights, lexicon, fields.threshold, fields.candidate_scores)


@dataclass(frozen=True)
class _SpanRuleFields:
    """The fields of the rule in `fusion.json`."""

    types: tuple[str, ...]
    weights: tuple[float, ...]
    threshold: float
    lexicon: Mapping[str, tuple[int, Mapping[str, int]]]
    candidate_scores: bool


def fit_span_rule(
    segments: Sequence[SegmentPrediction],
    types: Sequence[str],
    lexicon: Lexicon,
    *,
    ridge: float = 3.0,
    fold_lexicons: Mapping[str, Lexicon] | None = None,
) -> SpanRule:
    """Fit the rule to labelled segments that both models answered.

    ridge: penalty on the weights of the standardised columns.
    fold_lexicons: lexicons by `doc_id`, for segments whose own tags are in `lexicon`.

    Weights of the LLM's own probabilities are never negative: a column that would get a negative weight is left out. If
    the segments have no candidates, the rule accepts nothing. The rule reads the LLM's scores of the candidates if all
    segments have them.
    """
    with_scores = all_have_candidate_scores(segments)
    candidates = [candidate_spans(segment, types) for segment in segments]
    columns = [
        compute_span_features(
            segment, spans, types, (fold_lexicons or {}).get(segment.doc_id, lexicon), candidate_scores=with_scores
        )
        for segment, spans in zip(segments, candidates, strict=True)
    ]
    gold = [segment.gold for segment in segments]
    is_gold = [span in own_gold for spans, own_gold in zip(candidates, gold, strict=True) for span in spans]
    if not is_gold:
        return SpanRule.unfitted(types, lexicon)
    names = feature_names(types, candidate_scores=with_scores)
    weights = fit_constant_and_weights(np.concatenate(columns), is_gold, names, NON_NEGATIVE_FEATURES, ridge)
    probs = [compute_probs(own_columns, weights) for own_columns in columns]
    threshold = choose_acceptance_threshold(candidates, probs, gold)
    return SpanRule(tuple(types), weights, lexicon, threshold, with_scores)


def candidate_probs(segment: SegmentPrediction, spans: Sequence[Span], rule: SpanRule) -> Floats:
    """Return the probability of each candidate of a segment that both models answered, shape [n_spans]."""
    if not spans:
        return np.zeros(0)
    columns = compute_span_features(segment, spans, rule.types, rule.lexicon, candidate_scores=rule.candidate_scores)
    return compute_probs(columns, rule.weights)


def accept_candidates(segment: SegmentPrediction, rule: SpanRule) -> list[tuple[Span, float]]:
    """Return the accepted candidates of a segment that both models answered, with probabilities, in text order."""
    spans = candidate_spans(segment, rule.types)
    probs = candidate_probs(segment, spans, rule)
    return accept_nonoverlapping(spans, probs, rule.threshold)
