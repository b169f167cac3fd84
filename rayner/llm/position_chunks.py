"""Compute over the whole vocabulary in chunks of positions.

A vocabulary of 152,064 tokens, such as Qwen2.5's, has 0.6 MB of float32 logits for each position. For all positions of
a batch at once they would need gigabytes. So the logits of one chunk of positions exist at a time.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from rayner.llm.model import compute_logits

# Logits in one chunk, at most: 128 MiB in float32, that is 220 positions of Qwen2.5. The number depends on nothing
# else, so the same batch always gives the same bytes.
CHUNK_LOGITS = 2**25


def map_position_chunks(
    compute: Callable[..., torch.Tensor], n_logits: int, *tensors: torch.Tensor, chunk_logits: int = CHUNK_LOGITS
) -> torch.Tensor:
    """Apply a function to chunks of positions and return its results, joined.

    If gradients are recorded, nothing of a chunk but its result is kept: the backward pass computes the chunk again.

    Args:
        compute: A function of one chunk of each tensor. The first dimension of its result is the chunk's positions.
        n_logits: The number of logits that `compute` makes for one position.
        tensors: The inputs of `compute`, each of shape [n_positions, ...].
        chunk_logits: The largest number of logits in a chunk. A chunk has at least one position.

    Returns:
        The results, shape [n_positions, ...].

    """
    size = max(1, chunk_logits // n_logits)
    chunks = zip(*(tensor.split(size) for tensor in tensors), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([compute(*chunk) for chunk in chunks])
    return torch.cat([checkpoint(compute, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks])


def compute_log_normalizers(
    causal_lm: Any,  # noqa: ANN401 - transformers' models share no useful base
    hidden: torch.Tensor,
    chunk_logits: int = CHUNK_LOGITS,
) -> torch.Tensor:
    """Return the logarithm of the softmax's denominator over the whole vocabulary, in float32, shape [n_positions].

    Args:
        causal_lm: The causal language model.
        hidden: Last hidden states, shape [n_positions, hidden].
        chunk_logits: The largest number of logits that exist at a time.

    """
    n_tokens = causal_lm.get_output_embeddings().weight.shape[0]
    return map_position_chunks(
        lambda chunk: compute_logits(causal_lm, chunk, None).logsumexp(-1), n_tokens, hidden, chunk_logits=chunk_logits
    )
