"""Batches of like length, so that little of them is padding."""

from collections.abc import Iterator, Sequence

PADDING = 0.1  # largest share of a batch that is padding
FREE = 64  # tokens up to which a batch costs about as much as one row of it, so that padding does not matter


def like_lengths(lengths: Sequence[int], size: int) -> list[int]:
    """Indices of the next batch: the longest item and up to size - 1 others next to it in length."""
    return next(batches(lengths, size))


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """All items in batches of at most `size`, longest first."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    at = 0
    while at < len(order):
        n = _fitting([lengths[i] for i in order[at : at + size]])
        yield order[at : at + n]
        at += n


def _fitting(lengths: Sequence[int]) -> int:
    """How many of these falling lengths make a batch with little padding; at least one."""
    total = 0
    for k, length in enumerate(lengths):
        total += length
        area = lengths[0] * (k + 1)
        if area - total > PADDING * area and area > FREE:
            return k
    return len(lengths)
