"""Alignment of a changed copy of a text with the original, character by character."""

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Alignment:
    """The alignment of a copy with its original.

    offsets: for each character of the copy, the offset of the character of the original in whose place it stands; None
        if it was inserted. The offsets rise.
    inserted: number of characters of the copy that stand in no character's place.
    deleted: number of characters of the original in whose place nothing stands.
    replaced: number of characters of the original in whose place another character stands.
    """

    offsets: tuple[int | None, ...]
    inserted: int = 0
    deleted: int = 0
    replaced: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the copy is the original."""
        return not (self.inserted or self.deleted or self.replaced)


def align_copy(original: str, copy: str) -> Alignment:
    """Align a copy with its original by the smallest number of inserted, deleted and replaced characters (Levenshtein).

    Of several such alignments, one with the fewest replaced characters is taken, so with the most copied ones.
    """
    start = _common_prefix_length(original, copy)
    end = _common_prefix_length(original[start:][::-1], copy[start:][::-1])
    original_end, copy_end = len(original) - end, len(copy) - end
    middle = _align_by_edit_distance(original[start:original_end], copy[start:copy_end])
    offsets = (
        *range(start),
        *(None if offset is None else start + offset for offset in middle),
        *range(original_end, len(original)),
    )
    pairs = [(offset, char) for offset, char in zip(offsets, copy, strict=True) if offset is not None]
    return Alignment(
        offsets,
        inserted=len(copy) - len(pairs),
        deleted=len(original) - len(pairs),
        replaced=sum(original[offset] != char for offset, char in pairs),
    )


def _common_prefix_length(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _align_by_edit_distance(original: str, copy: str) -> list[int | None]:
    """Return, for each character of the copy, the offset of its place in the original, or None."""
    n_rows, n_columns = len(original), len(copy)
    step = n_rows + n_columns + 1  # more than all replacements together can add to the cost of the steps
    costs = _compute_costs(original, copy, step)
    offsets: list[int | None] = [None] * n_columns
    row, column = n_rows, n_columns
    while row and column:
        is_copied = original[row - 1] == copy[column - 1]
        if costs[row, column] == costs[row - 1, column - 1] + (0 if is_copied else step + 1):
            row, column = row - 1, column - 1
            offsets[column] = row
        elif costs[row, column] == costs[row - 1, column] + step:
            row -= 1
        else:
            column -= 1
    return offsets


def _compute_costs(original: str, copy: str, step: int) -> npt.NDArray[np.int64]:
    """Return the least cost to turn each beginning of the original into each beginning of the copy.

    step: cost of an inserted or deleted character. A replaced one costs 1 more, a copied one nothing.
    """
    codes = np.array([ord(char) for char in copy], dtype=np.int64)
    insertions = step * np.arange(len(copy) + 1)
    costs = np.zeros((len(original) + 1, len(copy) + 1), dtype=np.int64)
    costs[0] = insertions
    for row, char in enumerate(original, start=1):
        above = costs[row - 1]
        best = np.append(row * step, np.minimum(above[1:] + step, above[:-1] + (codes != ord(char)) * (step + 1)))
        # An insertion costs one step more than the cell to its left: subtract all steps, take the least, add them.
        costs[row] = np.minimum.accumulate(best - insertions) + insertions
    return costs
