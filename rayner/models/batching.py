"""Batches of like length, so that little of them is padding and there are few of them."""

from collections.abc import Sequence

PADDING = 0.1  # largest share of a batch that is padding
PASS = 128  # what a forward pass costs beside its tokens, in tokens


def batches(lengths: Sequence[int], size: int, slack: float = 0) -> list[list[int]]:
    """All items in batches of at most `size`, longest first: the cheapest such cut, a batch costing PASS and its area.

    A batch has at most PADDING of padding, or at most `slack` tokens of it.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    ends = _cheapest([lengths[i] for i in order], size, slack)
    out, at = [], 0
    while at < len(order):
        out.append(order[at : ends[at]])
        at = ends[at]
    return out


def like_lengths(lengths: Sequence[int], size: int, slack: float = 0) -> list[int]:
    """The first of these batches: the longest item and others next to it in length."""
    return batches(lengths, size, slack)[0]


def _cheapest(falling: Sequence[int], size: int, slack: float) -> list[int]:
    """Where the batch that begins at each of the falling lengths ends, in the cheapest cut of all from there on."""
    n = len(falling)
    cost, ends = [0.0] * (n + 1), [n] * n
    for start in range(n - 1, -1, -1):
        longest, total, best = falling[start], 0, float("inf")
        for end in range(start + 1, min(start + size, n) + 1):
            total += falling[end - 1]
            area = longest * (end - start)
            if area - total > max(PADDING * area, slack):
                break  # it only gets worse
            if area + cost[end] < best:
                best, ends[start] = area + cost[end], end
        cost[start] = best + PASS
    return ends
