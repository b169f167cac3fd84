"""Text to segments (sentences) and windows, and back.

A sentence ends after 。？！ and the closing marks that follow, or at a line break; never at a fixed length
(method, section 1). Segments partition the text: joined, they are the text. A sentence longer than a model's
window is cut into overlapping windows, and each character's result is taken from the window in which it has the
most context on its nearer side.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_SENTENCE = re.compile(r"[^。？！\n]*(?:[。？！]+[」』”’）》〕】〉]*[\r\n]*|\n[\r\n]*|\Z)")


@dataclass(frozen=True, slots=True)
class Window:
    """Characters [start, end) are shown to the model; the results of [keep_start, keep_end) are kept."""

    start: int
    end: int
    keep_start: int
    keep_end: int

    @property
    def kept_slice(self) -> slice:
        """What is kept, counted from the window's start."""
        return slice(self.keep_start - self.start, self.keep_end - self.start)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Half-open offsets of the sentences; they partition the text, in order."""
    return [match.span() for match in _SENTENCE.finditer(text) if match.end() > match.start()]


def bounds_without_whitespace(text: str) -> tuple[int, int]:
    """Offsets of the text without white space at its edges: what models are shown. (0, 0) if nothing is left."""
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return (start, end) if start < end else (0, 0)


def split_windows(n_chars: int, size: int, overlap: int) -> list[Window]:
    """Windows of at most `size` characters that overlap by at least `overlap`; what they keep partitions the text.

    Raises ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"expected 0 <= overlap < size, found overlap {overlap} and size {size}")
    starts = [0]
    while starts[-1] + size < n_chars:
        starts.append(min(starts[-1] + size - overlap, n_chars - size))
    cuts = [0, *((left + size + right) // 2 for left, right in itertools.pairwise(starts)), n_chars]
    return [
        Window(start, min(start + size, n_chars), keep_start, keep_end)
        for start, (keep_start, keep_end) in zip(starts, itertools.pairwise(cuts), strict=True)
    ]


def stitch_windows(parts: Sequence[Sequence[T]], cut: Sequence[Window]) -> list[T]:
    """One value a character, from values a character of each window."""
    out: list[T] = []
    for values, window in zip(parts, cut, strict=True):
        out.extend(values[window.kept_slice])
    return out
