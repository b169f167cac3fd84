"""Tensors that the encoder and the LLM both need: padded rows, mean vectors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch


def pad_rows(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> torch.Tensor:
    """Return rows of integers as one tensor [n_rows, longest], filled with `value` on the right, or on the left."""
    longest = max(map(len, rows))
    padded = [
        [value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows
    ]
    return torch.tensor(padded)


def mean_unit_vectors(hidden: torch.Tensor, token_mask: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return the mean of hidden states, scaled to length 1, for each row.

    hidden: [n_rows, n_tokens, hidden]. token_mask: [n_rows, n_tokens], 1 for the tokens that count.
    """
    weights = token_mask.unsqueeze(-1)
    summed = (hidden.float() * weights).sum(1)
    means: npt.NDArray[np.float32] = (summed / weights.sum(1).clamp(min=1)).cpu().numpy()
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return means
