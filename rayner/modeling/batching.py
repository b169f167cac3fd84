"""Batches for inference: items of similar length in each batch, for little padding and few batches."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_PADDING_SHARE = 0.1  # largest share of padding in a batch
PASS_COST_TOKENS = 128  # fixed cost of a forward pass, in tokens


@dataclass(frozen=True)
class TokenLimit:
    """The most tokens that a batch may hold in memory, padding included.

    A batch holds, for each of its items, the largest `cached` and the largest `new` of its items. A batch of one item
    may hold more.

    Attributes:
        cached: The tokens of each item that are computed already, shape [n_items].
        new: The tokens of each item that may have to be computed, shape [n_items].
        max_tokens: The limit.

    """

    cached: Sequence[int]
    new: Sequence[int]
    max_tokens: float


def inference_batches(
    lengths: Sequence[int],
    max_size: int,
    padding_allowance: float = 0,
    extra_costs: Sequence[float] | None = None,
    limit: TokenLimit | None = None,
) -> list[list[int]]:
    """Divide items into batches of at most `max_size`, and return the indices of each batch's items, longest first.

    The items are sorted by length and divided so that the total cost is the lowest. In tokens, the cost of a batch is
    PASS_COST_TOKENS plus the tokens of the batch, including padding. The padding of a batch is at most
    MAX_PADDING_SHARE of its tokens or at most `padding_allowance` tokens; the larger limit applies.

    Args:
        lengths: The length of each item in tokens, shape [n_items].
        max_size: The largest number of items in a batch.
        padding_allowance: The tokens of padding that a batch may have in any case.
        extra_costs: The cost of each item besides its length, in tokens, shape [n_items]. The largest extra cost in a
            batch counts for each of its items, because cached tokens are padded to the longest.
        limit: The most tokens in a batch; None for no limit.

    """
    costs = extra_costs or [0.0] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i] - costs[i])
    ends = _cheapest_batch_end_by_start(
        [lengths[i] for i in order],
        [costs[i] for i in order],
        padding_allowance,
        largest_batch_ends(order, max_size, limit),
    )
    return divide_at_ends(order, ends)


def divide_at_ends(order: Sequence[int], end_by_start: Sequence[int]) -> list[list[int]]:
    """Divide items into consecutive batches.

    Args:
        order: The indices of the items.
        end_by_start: The end of the batch that starts at each item, shape [n_items].

    """
    batches, start = [], 0
    while start < len(order):
        batches.append([*order[start : end_by_start[start]]])
        start = end_by_start[start]
    return batches


def largest_batch_ends(order: Sequence[int], max_size: int, limit: TokenLimit | None) -> list[int]:
    """Return the end of the largest batch of consecutive items that may start at each item, shape [n_items].

    Args:
        order: The indices of the items, in the order in which they are divided.
        max_size: The largest number of items in a batch.
        limit: The most tokens in a batch; None for no limit.

    """
    n = len(order)
    if limit is None:
        return [min(start + max_size, n) for start in range(n)]
    ends = []
    for start in range(n):
        most_cached = most_new = 0
        end = start
        while end < min(start + max_size, n):
            most_cached = max(most_cached, limit.cached[order[end]])
            most_new = max(most_new, limit.new[order[end]])
            if end > start and (end + 1 - start) * (most_cached + most_new) > limit.max_tokens:
                break
            end += 1
        ends.append(end)
    return ends


def _cheapest_batch_end_by_start(
    lengths: Sequence[int], extra_costs: Sequence[float], padding_allowance: float, largest_ends: Sequence[int]
) -> list[int]:
    """Return the end of the cheapest batch that starts at each item, shape [n_items].

    Cheapest means that the total cost of this batch and all later ones is the lowest. The function uses dynamic
    programming from the last item to the first.
    """
    n = len(lengths)
    costs, ends = [0.0] * (n + 1), [n] * n
    for start in range(n - 1, -1, -1):
        longest, largest_extra, total, cheapest = 0, 0.0, 0, float("inf")
        for end in range(start + 1, largest_ends[start] + 1):
            longest, largest_extra = max(longest, lengths[end - 1]), max(largest_extra, extra_costs[end - 1])
            total += lengths[end - 1]
            area = longest * (end - start)
            if area - total > max(MAX_PADDING_SHARE * area, padding_allowance):
                if not largest_extra:
                    break  # lengths decrease, so a longer batch only has more padding
                continue
            cost = area + largest_extra * (end - start) + costs[end]
            if cost < cheapest:
                cheapest, ends[start] = cost, end
        costs[start] = cheapest + PASS_COST_TOKENS
    return ends
