"""Tensor functions that the encoder and the LLM share: padded rows and mean vectors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch


def pad_rows(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> torch.Tensor:
    """Return rows of integers as one tensor, shape [n_rows, longest row], padded with `value`.

    left: pad on the left; otherwise on the right.
    """
    longest = max(map(len, rows))
    padded = [
        [value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows
    ]
    return torch.tensor(padded)


def mean_unit_vectors(hidden: torch.Tensor, token_mask: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return the mean hidden state of each row, scaled to L2 norm 1, shape [n_rows, hidden].

    Args:
        hidden: The hidden states, shape [n_rows, n_tokens, hidden].
        token_mask: 1 for the tokens to average, else 0; shape [n_rows, n_tokens].

    """
    weights = token_mask.unsqueeze(-1)
    summed = (hidden.float() * weights).sum(1)
    means: npt.NDArray[np.float32] = (summed / weights.sum(1).clamp(min=1)).cpu().numpy()
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return means
