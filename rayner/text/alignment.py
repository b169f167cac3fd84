"""Characters to sub-tokens and back (method, section 1; paper's Table 1).

A character that the tokenizer splits into i tokens gets i labels. The way back is exact for legal sequences, and
for distributions it scores each character label by the joint probability of its token labels.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.tags import OUTSIDE, split_tag

_EXPANSION = {"B": "BMM", "M": "MMM", "E": "MME", "S": "BME"}  # first, middle and last of several tokens


def expand_label(label: str, n_tokens: int) -> list[str]:
    """The labels of a character's `n_tokens` tokens (Table 1). Raises ValueError for no tokens."""
    if n_tokens < 1:
        raise ValueError("a character without tokens would be lost")
    prefix, kind = split_tag(label)
    if prefix == OUTSIDE or n_tokens == 1:
        return [label] * n_tokens
    first, middle, last = tuple(_EXPANSION[prefix])
    return [f"{p}-{kind}" for p in (first, *middle * (n_tokens - 2), last)]


def collapse(token_labels: Sequence[str], labels: Sequence[str]) -> str:
    """The character label, out of `labels`, whose expansion agrees with most of the token labels.

    The exact inverse of `expand_label`; on sequences that are no expansion, the nearest label, the earliest on a tie.
    """
    n = len(token_labels)

    def agreement(label: str) -> int:
        return sum(a == b for a, b in zip(expand_label(label, n), token_labels, strict=True))

    return max(labels, key=agreement)


def collapse_log_probs(
    token_log_probs: npt.NDArray[np.floating], counts: npt.NDArray[np.integer], labels: Sequence[str]
) -> npt.NDArray[np.floating]:
    """Label distributions of tokens to distributions of characters.

    token_log_probs: [sum(counts), n_labels], nats; counts: tokens of each character, all >= 1.
    Returns [n_chars, n_labels]: for a single token its own distribution, for several the joint probability of
    each label's expansion, normalised over the labels.
    """
    if len(counts) == 0 or counts.max() == 1:
        return token_log_probs
    index = {label: i for i, label in enumerate(labels)}
    first, middle, last = (np.array([index[expand_label(label, 3)[place]] for label in labels]) for place in range(3))
    starts = np.concatenate([[0], np.cumsum(counts)])
    out: npt.NDArray[np.floating] = token_log_probs[starts[:-1]].copy()
    for i in np.flatnonzero(counts > 1):
        lo, hi = starts[i], starts[i + 1]
        joint = token_log_probs[lo, first] + token_log_probs[hi - 1, last]
        joint = joint + token_log_probs[lo + 1 : hi - 1][:, middle].sum(axis=0)
        out[i] = joint - np.logaddexp.reduce(joint)
    return out
