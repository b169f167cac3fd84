"""Batches for inference: items of similar length together, for little padding and few batches."""

from collections.abc import Sequence

MAX_PADDING_SHARE = 0.1  # of a batch
PASS_COST_TOKENS = 128  # what a forward pass costs beside its tokens, in tokens


def inference_batches(
    lengths: Sequence[int],
    max_size: int,
    padding_allowance: float = 0,
    extra_costs: Sequence[float] | None = None,
) -> list[list[int]]:
    """Return the indices of all items in batches of at most `max_size`, the longest items first.

    Of all ways to cut the sorted items it is the cheapest: a batch costs PASS_COST_TOKENS and its area, padding
    included. A batch has at most MAX_PADDING_SHARE of padding, or at most `padding_allowance` tokens of it.

    lengths: [n_items], in tokens. extra_costs: [n_items] what each item costs beside its length, in tokens; the largest
    of a batch counts for all of its items (their cached tokens are padded to the longest).
    """
    costs = extra_costs or [0.0] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i] - costs[i])
    ends = _cheapest_batch_end_by_start(
        [lengths[i] for i in order], [costs[i] for i in order], max_size, padding_allowance
    )
    batches, start = [], 0
    while start < len(order):
        batches.append(order[start : ends[start]])
        start = ends[start]
    return batches


def _cheapest_batch_end_by_start(
    lengths: Sequence[int], extra_costs: Sequence[float], max_size: int, padding_allowance: float
) -> list[int]:
    """Return [n_items] where the batch that starts at each item ends, in the cheapest cut of all items from there on.

    Dynamic programming from the last item to the first.
    """
    n = len(lengths)
    costs, ends = [0.0] * (n + 1), [n] * n
    for start in range(n - 1, -1, -1):
        longest, largest_extra, total, cheapest = 0, 0.0, 0, float("inf")
        for end in range(start + 1, min(start + max_size, n) + 1):
            longest, largest_extra = max(longest, lengths[end - 1]), max(largest_extra, extra_costs[end - 1])
            total += lengths[end - 1]
            area = longest * (end - start)
            if area - total > max(MAX_PADDING_SHARE * area, padding_allowance):
                if not largest_extra:
                    break  # lengths fall, so longer batches only have more padding
                continue
            cost = area + largest_extra * (end - start) + costs[end]
            if cost < cheapest:
                cheapest, ends[start] = cost, end
        costs[start] = cheapest + PASS_COST_TOKENS
    return ends
