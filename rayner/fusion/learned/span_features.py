"""Candidate spans and their features. A candidate is a span that either model predicts or the SLM finds likely.

If the LLM scored the candidates, their log-odds take the place of the probabilities of the LLM's own entities, which
say nothing of other candidates. All features are bounded (logarithms have a floor, log-odds are clipped). So the score
of a linear rule is bounded too, which the gate needs (`span_bound`).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.fusion.learned.lexicon import Lexicon
from rayner.text.candidate_scores import combine_log_odds
from rayner.text.predictions import CandidateScore, LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span, SpanIndex

LOG_PROB_FLOOR = -14.0  # lower limit of natural log-probabilities; a probability of about 1e-6
MIN_LABEL_PROB = 0.1  # measured: a lower value finds no more right candidates, a higher one fewer (docs/log.md)
N_LENGTHS = 4  # one character, two, three, four or more
MAX_LOGIT = 9.0  # logits are clipped to [-MAX_LOGIT, MAX_LOGIT]
LEXICAL_FEATURES = ("tagged so", "tagged otherwise", "share of its places tagged so", "share of its tags",
                    "never tagged")  # fmt: skip
# The rule must not punish the LLM's certainty.
ENTITY_PROB_FEATURES = ("LLM category", "LLM boundary")
CANDIDATE_SCORE_FEATURES = ("LLM opens", "LLM chooses type", "LLM goes on", "LLM closes", "LLM logit")
NON_NEGATIVE_FEATURES = ("LLM decisions", "LLM least decision", *ENTITY_PROB_FEATURES, *CANDIDATE_SCORE_FEATURES)
Floats = npt.NDArray[np.float64]


def candidate_spans(segment: SegmentPrediction, types: Sequence[str]) -> list[Span]:
    """Return the distinct spans that either model predicts or the SLM finds likely, in text order."""
    llm_spans = segment.llm.spans if segment.llm else ()
    return sorted({*segment.slm.spans, *llm_spans, *slm_candidate_spans(segment.slm, types)})


def candidates_to_score(slm: SlmPrediction, types: Sequence[str]) -> list[Span]:
    """Return the candidates that are known before the LLM answers, the SLM's entities first."""
    return list(dict.fromkeys((*slm.spans, *sorted(slm_candidate_spans(slm, types)))))


def slm_candidate_spans(slm: SlmPrediction, types: Sequence[str]) -> set[Span]:
    """Return the spans whose labels all have an SLM probability above MIN_LABEL_PROB."""
    spans: set[Span] = set()
    if slm.log_probs is None or not len(slm.log_probs):
        return spans
    likely = slm.log_probs > math.log(MIN_LABEL_PROB)
    for k, type_ in enumerate(types):
        begins, inner, ends, single = (likely[:, 1 + 4 * k + j] for j in range(4))
        spans |= {Span(int(i), int(i) + 1, type_) for i in np.flatnonzero(single)}
        for start in np.flatnonzero(begins):
            for i in range(int(start) + 1, len(likely)):
                if ends[i]:
                    spans.add(Span(int(start), i + 1, type_))
                if not inner[i]:
                    break
    return spans


def all_have_candidate_scores(segments: Sequence[SegmentPrediction]) -> bool:
    """Return whether the LLM scored the candidates of all segments, so that a rule can be fitted to the scores."""
    return bool(segments) and all(
        segment.llm is not None and segment.llm.candidate_scores is not None for segment in segments
    )


def feature_names(types: Sequence[str], *, candidate_scores: bool = False) -> list[str]:
    """Return the names of the columns of `compute_span_features`."""
    return [
        "SLM", "LLM", "both", "SLM otherwise", "LLM otherwise", "SLM otherwise, same type", "LLM otherwise, same type",
        "H mean", "H max", "SLM log p min", "SLM log p mean", "SLM logit", "LLM decisions", "LLM least decision",
        *(CANDIDATE_SCORE_FEATURES if candidate_scores else ENTITY_PROB_FEATURES),
        *LEXICAL_FEATURES,
        *[f"length {n + 1}" for n in range(N_LENGTHS)],
        *[f"type {type_}" for type_ in types],
    ]  # fmt: skip


def compute_span_features(
    segment: SegmentPrediction,
    spans: Sequence[Span],
    types: Sequence[str],
    lexicon: Lexicon,
    *,
    candidate_scores: bool = False,
) -> Floats:
    """Return the features of candidates of a segment that both models answered, shape [n_spans, n_features].

    candidate_scores: whether the features include the LLM's scores of the candidates.

    Raises ValueError if the LLM answer, its scores or the SLM's label distributions are missing.
    """
    llm = _require_answer(segment, candidate_scores)
    llm_entities = {entity.span: entity for entity in llm.entities}
    scores = {score.span: score for score in llm.candidate_scores or ()}
    slm_spans, llm_spans = SpanIndex(segment.slm.spans), SpanIndex(llm_entities)
    log_slot_probs = _floored_log(llm.slot_probs)
    features = np.zeros((len(spans), len(feature_names(types, candidate_scores=candidate_scores))))
    for i, span in enumerate(spans):
        features[i] = [
            *_agreement_and_overlap_features(span, slm_spans, llm_spans),
            *_slm_features(segment.slm, span, types),
            *_summarize_slot_probs(log_slot_probs[span.start : span.end + 1]),
            *(_clip_log_odds(scores.get(span)) if candidate_scores else _log_entity_probs(llm_entities.get(span))),
            *lexical_features(segment.text[span.start : span.end], span.type, lexicon),
            *_one_hot(min(span.end - span.start, N_LENGTHS) - 1, N_LENGTHS),
            *(float(span.type == type_) for type_ in types),
        ]
    return features


def _require_answer(segment: SegmentPrediction, candidate_scores: bool) -> LlmAnswer:
    place = f"{segment.doc_id} [{segment.start}, {segment.end})"
    if segment.llm is None or segment.slm.log_probs is None:
        raise ValueError(f"{place}: expected answers of both models with distributions")
    if candidate_scores and segment.llm.candidate_scores is None:
        raise ValueError(f"{place}: expected an answer of the LLM with scores of the candidates")
    return segment.llm


def entity_label_log_probs(log_probs: npt.NDArray[np.float32], span: Span, types: Sequence[str]) -> Floats:
    """Return the log-probability of each label of an entity, shape [n_chars of the span], natural log.

    log_probs: as in `SlmPrediction`.
    """
    first = 1 + 4 * list(types).index(span.type)
    n_chars = span.end - span.start
    columns = [first + 3] if n_chars == 1 else [first, *[first + 1] * (n_chars - 2), first + 2]
    label_log_probs: Floats = log_probs[np.arange(span.start, span.end), columns].astype(np.float64)
    return label_log_probs


def _agreement_and_overlap_features(span: Span, slm_spans: SpanIndex, llm_spans: SpanIndex) -> list[float]:
    """Return which models predict the span, and which models predict other spans that overlap it.

    The overlapping spans are looked for twice: first of any type, then of the same type.
    """
    overlapping = [side.overlapping(span) for side in (slm_spans, llm_spans)]
    puts = [float(span in side) for side in overlapping]
    rivals = [[other for other in side if other != span] for side in overlapping]
    same_type = [any(other.type == span.type for other in side) for side in rivals]
    return [*puts, puts[0] * puts[1], *(float(bool(side)) for side in rivals), *map(float, same_type)]


def _slm_features(slm: SlmPrediction, span: Span, types: Sequence[str]) -> list[float]:
    """Return the mean and maximum of the entropy, then the minimum and mean of the label log-probabilities and a logit.

    The logit is that of the minimum.
    """
    entropy = slm.entropy[span.start : span.end].astype(np.float64)
    if slm.log_probs is None or span.type not in types:
        return [float(entropy.mean()), float(entropy.max()), LOG_PROB_FLOOR, LOG_PROB_FLOOR, -MAX_LOGIT]
    log_probs = np.maximum(entity_label_log_probs(slm.log_probs, span, types), LOG_PROB_FLOOR)
    return [
        float(entropy.mean()),
        float(entropy.max()),
        float(log_probs.min()),
        float(log_probs.mean()),
        float(log_p_to_logit(log_probs.min())),
    ]


def _summarize_slot_probs(log_slot_probs: Floats) -> list[float]:
    """Return the sum and minimum of the log-probabilities at the span's slots."""
    return [max(float(log_slot_probs.sum()), 2 * LOG_PROB_FLOOR * N_LENGTHS), float(log_slot_probs.min())]


def _log_entity_probs(entity: LlmEntity | None) -> list[float]:
    """Return the two log-probabilities of the LLM's entity; 0 if the LLM did not predict it."""
    probs = () if entity is None else (entity.category_prob, entity.boundary_prob)
    return [float(_floored_log(np.array(prob))) for prob in probs] or [0.0, 0.0]


def _clip_log_odds(score: CandidateScore | None) -> list[float]:
    """Return CANDIDATE_SCORE_FEATURES of a score, clipped. Without a score the odds are even: the LLM says nothing."""
    if score is None:
        return [0.0] * len(CANDIDATE_SCORE_FEATURES)
    odds = [score.opening, score.category, score.going_on, score.closing]
    return [min(MAX_LOGIT, max(-MAX_LOGIT, value)) for value in (*odds, combine_log_odds(odds))]


def lexical_features(string: str, type_: str, lexicon: Lexicon) -> list[float]:
    """Return the LEXICAL_FEATURES of a string as an entity of this type."""
    counts = lexicon.type_counts.get(string, {})
    n_same, n_tags = counts.get(type_, 0), sum(counts.values())
    n_places = max(lexicon.occurrence_counts.get(string, 0), n_tags)
    share = (n_same + 0.5) / (n_places + 1) if n_places else 0.0
    return [
        float(np.log1p(n_same)),
        float(np.log1p(n_tags - n_same)),
        share,
        n_same / n_tags if n_tags else 0.5,
        float(not n_tags),
    ]


def _one_hot(index: int, size: int) -> list[float]:
    return [float(i == index) for i in range(size)]


def _floored_log(probs: npt.NDArray[np.floating]) -> Floats:
    logs: Floats = np.log(np.maximum(probs, np.exp(LOG_PROB_FLOOR)), dtype=np.float64)
    return logs


def log_p_to_logit(log_p: Floats) -> Floats:
    """Return ln(p / (1 - p)), clipped to [-MAX_LOGIT, MAX_LOGIT].

    log_p: natural log of p.
    """
    return np.clip(log_p - np.log(-np.expm1(np.minimum(log_p, -1e-9))), -MAX_LOGIT, MAX_LOGIT)
