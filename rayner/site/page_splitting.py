"""Where a long document is cut into pages."""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence

MAX_PAGE_CHARS = 10_000  # characters; each with a code point and a vote of its own, they make some 1.3 MB
_ENDS = "。！？"


def find_page_starts(text: str, spans: Sequence[tuple[int, int]], max_chars: int = MAX_PAGE_CHARS) -> list[int]:
    """The offsets at which pages begin, 0 first; pages are of like lengths, at most `limit` characters.

    spans: [start, end) of the entities, in order, free of overlaps. A cut is made after a line break if there is one
    near, else after a sentence, else anywhere but in an entity, in a line break of two characters or before a mark
    that combines with the character before it. Only an entity longer than `limit` makes a page longer.
    """
    starts = [0]
    ends = [end for _, end in spans]

    def allowed(at: int) -> bool:
        i = bisect_left(ends, at)  # the first entity that ends here or later
        if i < len(spans) and spans[i][0] < at < spans[i][1]:
            return False
        return text[at - 1 : at + 1] != "\r\n" and not unicodedata.category(text[at]).startswith("M")

    while len(text) - starts[-1] > max_chars:
        at = starts[-1]
        rest = len(text) - at
        goal = -(-rest // -(-rest // max_chars))
        last = at + min(max_chars, goal + goal // 10)
        cut = _after(text, "\n", at + goal // 2, last, allowed) or _after(text, _ENDS, at + goal // 2, last, allowed)
        cut = cut or next((i for i in range(last, at, -1) if allowed(i)), 0)
        cut = cut or next((i for i in range(last + 1, len(text)) if allowed(i)), len(text))
        if cut == len(text):
            break
        starts.append(cut)
    return starts


def _after(text: str, ends: str, low: int, high: int, allowed: Callable[[int], bool]) -> int:
    """The last place in (low, high] after one of the characters `ends` where a cut is allowed; 0 if there is none."""
    return next((i for i in range(high, low, -1) if text[i - 1] in ends and allowed(i)), 0)
