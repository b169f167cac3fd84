"""Decide where a long document is split into pages."""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence

MAX_PAGE_CHARS = 10_000  # if each character has a code point and a vote, the page has about 1.3 MB
_SENTENCE_ENDS = "。！？"


def find_page_starts(text: str, spans: Sequence[tuple[int, int]], max_chars: int = MAX_PAGE_CHARS) -> list[int]:
    r"""Return the offsets at which pages begin, 0 first. Pages have similar lengths, at most `max_chars` characters.

    A page ends after a line break if there is one near, else after a sentence, else at any place that is allowed: not
    inside an entity, inside `\r\n`, or before a combining mark. Only an entity longer than `max_chars` makes a page
    longer.

    spans: [start, end) of the entities, sorted, without overlaps.
    """
    starts = [0]
    span_ends = [end for _, end in spans]

    def is_allowed(offset: int) -> bool:
        i = bisect_left(span_ends, offset)  # the first entity that ends at the offset or later
        if i < len(spans) and spans[i][0] < offset < spans[i][1]:
            return False
        return text[offset - 1 : offset + 1] != "\r\n" and not unicodedata.category(text[offset]).startswith("M")

    while len(text) - starts[-1] > max_chars:
        start = starts[-1]
        n_left = len(text) - start
        page_chars = -(-n_left // -(-n_left // max_chars))  # all remaining pages of equal length
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
    """Return the last allowed place in (low, high] after one of the characters `end_chars`, 0 if there is none."""
    return next((i for i in range(high, low, -1) if text[i - 1] in end_chars and is_allowed(i)), 0)
