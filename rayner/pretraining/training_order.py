"""Which windows of the text a training step reads, and which of their characters are hidden.

Each function depends only on its arguments, above all on the seed and the number of the step. So a training that
resumes reads the same as an uninterrupted one, and nothing that grows with the text is kept in memory.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_ROUNDS = 6
_HELD_OUT, _EPOCH, _STEP, _HELD_OUT_BATCH = range(4)  # each use of the seed has random numbers of its own


@dataclass(frozen=True)
class WindowOrder:
    """The division of windows into held-out windows and batches of training windows.

    Every epoch reads each training window once, in an order of its own. A batch may end one epoch and begin the next.

    Attributes:
        n_windows: The number of all windows.
        n_held_out: The number of windows that are never trained on.
        batch_size: The number of windows in a step.
        seed: The random seed.

    """

    n_windows: int
    n_held_out: int
    batch_size: int
    seed: int

    def held_out_rows(self) -> Ints:
        """Return the row numbers of the held-out windows, shape [n_held_out]."""
        return permute(np.arange(self.n_held_out), self.n_windows, (self.seed, _HELD_OUT))

    def step_rows(self, step: int) -> Ints:
        """Return the row numbers of the windows of a step, shape [batch_size]."""
        n_train = self.n_windows - self.n_held_out
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        epochs, places = places // n_train, places % n_train
        for epoch in np.unique(epochs):
            of_epoch = epochs == epoch
            places[of_epoch] = permute(places[of_epoch], n_train, (self.seed, _EPOCH, int(epoch)))
        return permute(places + self.n_held_out, self.n_windows, (self.seed, _HELD_OUT))


def permute(places: Ints, n: int, key: tuple[int, ...]) -> Ints:
    """Return the new places of some of n items in a random permutation that depends on a key.

    The permutation is a Feistel network over the next power of four, applied again to each place outside of 0 to n - 1
    (Black and Rogaway 2002). So it needs no memory for the n items.

    Args:
        places: Places from 0 to n - 1.
        n: The number of items.
        key: Whole numbers of at least 0.

    """
    half_bits = np.uint64(max(1, (max(1, n - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    round_keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64)
    moved = places.astype(np.uint64)
    pending = np.arange(len(moved))
    while len(pending):
        left, right = moved[pending] >> half_bits, moved[pending] & mask
        for round_key in round_keys:
            left, right = right, left ^ (_scramble(right + round_key) & mask)
        moved[pending] = left << half_bits | right
        pending = pending[moved[pending] >= n]
    return moved.astype(np.int64)


def _scramble(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return numbers in which every bit depends on all bits of the given ones (the last part of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@dataclass(frozen=True)
class MaskedWindows:
    """Windows of text, what is hidden in them, and random numbers for what takes the place of hidden characters.

    Attributes:
        tokens: The tokens of the text, shape [n_windows, n_tokens].
        is_hidden: Whether a token is hidden, same shape.
        draws: Random numbers in [0, 1), one for each token, same shape.
        random_tokens: A random token for each token, same shape.

    """

    tokens: Ints
    is_hidden: Bools
    draws: npt.NDArray[np.float32]
    random_tokens: Ints

    def worker_share(self, rank: int, world_size: int) -> "MaskedWindows":
        """Return one worker's part of the windows."""
        return MaskedWindows(*(rows[rank::world_size] for rows in vars(self).values()))


def mask_step(tokens: Ints, ordinary_tokens: Ints, share: float, seed: int, step: int) -> MaskedWindows:
    """Choose what is hidden in the windows of a training step. The arguments are those of `_mask`."""
    return _mask(tokens, ordinary_tokens, share, (seed, _STEP, step))


def mask_held_out(tokens: Ints, ordinary_tokens: Ints, share: float, seed: int, batch: int) -> MaskedWindows:
    """Choose what is hidden in a batch of held-out windows: always the same. The arguments are those of `_mask`."""
    return _mask(tokens, ordinary_tokens, share, (seed, _HELD_OUT_BATCH, batch))


def _mask(tokens: Ints, ordinary_tokens: Ints, share: float, key: tuple[int, ...]) -> MaskedWindows:
    """Hide the same share of the ordinary tokens of each window, rounded, and at least one if there is any.

    Args:
        tokens: The tokens of the text, shape [n_windows, n_tokens].
        ordinary_tokens: The tokens that may be hidden: all but special ones and the unknown token.
        share: The share of ordinary tokens that are hidden.
        key: The key of the random numbers.

    """
    random = np.random.default_rng(key)
    is_ordinary = np.isin(tokens, ordinary_tokens)
    n_ordinary = is_ordinary.sum(axis=1, keepdims=True)
    n_hidden = np.minimum(n_ordinary, np.maximum(1, np.rint(share * n_ordinary)))
    ranks = np.where(is_ordinary, random.random(tokens.shape), np.inf).argsort(axis=1).argsort(axis=1)
    return MaskedWindows(
        tokens,
        ranks < n_hidden,
        random.random(tokens.shape, dtype=np.float32),
        random.choice(ordinary_tokens, size=tokens.shape),
    )
