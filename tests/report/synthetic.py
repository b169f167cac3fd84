"""Labelled segments with synthetic answers of both models: wrong now and then, and more certain where correct."""

from collections.abc import Sequence

import numpy as np

from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from rayner.text.tags import spans_to_tags

TYPES = ("NR", "NS", "NG", "T")
TEXT = "楚使怒去歸告懷王曰秦惠王之時蘇秦死於齊王遂入咸陽"
GOLD = (
    Span(0, 1, "NG"),
    Span(6, 8, "NR"),
    Span(9, 12, "NR"),
    Span(14, 16, "NR"),
    Span(18, 19, "NG"),
    Span(22, 24, "NS"),
)


def make_segment(
    text: str, gold: Sequence[Span], rng: np.random.Generator, number: int = 0, errors: float = 0.25
) -> SegmentPrediction:
    """Return a segment on which each model errs in about `errors` of the entities."""
    slm_spans, slm_wrong = garble_entities(gold, len(text), rng, errors)
    llm_spans, llm_wrong = garble_entities(gold, len(text), rng, errors)
    entropy = np.where(slm_wrong, rng.uniform(0.3, 1.2, len(text)), rng.uniform(0.0, 0.3, len(text)))
    probs = np.where(llm_wrong, rng.uniform(0.3, 0.95, len(text)), rng.uniform(0.8, 1.0, len(text)))
    entities = tuple(LlmEntity(span, float(probs[span.start]), float(probs[span.end - 1])) for span in llm_spans)
    answer = LlmAnswer(entities, np.append(probs, 0.99).astype(np.float32))
    slm = SlmPrediction(slm_spans, entropy.astype(np.float32), label_log_probs(slm_spans, len(text)))
    return SegmentPrediction(f"doc{number}", 0, len(text), text, slm, answer, tuple(gold))


def label_log_probs(spans: Sequence[Span], n_chars: int) -> np.ndarray:
    """Return label distributions in which the tags of the spans have probability 0.9. Spans of other types count as O.

    The labels are O, then B, M, E, S of each of TYPES.
    """
    labels = ("O", *(f"{prefix}-{type_}" for type_ in TYPES for prefix in "BMES"))
    probs = np.full((n_chars, len(labels)), 0.1 / (len(labels) - 1), dtype=np.float32)
    for i, tag in enumerate(spans_to_tags([span for span in spans if span.type in TYPES], n_chars)):
        probs[i, labels.index(tag)] = 0.9
    return np.log(probs)


def garble_entities(
    gold: Sequence[Span], n_chars: int, rng: np.random.Generator, errors: float
) -> tuple[tuple[Span, ...], np.ndarray]:
    """Drop, retype or shorten some entities; return the result, and a mask of the changed characters."""
    spans, changed = [], np.zeros(n_chars, dtype=bool)
    types = sorted({span.type for span in gold}) or ["NR"]
    for span in gold:
        new_span = span
        if rng.random() < errors:
            changed[span.start : span.end] = True
            error = rng.integers(3)
            if error == 0:
                continue
            shorten = error == 1 and span.end - span.start > 1
            new_span = Span(span.start, span.end - 1, span.type) if shorten else Span(
                span.start, span.end, types[int(rng.integers(len(types)))]
            )  # fmt: skip
        spans.append(new_span)
    return tuple(spans), changed


def rows(n: int = 40, seed: int = 0) -> list[SegmentPrediction]:
    """Return `n` segments of the same text."""
    rng = np.random.default_rng(seed)
    return [make_segment(TEXT, GOLD, rng, number) for number in range(n)]


def labelled_lines(text: str, spans: Sequence[Span]) -> str:
    """Return the content of a labelled file."""
    return "".join(f"{char}\t{tag}\n" for char, tag in zip(text, spans_to_tags(spans, len(text)), strict=True))
