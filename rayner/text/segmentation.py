"""Splitting of text into segments (sentences or their pieces), and of long segments into windows.

A sentence ends after 。？！ and the closing marks that follow, or at a line break (method, section 1). Segments
partition the text: joined, they are the text. A sentence is one segment, unless it is longer than a limit of several
thousand characters. Such a sentence is cut into pieces, and each piece is a segment. An entity may cross such a cut; a
*seam*, the text around the cut, is predicted to find it.

A segment longer than a model's window is split into overlapping windows. Each character's result comes from the window
in which the character is farthest from the nearer edge.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SENTENCE = re.compile(r"[^。？！\n]*(?:[。？！]+[」』”’）》〕】〉]*[\r\n]*|\n[\r\n]*|\Z)")
_GOOD_CUT = re.compile(r"[，、；：,;:\s]")
_JOINERS = "\u200c\u200d"  # zero-width characters that join their neighbours
# Characters of a seam on each side of its cut. A seam fits a model's window of the default size.
SEAM_CHARS = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """The characters [start, end) of a text: a sentence, or a piece of a long sentence.

    is_cut: whether the sentence goes on behind `end`.
    """

    start: int
    end: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Seam:
    """The characters [start, end) around a cut, which lie in the two pieces next to it. start <= cut <= end."""

    start: int
    cut: int
    end: int


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


def split_segments(text: str, max_chars: int) -> Iterator[Segment]:
    """Split a text into sentences, and each sentence of more than `max_chars` characters into pieces, in order.

    The segments partition the text. No segment is longer than `max_chars`, which must be above 0. The pieces of a
    sentence are of similar length. A cut is made after a comma or white space if there is one in the last fifth of the
    piece. Otherwise the piece has its full length; a character and the marks that combine with it stay together.
    """
    for sentence_start, sentence_end in split_sentences(text):
        start = sentence_start
        while sentence_end - start > max_chars:
            cut = _choose_cut(text, start, sentence_end, max_chars)
            yield Segment(start, cut, is_cut=True)
            start = cut
        yield Segment(start, sentence_end)


def _choose_cut(text: str, start: int, end: int, max_chars: int) -> int:
    """Return where the next piece of the characters [start, end) ends. It has between 1 and `max_chars` characters."""
    n_pieces = -(-(end - start) // max_chars)
    full_end = start - (start - end) // n_pieces  # pieces of equal length, rounded up
    earliest = full_end - (full_end - start) // 5
    for cut in range(full_end, earliest, -1):
        if _GOOD_CUT.match(text, cut - 1) and not _joins_neighbours(text, cut):
            return cut
    return next((cut for cut in range(full_end, earliest, -1) if not _joins_neighbours(text, cut)), full_end)


def _joins_neighbours(text: str, cut: int) -> bool:
    """Return whether the two characters at a cut belong together: a line break, or a character and its marks."""
    before, after = text[cut - 1], text[cut]
    if (before, after) == ("\r", "\n"):
        return True
    return before in _JOINERS or after in _JOINERS or unicodedata.category(after).startswith("M")


def find_seams(segments: Iterable[Segment]) -> Iterator[Seam]:
    """Return the seam of each cut between segments, in order.

    segments: consecutive segments of a text, as `split_segments` returns them.

    A seam extends over at most `SEAM_CHARS` characters on each side. It ends in the middle of a piece that is cut at
    both ends, so an entity at one cut never overlaps an entity at the next cut.
    """
    previous: Segment | None = None
    is_cut_before = False  # whether `previous` begins at a cut
    for segment in segments:
        if previous is not None and previous.is_cut:
            start = (previous.start + previous.end) // 2 if is_cut_before else previous.start
            end = (segment.start + segment.end) // 2 if segment.is_cut else segment.end
            cut = segment.start
            yield Seam(max(start, cut - SEAM_CHARS), cut, min(end, cut + SEAM_CHARS))
        is_cut_before = previous is not None and previous.is_cut
        previous = segment


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
