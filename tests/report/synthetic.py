"""Labelled segments with made-up answers of both models: wrong now and then, and surer where right."""

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


def row(
    text: str, gold: Sequence[Span], rng: np.random.Generator, number: int = 0, errors: float = 0.25
) -> SegmentPrediction:
    """A segment on which each model errs in about `errors` of the entities, less surely than where it is right."""
    slm, slm_odd = garbled(gold, len(text), rng, errors)
    llm, llm_odd = garbled(gold, len(text), rng, errors)
    entropy = np.where(slm_odd, rng.uniform(0.3, 1.2, len(text)), rng.uniform(0.0, 0.3, len(text)))
    sure = np.where(llm_odd, rng.uniform(0.3, 0.95, len(text)), rng.uniform(0.8, 1.0, len(text)))
    items = tuple(LlmEntity(s, float(sure[s.start]), float(sure[s.end - 1])) for s in llm)
    decisions = np.append(sure, 0.99).astype(np.float32)
    answer = LlmAnswer(items, decisions)
    slm_score = SlmPrediction(slm, entropy.astype(np.float32))
    return SegmentPrediction(f"doc{number}", 0, len(text), text, slm_score, answer, tuple(gold))


def garbled(
    gold: Sequence[Span], n_chars: int, rng: np.random.Generator, errors: float
) -> tuple[tuple[Span, ...], np.ndarray]:
    """The entities with some dropped, retyped or cut short, and where."""
    out, odd = [], np.zeros(n_chars, dtype=bool)
    kinds = sorted({span.type for span in gold}) or ["NR"]
    for span in gold:
        kept = span
        if rng.random() < errors:
            odd[span.start : span.end] = True
            how = rng.integers(3)
            if how == 0:
                continue
            shorter = how == 1 and span.end - span.start > 1
            kept = Span(span.start, span.end - 1, span.type) if shorter else Span(
                span.start, span.end, kinds[int(rng.integers(len(kinds)))]
            )  # fmt: skip
        out.append(kept)
    return tuple(out), odd


def rows(n: int = 40, seed: int = 0) -> list[SegmentPrediction]:
    """`n` segments of the same text."""
    rng = np.random.default_rng(seed)
    return [row(TEXT, GOLD, rng, number) for number in range(n)]


def labelled_lines(text: str, spans: Sequence[Span]) -> str:
    """The content of a labelled file."""
    return "".join(f"{char}\t{tag}\n" for char, tag in zip(text, spans_to_tags(spans, len(text)), strict=True))
