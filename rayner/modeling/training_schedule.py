"""The order of training: batches of an epoch, each worker's share of them, and the learning rate of a step.

All of it follows from seed and numbers alone, so an interrupted training resumes as if it had never stopped.
"""

from collections.abc import Sequence

import numpy as np

_BLOCK_BATCHES = 32


def epoch_batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Return the indices of items in batches of `size` items of similar length, in an order that `seed` decides.

    Items are shuffled, sorted by length within blocks of 32 batches, and the batches shuffled again. So there is little
    padding, yet each seed gives other batches. Every item is in exactly one batch.

    lengths: [n_items], in tokens.
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
    """Return how many batches `epoch_batches` makes of so many items."""
    return -(-n_items // size)


def worker_share(batch: Sequence[int], rank: int, world_size: int) -> list[int]:
    """Return one worker's part of a batch.

    A worker that would have none gets the first item, so that all workers take the same number of steps.
    """
    return list(batch[rank::world_size]) or [batch[0]]


def learning_rate_factor(step: int, n_steps: int, warmup: float) -> float:
    """Return the factor on the peak learning rate at a step.

    It rises linearly over the first `warmup` share of the steps and then falls linearly to 0.
    """
    n_rising = max(1, int(n_steps * warmup))
    return min((step + 1) / n_rising, max(0.0, (n_steps - step) / max(1, n_steps - n_rising)))
