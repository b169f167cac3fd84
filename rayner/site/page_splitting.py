"""Decide where a long document is split into pages."""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence

MAX_PAGE_CHARS = 10_000  # a page with a code point and a vote for each character has about 1.3 MB
_SENTENCE_ENDS = "。！？"


def find_page_starts(text: str, spans: Sequence[tuple[int, int]], max_chars: int = MAX_PAGE_CHARS) -> list[int]:
    r"""Return the offsets at which pages begin; the first is 0. Pages have similar lengths, at most `max_chars`.

    A page ends after a line break near its intended end, or otherwise after a sentence, or otherwise at any allowed
    place. A page may not end inside an entity, inside `\r\n` or before a combining mark. A page is longer than
    `max_chars` only if there is no allowed place.

    spans: The [start, end) of each entity, sorted, without overlaps.
    """
    starts = [0]
    span_ends = [end for _, end in spans]

    def is_allowed(offset: int) -> bool:
        i = bisect_left(span_ends, offset)  # index of the first entity that ends at or after the offset
        if i < len(spans) and spans[i][0] < offset < spans[i][1]:
            return False
        return text[offset - 1 : offset + 1] != "\r\n" and not unicodedata.category(text[offset]).startswith("M")

    while len(text) - starts[-1] > max_chars:
        start = starts[-1]
        n_left = len(text) - start
        page_chars = -(-n_left // -(-n_left // max_chars))  # if all remaining pages have equal lengths
        earliest, latest = start + page_chars // 2, start + min(max_chars, page_chars + page_chars // 10)
        cut = (
            _find_cut(text, "\n", earliest, latest, is_allowed)
            or _find_cut(text, _SENTENCE_ENDS, earliest, latest, is_allowed)
            or next((i for i in range(latest, start, -1) if is_allowed(i)), 0)
            or next((i for i in range(latest + 1, len(text)) if is_allowed(i)), len(text))
        )
        if cut == len(text):
            break
        starts.append(cut)
    return starts


def _find_cut(text: str, end_chars: str, low: int, high: int, is_allowed: Callable[[int], bool]) -> int:
    """Return the last allowed place in (low, high] that follows one of `end_chars`, or 0 if there is no such place."""
    return next((i for i in range(high, low, -1) if text[i - 1] in end_chars and is_allowed(i)), 0)
