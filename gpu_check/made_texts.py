"""Texts made by chance, whose entities can be learned: they begin at certain characters."""

import random
from collections.abc import Sequence
from dataclasses import replace

from rayner.decoding.engine import WindowRequest
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span

TYPES = ("NR", "NS", "T")
_CHARACTERS = [chr(0x4E00 + i) for i in range(1000)]
_NAME_STARTS = {char: TYPES[i % len(TYPES)] for i, char in enumerate(_CHARACTERS[:120])}
_PUNCTUATION = "，。"
ALPHABET = [*_CHARACTERS, *_PUNCTUATION]
_N_EXAMPLES = 5  # examples in a prompt, as in the paper


def make_sentences(n: int, seed: int, longest: int = 60) -> list[LabelledSentence]:
    """Make `n` sentences of 15 to `longest` characters with their entities."""
    draw = random.Random(seed)
    return [_make_sentence(draw, draw.randint(15, longest)) for _ in range(n)]


def _make_sentence(draw: random.Random, n_chars: int) -> LabelledSentence:
    text = "".join(draw.choice(_CHARACTERS) for _ in range(n_chars - 1)) + "。"
    spans, end = [], 0
    for i, char in enumerate(text[:-3]):
        if i >= end and char in _NAME_STARTS:
            end = i + 2 + ord(text[i + 1]) % 2
            spans.append(Span(i, end, _NAME_STARTS[char]))
    return LabelledSentence(text, tuple(spans))


def make_requests(n: int, seed: int) -> list[WindowRequest]:
    """Make `n` texts to score, each with examples and a draft made by chance. Every fourth shares its examples."""
    draw, pool = random.Random(seed), make_sentences(40, seed + 1)
    shared = tuple(pool[:_N_EXAMPLES])
    return [
        WindowRequest(
            sentence.text,
            shared if i % 4 == 0 else tuple(draw.sample(pool, _N_EXAMPLES)),
            _draw_spans(draw, len(sentence.text)),
        )
        for i, sentence in enumerate(make_sentences(n, seed + 2))
    ]


def _draw_spans(draw: random.Random, n_chars: int) -> list[Span]:
    edges = sorted(draw.sample(range(n_chars + 1), 2 * draw.randint(0, n_chars // 6)))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Span(start, end, draw.choice(TYPES)) for start, end in pairs]


def with_drafts(requests: Sequence[WindowRequest], drafts: Sequence[Sequence[Span]]) -> list[WindowRequest]:
    """Return the requests with other drafts."""
    return [replace(request, draft=draft) for request, draft in zip(requests, drafts, strict=True)]
