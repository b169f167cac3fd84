"""Key-value caches of single texts, put together for a forward pass and cut apart after it.

A text's cache is one tensor [layers, 2, heads, tokens, size]: it can be cut back, shared as a prefix, or dropped when
its text leaves the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

Parts = tuple[torch.Tensor, ...]  # what a text's cache is joined from: a shared prefix, its own tokens


def length(parts: Parts) -> int:
    """Tokens held."""
    return sum(part.shape[3] for part in parts)


def assemble(rows: Sequence[Parts]) -> tuple[DynamicCache, int]:
    """One cache for a batch, and the tokens it holds: the longest row's; shorter rows stand at the right."""
    longest = max(map(length, rows))
    if not longest:
        return DynamicCache(), 0
    model = next(part for parts in rows for part in parts)
    layers, two, heads, _, size = model.shape
    # Zeros, since what lies left of a row is masked but still multiplied: it must be a number.
    joined = model.new_zeros((layers, two, len(rows), heads, longest, size))
    for i, parts in enumerate(rows):
        at = longest - length(parts)
        for part in parts:
            joined[:, :, i, :, at : at + part.shape[3]] = part
            at += part.shape[3]
    return DynamicCache([(layer[0], layer[1]) for layer in joined]), longest


def cut_out(cache: Any, row: int, start: int, end: int) -> torch.Tensor:  # noqa: ANN401 - transformers' cache
    """The tokens [start, end) of a row, as a cache of its own."""
    return torch.stack(
        [torch.stack([layer.keys[row, :, start:end], layer.values[row, :, start:end]]) for layer in cache.layers]
    )
