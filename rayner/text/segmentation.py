"""Splitting of text into segments (sentences), and of long segments into windows.

A sentence ends after 。？！ and the closing marks that follow, or at a line break. It is never cut at a fixed length
(method, section 1). Segments partition the text: joined, they are the text. A sentence longer than a model's window is
split into overlapping windows. Each character's result comes from the window in which the character is farthest from
the nearer edge.
"""

import itertools
import re
from dataclasses import dataclass

_SENTENCE = re.compile(r"[^。？！\n]*(?:[。？！]+[」』”’）》〕】〉]*[\r\n]*|\n[\r\n]*|\Z)")


@dataclass(frozen=True, slots=True)
class Window:
    """The characters [start, end) that a model sees. Only its results for [keep_start, keep_end) are kept."""

    start: int
    end: int
    keep_start: int
    keep_end: int

    @property
    def kept_slice(self) -> slice:
        """The characters whose results are kept, counted from the window's start."""
        return slice(self.keep_start - self.start, self.keep_end - self.start)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the offsets [start, end) of the sentences, in order; they partition the text."""
    return [match.span() for match in _SENTENCE.finditer(text) if match.end() > match.start()]


def bounds_without_whitespace(text: str) -> tuple[int, int]:
    """Return the offsets [start, end) of the text without white space at its edges; (0, 0) if nothing is left.

    Models see only this part of the text.
    """
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return (start, end) if start < end else (0, 0)


def split_windows(n_chars: int, size: int, overlap: int) -> list[Window]:
    """Split `n_chars` characters into windows of at most `size` characters that overlap by at least `overlap`.

    The kept parts of the windows partition the text. Raises ValueError unless 0 <= overlap < size.
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
