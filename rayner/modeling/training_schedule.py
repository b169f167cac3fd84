"""The order of training: the batches of an epoch, each worker's share of them, and the learning rate of each step.

Each function depends only on its arguments, so a resumed training takes the same steps as an uninterrupted one.
"""

from collections.abc import Sequence

import numpy as np

_BLOCK_BATCHES = 32


def epoch_batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Return the indices of items in batches of `size` items of similar length, in an order that depends on `seed`.

    The items are shuffled and sorted by length within blocks of 32 batches; then the batches are shuffled. So there is
    little padding, but each seed gives different batches. Every item is in exactly one batch.

    lengths: the length of each item in tokens, shape [n_items].
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    block_size = size * _BLOCK_BATCHES
    batches = []
    for start in range(0, len(order), block_size):
        block = sorted(order[start : start + block_size], key=lambda i: lengths[i])
        batches += [[int(i) for i in block[first : first + size]] for first in range(0, len(block), size)]
    return [batches[i] for i in random.permutation(len(batches))]


def count_batches(n_items: int, size: int) -> int:
    """Return the number of batches that `epoch_batches` makes of `n_items` items."""
    return -(-n_items // size)


def worker_share(batch: Sequence[int], rank: int, world_size: int) -> list[int]:
    """Return one worker's part of a batch.

    A worker whose part would be empty gets the first item, so that all workers take the same number of steps.
    """
    return list(batch[rank::world_size]) or [batch[0]]


def split_by_tokens(
    lengths: Sequence[int], max_tokens: int, n_workers: int, n_common: int | None = None
) -> list[list[list[int]]]:
    """Divide the items of one step among workers and forward passes, by tokens.

    Every worker gets the same number of passes, the smallest that is possible; a pass may be empty. Neighbours in
    length share a pass, and the largest pass is as small as possible.

    Args:
        lengths: The number of tokens of each item.
        max_tokens: The largest number of tokens in a pass. An item that alone has more tokens gets a pass of its own.
        n_workers: The number of workers.
        n_common: The number of tokens with which all items begin, if a pass computes them once and has no padding. None
            if each item is padded to the longest of the pass.

    Returns:
        For each worker and each of its passes, the indices of the items.

    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])

    def fill_passes(cap: int) -> list[list[int]]:
        passes: list[list[int]] = []
        n_tokens = 0  # of the last pass
        for i in order:
            if passes:
                longest = lengths[passes[-1][0]]
                n_tokens += longest if n_common is None else lengths[i] - n_common
            if passes and n_tokens <= cap:
                passes[-1].append(i)
            else:
                passes.append([i])
                n_tokens = lengths[i]
        return passes

    n_passes = -(-len(fill_passes(max_tokens)) // n_workers) * n_workers
    low, high = 1, max_tokens
    while low < high:
        middle = (low + high) // 2
        if len(fill_passes(middle)) <= n_passes:
            high = middle
        else:
            low = middle + 1
    passes = fill_passes(high)
    passes += [[]] * (n_passes - len(passes))
    return [passes[rank::n_workers] for rank in range(n_workers)]


def learning_rate_factor(step: int, n_steps: int, warmup: float) -> float:
    """Return the factor by which the peak learning rate is multiplied at a step.

    The factor rises linearly during the first `warmup` share of the steps and then falls linearly to 0.
    """
    n_rising = max(1, int(n_steps * warmup))
    return min((step + 1) / n_rising, max(0.0, (n_steps - step) / max(1, n_steps - n_rising)))
