"""Batches of like length, so that little of them is padding and there are few of them."""

from collections.abc import Sequence

MAX_PADDING_SHARE = 0.1  # largest share of a batch that is padding
PASS_COST_TOKENS = 128  # what a forward pass costs beside its tokens, in tokens


def inference_batches(
    lengths: Sequence[int], max_size: int, padding_allowance: float = 0, extra_costs: Sequence[float] | None = None
) -> list[list[int]]:
    """All items in batches of at most `size`, longest first: the cheapest such cut, a batch costing PASS and its area.

    A batch has at most PADDING of padding, or at most `slack` tokens of it.
    held: what each item costs beside its length, the most costly of a batch counting for all: its cached tokens.
    """
    costs = extra_costs or [0.0] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i] - costs[i])
    ends = _cheapest_batch_ends([lengths[i] for i in order], [costs[i] for i in order], max_size, padding_allowance)
    out, at = [], 0
    while at < len(order):
        out.append(order[at : ends[at]])
        at = ends[at]
    return out


def _cheapest_batch_ends(lengths: Sequence[int], held: Sequence[float], size: int, slack: float) -> list[int]:
    """Where the batch that begins at each item ends, in the cheapest cut of all from there on."""
    n = len(lengths)
    cost, ends = [0.0] * (n + 1), [n] * n
    for start in range(n - 1, -1, -1):
        longest, most, total, best = 0, 0.0, 0, float("inf")
        for end in range(start + 1, min(start + size, n) + 1):
            longest, most = max(longest, lengths[end - 1]), max(most, held[end - 1])
            total += lengths[end - 1]
            area = longest * (end - start)
            if area - total > max(MAX_PADDING_SHARE * area, slack):
                if not most:
                    break  # lengths fall: it only gets worse
                continue
            here = area + most * (end - start) + cost[end]
            if here < best:
                best, ends[start] = here, end
        cost[start] = best + PASS_COST_TOKENS
    return ends
