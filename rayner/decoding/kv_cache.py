"""Key-value caches of single texts, which are joined for a forward pass and split after it.

The cache of a text is one tensor, shape [n_layers, 2, n_heads, n_tokens, head_size]. It can be shortened, shared as the
cache of a common beginning, or dropped when the text is answered.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

CacheParts = tuple[torch.Tensor, ...]  # a text's cache in parts: shared beginnings first, then the text's own tokens


def count_cached_tokens(parts: CacheParts) -> int:
    """Return the number of tokens in a text's cache."""
    return sum(part.shape[3] for part in parts)


def count_cached_numbers_per_token(config: Any) -> int:  # noqa: ANN401 - transformers' configurations share no useful base
    """Return how many numbers the key-value cache stores for one token."""
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * head_size)


class _PreallocatedLayer(DynamicLayer):
    """A cache layer with free space for the tokens of the next forward pass.

    The new keys and values are written into the free space, because extending a tensor would copy it.

    Args:
        keys: The keys with free space at the end, shape [n_rows, n_heads, n_tokens, head_size].
        values: The values, of the same shape.
        n_cached: The number of tokens that are already filled.

    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, n_cached: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library has no types for it
        self.buffers, self.n_cached = (keys, values), n_cached
        self.keys, self.values = keys[:, :, :n_cached], values[:, :, :n_cached]
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_: Any,  # noqa: ANN401 - as the library passes them
        **__: Any,  # noqa: ANN401 - likewise
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the keys and values of a forward pass after the cached ones, and return all of them."""
        start, end = self.n_cached, self.n_cached + key_states.shape[2]
        self.n_cached = end
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self.buffers)
        return self.keys, self.values


def join_and_preallocate_caches(rows: Sequence[CacheParts], n_new_tokens: int) -> tuple[Cache, int]:
    """Join the caches of texts into one cache for a batch, with free space for `n_new_tokens` more tokens in each row.

    Shorter rows are padded on the left.

    Returns:
        The joined cache.
        The number of tokens that it holds in each row, which is that of the longest row.

    """
    longest = max(map(count_cached_tokens, rows))
    if not longest:
        return DynamicCache(), 0
    any_part = next(part for parts in rows for part in parts)
    n_layers, two, n_heads, _, head_size = any_part.shape
    # Padding is masked, but it is still multiplied by 0. So it must be finite: zeros.
    joined = any_part.new_zeros((n_layers, two, len(rows), n_heads, longest + n_new_tokens, head_size))
    for i, parts in enumerate(rows):
        start = longest - count_cached_tokens(parts)
        for part in parts:
            joined[:, :, i, :, start : start + part.shape[3]] = part
            start += part.shape[3]
    return Cache(layers=[_PreallocatedLayer(layer[0], layer[1], longest) for layer in joined]), longest


def slice_cache(cache: Any, row: int, start: int, end: int) -> torch.Tensor:  # noqa: ANN401 - transformers' cache
    """Copy the tokens [start, end) of one row of a batch's cache into a cache for one text."""
    keys = cache.layers[0].keys
    copied: torch.Tensor = keys.new_empty((len(cache.layers), 2, keys.shape[1], end - start, keys.shape[3]))
    for i, layer in enumerate(cache.layers):
        copied[i, 0], copied[i, 1] = layer.keys[row, :, start:end], layer.values[row, :, start:end]
    return copied
