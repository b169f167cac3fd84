"""A learned fusion rule in two passes: the second one reads how the first one decided elsewhere in the document.

The first pass is the learned rule (`span_rule`), sentence by sentence. The second pass is a logistic model on the same
features and on those of `document_evidence`. Its candidates are those of the first pass and the places of all strings
that the first pass decided in another sentence of the document.

In training, the first decisions on a passage come from a rule that was not fitted on it, as in a corpus. The passages
must be held out as a whole (`split.by`): the names of passages with neighbours in training are in the lexicon already,
so a rule that is fitted on them learns to distrust the evidence (docs/log.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rayner.fusion.fused_entities import FusedEntity, build_accepted_entities, slm_entities
from rayner.fusion.fusion_rule import FittingSample, RuleFit
from rayner.fusion.learned.document_evidence import (
    EVIDENCE_BOUNDS,
    EVIDENCE_FEATURES,
    NON_NEGATIVE_EVIDENCE,
    DocumentEvidence,
)
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
    candidate_spans,
    compute_span_features,
    feature_names,
)
from rayner.fusion.learned.span_rule import MARGIN, SpanRule
from rayner.text.json_records import RecordError, record_from_json
from rayner.text.passages import assign_fold_by_text, group_indices_by_document
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

_INNER_FOLDS, _INNER_SEED = 5, 0


@dataclass(frozen=True)
class DocumentRule:
    """The learned rule in two passes.

    first: the rule of the first pass.
    weights: the constant, then one weight for each column of the second pass; empty if it is not fitted.
    threshold: probability above which the second pass accepts a candidate.
    """

    name: ClassVar[str] = "documents"

    first: SpanRule
    weights: tuple[float, ...] = ()
    threshold: float = 0.5

    @property
    def named_weights(self) -> dict[str, float]:
        """The constant and the weights of the second pass, by feature name."""
        names = ("constant", *self.first.column_names, *EVIDENCE_FEATURES)
        return dict(zip(names, self.weights, strict=True)) if self.weights else {}

    def fit(self, sample: FittingSample) -> RuleFit:
        """Fit both passes. The second pass learns from first decisions of rules that were not fitted on the passage."""
        first = self.first.fit_to(sample)
        unfitted = DocumentRule(first)
        decided = _decide_by_other_passages(sample, first)
        candidates, columns = _build_second_pass(sample, unfitted, decided)
        gold = [segment.gold for segment in sample.segments]
        is_gold = [span in own_gold for spans, own_gold in zip(candidates, gold, strict=True) for span in spans]
        if not is_gold:
            return RuleFit(unfitted)
        weights = fit_constant_and_weights(
            np.concatenate(columns),
            is_gold,
            (*first.column_names, *EVIDENCE_FEATURES),
            (*NON_NEGATIVE_FEATURES, *NON_NEGATIVE_EVIDENCE),
            sample.ridge,
        )
        probs = [compute_probs(own_columns, weights) for own_columns in columns]
        return RuleFit(DocumentRule(first, weights, choose_acceptance_threshold(candidates, probs, gold)))

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the entities of a segment that is no part of a document: those of the first pass."""
        return self.first.decide(segment)

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Return the fused entities of each segment, with evidence from the other segments of its document.

        A segment without an LLM answer, or where no answer could change anything, keeps the SLM's entities.
        """
        entities = [self.first.decide(segment) for segment in segments]
        if not self.weights:
            return entities
        for indices in group_indices_by_document(segments):
            document = [segments[i] for i in indices]
            evidence = _collect_evidence(document, [entities[i] for i in indices])
            for k, i in enumerate(indices):
                entities[i] = self._decide_again(segments[i], evidence, k)
        return entities

    def _decide_again(self, segment: SegmentPrediction, evidence: DocumentEvidence, i: int) -> list[FusedEntity]:
        # Where the gate is shut, no candidate passes the bound and the SLM has no entity: that need not be asked again.
        if segment.llm is None:
            return slm_entities(segment.slm)
        spans = _list_candidates(segment, self.first.types, evidence, i)
        columns = _compute_columns(segment, spans, self.first, self.first.lexicon, evidence, i)
        probs = compute_probs(columns, self.weights)
        return build_accepted_entities(segment, accept_nonoverlapping(spans, probs, self.threshold))

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could give other entities than the SLM's, in the first or the second pass.

        The evidence from the document is not known before all its answers are. So it counts by its bounds.
        """
        first_could_change = self.first.could_change(segment)
        if first_could_change or not self.weights:
            return first_could_change
        n_features = 1 + len(self.first.column_names)
        constant, own_weights = self.weights[0], np.array(self.weights[1:n_features])
        highest = constant + max_score_over_llm_answers(
            segment, self.first.types, self.first.lexicon, own_weights, candidate_scores=self.first.candidate_scores
        )
        highest += sum(
            max(weight * low, weight * high)
            for weight, (low, high) in zip(self.weights[n_features:], EVIDENCE_BOUNDS, strict=True)
        )
        return bool(highest > math.log(self.threshold / (1 - self.threshold)) - MARGIN)

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_] | None:
        """Return None, because the rule reads whole answers."""
        return None

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the maximal entropy of each character's block (`gate.block_entropy`), shape [n_chars], nats."""
        return self.first.block_entropy(slm)

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "DocumentRule":
        """Return the rule with the lexicon that does not contain the segment's tags."""
        return replace(self, first=self.first.hold_out_tags_of(segment, sample))

    def summary(self) -> dict[str, Any]:
        """Describe the rule by the weights of both passes, without its lexicon."""
        return {"kind": self.name, "first": self.first.summary(), "weights": self.named_weights}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"first": self.first.to_json(), "weights": list(self.weights), "threshold": self.threshold}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "DocumentRule":
        """Build the rule from what `to_json` returned. Raises RecordError for anything else."""
        fields = record_from_json(_DocumentRuleFields, tree)
        names = feature_names(fields.first.types, candidate_scores=fields.first.candidate_scores)
        n_weights = 1 + len(names) + len(EVIDENCE_FEATURES)
        if len(fields.weights) not in (0, n_weights):
            raise RecordError(f"weights: expected {n_weights} numbers or none, found {len(fields.weights)}")
        if not 0 < fields.threshold < 1:
            raise RecordError(f"threshold: expected a number between 0 and 1, found {fields.threshold:g}")
        return cls(fields.first, fields.weights, fields.threshold)


@dataclass(frozen=True)
class _DocumentRuleFields:
    """The fields of the rule in `fusion.json`."""

    first: SpanRule
    weights: tuple[float, ...]
    threshold: float


def _decide_by_other_passages(sample: FittingSample, rule: SpanRule) -> list[list[FusedEntity]]:
    """Return the first decisions on each segment, by rules that were fitted on other passages.

    rule: the rule fitted on all passages. It decides if there is only one sentence.
    """
    segments = sample.segments
    fold_by_text = assign_fold_by_text(segments, _INNER_FOLDS, _INNER_SEED)
    rules = dict.fromkeys(fold_by_text.values(), rule)
    if len(rules) > 1:
        for fold in rules:
            others = [segment for segment in segments if fold_by_text[segment.text] != fold]
            rules[fold] = rule.fit_to(sample.with_segments(others))
    return [rules[fold_by_text[segment.text]].hold_out_tags_of(segment, sample).decide(segment) for segment in segments]


def _build_second_pass(
    sample: FittingSample, rule: DocumentRule, decided: Sequence[Sequence[FusedEntity]]
) -> tuple[list[list[Span]], list[Floats]]:
    """Return the candidates of each segment in the second pass and their columns."""
    segments = sample.segments
    candidates: list[list[Span]] = [[] for _ in segments]
    columns: list[Floats] = [np.zeros((0, 0)) for _ in segments]
    for indices in group_indices_by_document(segments):
        evidence = _collect_evidence([segments[i] for i in indices], [decided[i] for i in indices])
        for k, i in enumerate(indices):
            candidates[i] = _list_candidates(segments[i], sample.types, evidence, k)
            lexicon = sample.lexicon_for(segments[i])
            columns[i] = _compute_columns(segments[i], candidates[i], rule.first, lexicon, evidence, k)
    return candidates, columns


def _collect_evidence(
    document: Sequence[SegmentPrediction], decided: Sequence[Sequence[FusedEntity]]
) -> DocumentEvidence:
    spans = [[entity.span for entity in entities] for entities in decided]
    return DocumentEvidence([segment.text for segment in document], spans)


def _list_candidates(
    segment: SegmentPrediction, types: Sequence[str], evidence: DocumentEvidence, i: int
) -> list[Span]:
    return sorted({*candidate_spans(segment, types), *evidence.find_added_candidates(i)})


def _compute_columns(
    segment: SegmentPrediction,
    spans: Sequence[Span],
    first: SpanRule,
    lexicon: Lexicon,
    evidence: DocumentEvidence,
    i: int,
) -> Floats:
    """Return the columns of candidates of segment i of a document, shape [n_spans, n_columns]."""
    own = compute_span_features(segment, spans, first.types, lexicon, candidate_scores=first.candidate_scores)
    from_document = np.zeros((len(spans), len(EVIDENCE_FEATURES)))
    for row, span in zip(from_document, spans, strict=True):
        row[:] = evidence.compute_features(i, span, lexicon)
    return np.hstack([own, from_document])
