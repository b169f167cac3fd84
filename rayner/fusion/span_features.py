"""Single candidate spans: every entity that either model puts or the small one considers, and what is known of it.

All numbers are bounded (logarithms have a floor), so a rule linear in them has bounds, which the exact gate needs.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

LOG_PROB_FLOOR = -14.0  # of logarithms of probabilities, about 1e-6
MIN_LABEL_PROB = 0.1  # measured: lower finds no more, higher less (docs/log.md)
_LENGTHS = 4  # one character, two, three, four or more
_ODDS = 9.0  # logits are cut there, at either side
_LEXICAL = ("tagged so", "tagged otherwise", "share of its places tagged so", "share of its tags", "never tagged")
NON_NEGATIVE_FEATURES = (
    "LLM decisions",
    "LLM least decision",
    "LLM category",
    "LLM boundary",
)  # no rule may punish the LLM's certainty
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lexicon:
    """The strings tagged in the training text: how often by type, and how often they stand there, tagged or not."""

    type_counts: Mapping[str, Mapping[str, int]]
    occurrence_counts: Mapping[str, int]


_NO_LEXICON = Lexicon({}, {})


def build_lexicon(examples: Iterable[LabelledSentence]) -> Lexicon:
    """The lexicon of labelled sentences."""
    kept = list(examples)
    tagged: dict[str, Counter[str]] = defaultdict(Counter)
    for example in kept:
        for span in example.spans:
            tagged[example.text[span.start : span.end]][span.type] += 1
    seen: Counter[str] = Counter()
    for size in {len(string) for string in tagged}:
        for example in kept:
            grams = (example.text[i : i + size] for i in range(len(example.text) - size + 1))
            seen.update(gram for gram in grams if gram in tagged)
    return Lexicon({string: dict(counts) for string, counts in tagged.items()}, dict(seen))


def candidate_spans(row: SegmentPrediction, types: Sequence[str]) -> list[Span]:
    """All spans that either model puts or the small one considers, each once, in order."""
    return sorted({*row.slm.spans, *(row.llm.spans if row.llm else ()), *slm_candidate_spans(row.slm, types)})


def slm_candidate_spans(slm: SlmPrediction, types: Sequence[str]) -> set[Span]:
    """The spans each of whose labels the small model gives a probability above `MIN_LABEL_PROB`."""
    found: set[Span] = set()
    if slm.log_probs is None or not len(slm.log_probs):
        return found
    likely = slm.log_probs > math.log(MIN_LABEL_PROB)
    for k, kind in enumerate(types):
        begins, inner, ends, single = (likely[:, 1 + 4 * k + j] for j in range(4))
        found |= {Span(int(i), int(i) + 1, kind) for i in np.flatnonzero(single)}
        for start in np.flatnonzero(begins):
            for i in range(int(start) + 1, len(likely)):
                if ends[i]:
                    found.add(Span(int(start), i + 1, kind))
                if not inner[i]:
                    break
    return found


def feature_names(types: Sequence[str]) -> list[str]:
    """What the columns of `features` are."""
    return [
        "SLM", "LLM", "both", "SLM otherwise", "LLM otherwise", "SLM otherwise, same type", "LLM otherwise, same type",
        "H mean", "H max", "SLM log p min", "SLM log p mean", "SLM logit", "LLM decisions", "LLM least decision",
        "LLM category", "LLM boundary",
        *_LEXICAL,
        *[f"length {n + 1}" for n in range(_LENGTHS)],
        *[f"type {kind}" for kind in types],
    ]  # fmt: skip


def compute_span_features(
    row: SegmentPrediction, spans: Sequence[Span], types: Sequence[str], known: Lexicon
) -> Floats:
    """[n_spans, n_names(types)] of candidates of a segment that both models answered.

    Raises ValueError without an LLM answer or the small model's distributions.
    """
    if row.llm is None or row.slm.log_probs is None:
        raise ValueError(f"{row.doc_id} [{row.start}, {row.end}): expected answers of both models with distributions")
    theirs = {item.span: item for item in row.llm.entities}
    own = set(row.slm.spans)
    decisions = _log(row.llm.slot_probs)
    out = np.zeros((len(spans), len(feature_names(types))))
    for i, span in enumerate(spans):
        item = theirs.get(span)
        out[i] = [
            *_proposed(span, own, theirs.keys()),
            *_slm(row.slm, span, types),
            *_llm(decisions[span.start : span.end + 1], item),
            *_known(row.text[span.start : span.end], span.type, known),
            *_one_hot(min(span.end - span.start, _LENGTHS) - 1, _LENGTHS),
            *(float(span.type == kind) for kind in types),
        ]
    return out


def max_linear_score(row: SegmentPrediction, types: Sequence[str], known: Lexicon, weights: Floats) -> float:
    """The most that a linear rule could give any candidate, where the small model puts none itself.

    weights: by column of `features`. What the small model and the lexicon say is looked up for every span; what the
    LLM says of it is bounded.
    Raises ValueError without the small model's distributions.
    """
    n, slm = len(row.text), row.slm
    if not n:
        return -np.inf
    if slm.log_probs is None:
        raise ValueError(f"{row.doc_id} [{row.start}, {row.end}): expected the small model's distributions")
    by = dict(zip(feature_names(types), map(float, weights), strict=True))
    theirs = {"LLM": (0, 1), "LLM otherwise": (0, 1), "LLM otherwise, same type": (0, 1),
              "LLM decisions": (2 * LOG_PROB_FLOOR * _LENGTHS, 0)}  # fmt: skip
    theirs |= dict.fromkeys(("LLM least decision", "LLM category", "LLM boundary"), (LOG_PROB_FLOOR, 0))
    said = sum(max(by[name] * low, by[name] * high) for name, (low, high) in theirs.items())
    sizes = min(n, max([_LENGTHS, *map(len, known.type_counts)]))
    columns = np.maximum(slm.log_probs.astype(np.float64), LOG_PROB_FLOOR)
    entropy = slm.entropy.astype(np.float64)
    best = max(_highest_of(size, row.text, entropy, columns, types, known, by) for size in range(1, sizes + 1))
    if n > sizes:  # longer spans: not in the lexicon; the rest by the extremes of the text
        best = max(best, _highest_beyond(entropy, columns, types, by))
    return float(said + best)


def _highest_of(
    size: int,
    text: str,
    entropy: Floats,
    columns: Floats,
    types: Sequence[str],
    known: Lexicon,
    by: Mapping[str, float],
) -> float:
    """The most that spans of this size get but for what the LLM says of them."""
    starts = len(text) - size + 1
    windows = np.lib.stride_tricks.sliding_window_view(entropy, size)
    common = by["H mean"] * windows.mean(axis=1) + by["H max"] * windows.max(axis=1)
    common += by[f"length {min(size, _LENGTHS)}"]
    strings = [(i, text[i : i + size]) for i in range(starts) if text[i : i + size] in known.type_counts]
    best = -np.inf
    for k, kind in enumerate(types):
        first = 1 + 4 * k
        if size == 1:
            low = mean = columns[:, first + 3]
        else:
            begin, end = columns[:starts, first], columns[size - 1 :, first + 2]
            low, mean = np.minimum(begin, end), begin + end
            if size > 2:
                inner = np.lib.stride_tricks.sliding_window_view(columns[1:-1, first + 1], size - 2)
                low, mean = np.minimum(low, inner.min(axis=1)), mean + inner.sum(axis=1)
            mean = mean / size
        found = common + by[f"type {kind}"] + by["SLM log p min"] * low + by["SLM log p mean"] * mean
        found += by["SLM logit"] * _logits(low)
        told = np.full(starts, _weighed(_known("", kind, known), by))
        for i, string in strings:
            told[i] = _weighed(_known(string, kind, known), by)
        best = max(best, float((found + told).max()))
    return best


def _highest_beyond(entropy: Floats, columns: Floats, types: Sequence[str], by: Mapping[str, float]) -> float:
    common = by[f"length {_LENGTHS}"]
    common += sum(max(by[name] * entropy.min(), by[name] * entropy.max()) for name in ("H mean", "H max"))
    best = -np.inf
    for k, kind in enumerate(types):
        most = float(columns[:, 1 + 4 * k : 4 + 4 * k].max())
        odds = float(_logits(np.array(most)))
        told = sum(max(by[name] * LOG_PROB_FLOOR, by[name] * most) for name in ("SLM log p min", "SLM log p mean"))
        told += max(by["SLM logit"] * -_ODDS, by["SLM logit"] * odds) + _weighed(_known("", kind, _NO_LEXICON), by)
        best = max(best, common + by[f"type {kind}"] + told)
    return float(best)


def _weighed(told: Sequence[float], by: Mapping[str, float]) -> float:
    return sum(by[name] * value for name, value in zip(_LEXICAL, told, strict=True))


def entity_label_log_probs(log_probs: npt.NDArray[np.float32], span: Span, types: Sequence[str]) -> Floats:
    """[n] the log-probability of each label that together spell an entity. log_probs: see `SlmPrediction`."""
    first = 1 + 4 * list(types).index(span.type)
    n = span.end - span.start
    columns = [first + 3] if n == 1 else [first, *[first + 1] * (n - 2), first + 2]
    found: Floats = log_probs[np.arange(span.start, span.end), columns].astype(np.float64)
    return found


def _proposed(span: Span, own: Iterable[Span], theirs: Iterable[Span]) -> list[float]:
    both = [[other for other in side if other.overlaps(span)] for side in (own, theirs)]
    has = [float(span in side) for side in both]
    against = [[other for other in side if other != span] for side in both]
    alike = [any(other.type == span.type for other in side) for side in against]
    return [*has, has[0] * has[1], *(float(bool(side)) for side in against), *map(float, alike)]


def _slm(slm: SlmPrediction, span: Span, types: Sequence[str]) -> list[float]:
    entropy = slm.entropy[span.start : span.end].astype(np.float64)
    if slm.log_probs is None or span.type not in types:
        return [float(entropy.mean()), float(entropy.max()), LOG_PROB_FLOOR, LOG_PROB_FLOOR, -_ODDS]
    found = np.maximum(entity_label_log_probs(slm.log_probs, span, types), LOG_PROB_FLOOR)
    return [
        float(entropy.mean()),
        float(entropy.max()),
        float(found.min()),
        float(found.mean()),
        float(_logits(found.min())),
    ]


def _llm(decisions: Floats, item: LlmEntity | None) -> list[float]:
    total = max(float(decisions.sum()), 2 * LOG_PROB_FLOOR * _LENGTHS)
    pair = [0.0, 0.0] if item is None else [float(_log(np.array(p))) for p in (item.category_prob, item.boundary_prob)]
    return [total, float(decisions.min()), *pair]


def _known(string: str, kind: str, known: Lexicon) -> list[float]:
    counts = known.type_counts.get(string, {})
    same, all_tags = counts.get(kind, 0), sum(counts.values())
    places = max(known.occurrence_counts.get(string, 0), all_tags)
    share = (same + 0.5) / (places + 1) if places else 0.0
    return [
        float(np.log1p(same)),
        float(np.log1p(all_tags - same)),
        share,
        same / all_tags if all_tags else 0.5,
        float(not all_tags),
    ]


def _one_hot(which: int, size: int) -> list[float]:
    return [float(i == which) for i in range(size)]


def _log(probabilities: npt.NDArray[np.floating]) -> Floats:
    out: Floats = np.log(np.maximum(probabilities, np.exp(LOG_PROB_FLOOR)), dtype=np.float64)
    return out


def _logits(log_p: Floats) -> Floats:
    """ln(p / (1 - p)), cut at either side."""
    return np.clip(log_p - np.log(-np.expm1(np.minimum(log_p, -1e-9))), -_ODDS, _ODDS)
