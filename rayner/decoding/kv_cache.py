"""Key-value caches of single texts, joined for a forward pass and split after it.

A text's cache is one tensor [n_layers, 2, n_heads, n_tokens, head_size]. It can be cut back, shared as a prefix, or
dropped when its text is answered.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

CacheParts = tuple[torch.Tensor, ...]  # a text's cache in parts: a shared prefix, the text's own tokens


def count_cached_tokens(parts: CacheParts) -> int:
    """Return the number of tokens in a text's cache."""
    return sum(part.shape[3] for part in parts)


class _PreallocatedLayer(DynamicLayer):
    """A layer with room for the tokens of the next pass, which are written in place: to grow it would copy it.

    keys, values: [n_rows, n_heads, n_tokens, head_size] with the room. n_cached: tokens that are filled already.
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
        """Write the keys and values of a pass behind those that are cached, and return all of them."""
        start, end = self.n_cached, self.n_cached + key_states.shape[2]
        self.n_cached = end
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self.buffers)
        return self.keys, self.values


def join_and_preallocate_caches(rows: Sequence[CacheParts], n_new_tokens: int) -> tuple[Cache, int]:
    """Join the caches of texts to one for a batch, with room for `n_new_tokens` more tokens a row.

    Returns the cache and the number of tokens that it holds, which is that of the longest row. Shorter rows are padded
    on the left.
    """
    longest = max(map(count_cached_tokens, rows))
    if not longest:
        return DynamicCache(), 0
    any_part = next(part for parts in rows for part in parts)
    n_layers, two, n_heads, _, head_size = any_part.shape
    # Zeros, because the padding of a row is masked but still multiplied: it must be a number.
    joined = any_part.new_zeros((n_layers, two, len(rows), n_heads, longest + n_new_tokens, head_size))
    for i, parts in enumerate(rows):
        start = longest - count_cached_tokens(parts)
        for part in parts:
            joined[:, :, i, :, start : start + part.shape[3]] = part
            start += part.shape[3]
    return Cache(layers=[_PreallocatedLayer(layer[0], layer[1], longest) for layer in joined]), longest


def slice_cache(cache: Any, row: int, start: int, end: int) -> torch.Tensor:  # noqa: ANN401 - transformers' cache
    """Return the tokens [start, end) of a row of a batch's cache as a cache of their own."""
    return torch.stack(
        [torch.stack([layer.keys[row, :, start:end], layer.values[row, :, start:end]]) for layer in cache.layers]
    )
