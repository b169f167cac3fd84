"""What models share: batches of like length, the learning rate, devices, vectors of texts."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one; else the device by its name."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def set_torch_threads(cpus: int) -> None:
    """Torch threads of this process, which Ray gave `cpus` processors."""
    torch.set_num_threads(max(1, min(cpus, os.cpu_count() or 1)))


def epoch_batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Indices in batches of `size` items of like length, in an order that depends on the seed alone.

    Items are shuffled, sorted by length within blocks of 32 batches, and the batches shuffled again: little padding,
    yet a new composition for each seed. Every item stands in exactly one batch.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    block = size * 32
    cut = []
    for start in range(0, len(order), block):
        part = sorted(order[start : start + block], key=lambda i: lengths[i])
        cut += [[int(i) for i in part[at : at + size]] for at in range(0, len(part), size)]
    return [cut[i] for i in random.permutation(len(cut))]


def count_batches(items: int, size: int) -> int:
    """How many batches `batches` makes."""
    return -(-items // size)


def worker_share(batch: Sequence[int], rank: int, world_size: int) -> list[int]:
    """One worker's part of a batch; a worker that would have none repeats the first item, so that all keep step."""
    return list(batch[rank::world_size]) or [batch[0]]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: linear up over the first `warmup` share of the steps, linear down to 0."""
    rising = max(1, int(steps * warmup))
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))


def mean_unit_vectors(hidden: torch.Tensor, inner: torch.Tensor) -> npt.NDArray[np.float32]:
    """Vectors [n, size] of length 1: the mean of hidden states [n, tokens, size] where `inner` [n, tokens] is 1."""
    weight = inner.unsqueeze(-1)
    mean: npt.NDArray[np.float32] = ((hidden.float() * weight).sum(1) / weight.sum(1).clamp(min=1)).cpu().numpy()
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return mean


def pad_rows(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> torch.Tensor:
    """Rows of token numbers as one tensor [n_rows, longest], filled with `value` on the right, or the left."""
    longest = max(map(len, rows))
    filled = [
        [value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows
    ]
    return torch.tensor(filled)
