"""Pack token sequences into one row of a forward pass: no padding, and what all begin with is computed once.

A token attends only to the tokens of its own sequence, and it has the position that it has there. So the hidden states
and the gradient are those of the sequences alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

# Architectures whose attention is known to follow a mask of any form. Layers with a sliding window or with a state,
# and other implementations of attention, ignore such a mask or replace it.
PACKABLE_MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class PackedSequences:
    """Token sequences in one row: first the tokens with which all begin, then the rest of each.

    Attributes:
        tokens: The token ids, shape [1, n_tokens].
        positions: The position of each token in its sequence, shape [1, n_tokens].
        attends: Whether a token (third dimension) attends to another (fourth), shape [1, 1, n_tokens, n_tokens].
        offsets: For each sequence, what is added to a position behind the common beginning to get its column.

    """

    tokens: torch.Tensor
    positions: torch.Tensor
    attends: torch.Tensor
    offsets: list[int]


def can_pack(causal_lm: Any) -> bool:  # noqa: ANN401 - transformers' models share no useful base
    """Return whether sequences may be packed for this model."""
    config = causal_lm.config
    return (
        config.model_type in PACKABLE_MODEL_TYPES
        and config._attn_implementation == "sdpa"
        and not getattr(config, "sliding_window", None)
    )


def count_common_tokens(sequences: Sequence[list[int]]) -> int:
    """Return the number of tokens with which all sequences begin. It is 0 if there are no sequences."""
    if not sequences:
        return 0
    first, last = min(sequences), max(sequences)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def pack_sequences(sequences: Sequence[Sequence[int]], n_common: int, device: torch.device) -> PackedSequences:
    """Pack token sequences that begin with the same `n_common` tokens."""
    tokens, positions = [*sequences[0][:n_common]], [*range(n_common)]
    owners, offsets = [-1] * n_common, []
    for i, sequence in enumerate(sequences):
        offsets.append(len(tokens) - n_common)
        tokens += sequence[n_common:]
        positions += range(n_common, len(sequence))
        owners += [i] * (len(sequence) - n_common)
    owner = torch.tensor(owners, device=device)
    column = torch.arange(len(tokens), device=device)
    is_seen = (owner[None, :] == owner[:, None]) | (owner[None, :] == -1)
    return PackedSequences(
        torch.tensor([tokens], device=device),
        torch.tensor([positions], device=device),
        (is_seen & (column[None, :] <= column[:, None]))[None, None],
        offsets,
    )
