"""An upper bound on the score that the learned rule could give any candidate, over all possible LLM answers.

The gate uses it to skip the LLM where it could not change the result. The features from the SLM and the lexicon are
computed for every span of the text. The features from the LLM are replaced by their bounds.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_features import (
    CANDIDATE_SCORE_FEATURES,
    ENTITY_PROB_FEATURES,
    LEXICAL_FEATURES,
    LOG_PROB_FLOOR,
    MAX_LOGIT,
    N_LENGTHS,
    Floats,
    feature_names,
    lexical_features,
    log_p_to_logit,
)
from rayner.text.predictions import SegmentPrediction

_EMPTY_LEXICON = Lexicon({}, {})
_LLM_BOUNDS = {
    "LLM": (0, 1), "LLM otherwise": (0, 1), "LLM otherwise, same type": (0, 1),
    "LLM decisions": (2 * LOG_PROB_FLOOR * N_LENGTHS, 0), "LLM least decision": (LOG_PROB_FLOOR, 0),
    **dict.fromkeys(ENTITY_PROB_FEATURES, (LOG_PROB_FLOOR, 0)),
    **dict.fromkeys(CANDIDATE_SCORE_FEATURES, (-MAX_LOGIT, MAX_LOGIT)),
}  # fmt: skip


def max_score_over_llm_answers(
    segment: SegmentPrediction,
    types: Sequence[str],
    lexicon: Lexicon,
    weights: Floats,
    *,
    candidate_scores: bool = False,
) -> float:
    """Return an upper bound on a linear rule's score of any candidate, for a text where the SLM predicts no entity.

    weights: weight of each column of `compute_span_features`, shape [n_features].
    candidate_scores: whether the columns include the LLM's scores of the candidates.

    Raises ValueError if the SLM's label distributions are missing.
    """
    n_chars, slm = len(segment.text), segment.slm
    if not n_chars:
        return -np.inf
    if slm.log_probs is None:
        raise ValueError(f"{segment.doc_id} [{segment.start}, {segment.end}): expected the small model's distributions")
    names = feature_names(types, candidate_scores=candidate_scores)
    weight_of = dict(zip(names, map(float, weights), strict=True))
    bounds = [(weight_of[name], *_LLM_BOUNDS[name]) for name in names if name in _LLM_BOUNDS]
    llm_part = sum(max(weight * low, weight * high) for weight, low, high in bounds)
    max_size = min(n_chars, max([N_LENGTHS, *map(len, lexicon.type_counts)]))
    log_probs = np.maximum(slm.log_probs.astype(np.float64), LOG_PROB_FLOOR)
    entropy = slm.entropy.astype(np.float64)
    best = max(
        _max_score_of_size(size, segment.text, entropy, log_probs, types, lexicon, weight_of)
        for size in range(1, max_size + 1)
    )
    if n_chars > max_size:
        best = max(best, _max_score_of_longer_spans(entropy, log_probs, types, weight_of))
    return float(llm_part + best)


def _max_score_of_size(
    size: int,
    text: str,
    entropy: Floats,
    log_probs: Floats,
    types: Sequence[str],
    lexicon: Lexicon,
    weight_of: Mapping[str, float],
) -> float:
    """Return the highest score of the spans of this size, without the LLM's features."""
    n_starts = len(text) - size + 1
    windows = np.lib.stride_tricks.sliding_window_view(entropy, size)
    common = weight_of["H mean"] * windows.mean(axis=1) + weight_of["H max"] * windows.max(axis=1)
    common += weight_of[f"length {min(size, N_LENGTHS)}"]
    tagged = [(i, text[i : i + size]) for i in range(n_starts) if text[i : i + size] in lexicon.type_counts]
    best = -np.inf
    for k, type_ in enumerate(types):
        first = 1 + 4 * k
        if size == 1:
            low = mean = log_probs[:, first + 3]
        else:
            begin, end = log_probs[:n_starts, first], log_probs[size - 1 :, first + 2]
            low, mean = np.minimum(begin, end), begin + end
            if size > 2:
                inner = np.lib.stride_tricks.sliding_window_view(log_probs[1:-1, first + 1], size - 2)
                low, mean = np.minimum(low, inner.min(axis=1)), mean + inner.sum(axis=1)
            mean = mean / size
        scores = common + weight_of[f"type {type_}"]
        scores = scores + weight_of["SLM log p min"] * low + weight_of["SLM log p mean"] * mean
        scores += weight_of["SLM logit"] * log_p_to_logit(low)
        lexical = np.full(n_starts, _lexical_score("", type_, lexicon, weight_of))
        for i, string in tagged:
            lexical[i] = _lexical_score(string, type_, lexicon, weight_of)
        best = max(best, float((scores + lexical).max()))
    return best


def _max_score_of_longer_spans(
    entropy: Floats, log_probs: Floats, types: Sequence[str], weight_of: Mapping[str, float]
) -> float:
    """Bound the score of longer spans, which are not in the lexicon, by the extreme values of the text."""
    common = weight_of[f"length {N_LENGTHS}"]
    common += sum(max(weight_of[name] * entropy.min(), weight_of[name] * entropy.max()) for name in ("H mean", "H max"))
    best = -np.inf
    for k, type_ in enumerate(types):
        highest = float(log_probs[:, 1 + 4 * k : 4 + 4 * k].max())
        logit = float(log_p_to_logit(np.array(highest)))
        slm_part = sum(
            max(weight_of[name] * LOG_PROB_FLOOR, weight_of[name] * highest)
            for name in ("SLM log p min", "SLM log p mean")
        )
        logit_part = max(weight_of["SLM logit"] * -MAX_LOGIT, weight_of["SLM logit"] * logit)
        slm_part += logit_part + _lexical_score("", type_, _EMPTY_LEXICON, weight_of)
        best = max(best, common + weight_of[f"type {type_}"] + slm_part)
    return float(best)


def _lexical_score(string: str, type_: str, lexicon: Lexicon, weight_of: Mapping[str, float]) -> float:
    values = lexical_features(string, type_, lexicon)
    return sum(weight_of[name] * value for name, value in zip(LEXICAL_FEATURES, values, strict=True))
