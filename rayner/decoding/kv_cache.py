"""Key-value caches of single texts, put together for a forward pass and cut apart after it.

A text's cache is one tensor [layers, 2, heads, tokens, size]: it can be cut back, shared as a prefix, or dropped when
its text leaves the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

CacheParts = tuple[torch.Tensor, ...]  # what a text's cache is joined from: a shared prefix, its own tokens


def count_cached_tokens(parts: CacheParts) -> int:
    """Tokens held."""
    return sum(part.shape[3] for part in parts)


class _PreallocatedLayer(DynamicLayer):
    """A layer with room for the tokens of the next pass, which are written in place: growing it would copy it."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, held: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library has no types for it
        self.whole, self.held = (keys, values), held
        self.keys, self.values = keys[:, :, :held], values[:, :, :held]
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_: Any,  # noqa: ANN401 - as the library passes them
        **__: Any,  # noqa: ANN401 - likewise
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the pass's keys and values [rows, heads, tokens, size] behind those held; all of them."""
        begin, end = self.held, self.held + key_states.shape[2]
        self.held = end
        for whole, new in zip(self.whole, (key_states, value_states), strict=True):
            whole[:, :, begin:end] = new
        self.keys, self.values = (whole[:, :, :end] for whole in self.whole)
        return self.keys, self.values


def join_caches(rows: Sequence[CacheParts], room: int) -> tuple[Cache, int]:
    """One cache for a batch, with room for so many more tokens, and the tokens it holds.

    These are as many as the longest row's; shorter rows stand at the right.
    """
    longest = max(map(count_cached_tokens, rows))
    if not longest:
        return DynamicCache(), 0
    model = next(part for parts in rows for part in parts)
    layers, two, heads, _, size = model.shape
    # Zeros, since what lies left of a row is masked but still multiplied: it must be a number.
    joined = model.new_zeros((layers, two, len(rows), heads, longest + room, size))
    for i, parts in enumerate(rows):
        at = longest - count_cached_tokens(parts)
        for part in parts:
            joined[:, :, i, :, at : at + part.shape[3]] = part
            at += part.shape[3]
    return Cache(layers=[_PreallocatedLayer(layer[0], layer[1], longest) for layer in joined]), longest


def slice_cache(cache: Any, row: int, start: int, end: int) -> torch.Tensor:  # noqa: ANN401 - transformers' cache
    """The tokens [start, end) of a row, as a cache of its own."""
    return torch.stack(
        [torch.stack([layer.keys[row, :, start:end], layer.values[row, :, start:end]]) for layer in cache.layers]
    )
