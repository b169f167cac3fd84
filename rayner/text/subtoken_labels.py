"""Conversion between labels of characters and labels of sub-tokens (method, section 1; the paper's Table 1).

A character that the tokenizer splits into i tokens gets i labels. In the other direction, the score of a character
label is the joint probability of its token labels.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.tags import OUTSIDE, split_tag

_EXPANSION = {"B": "BMM", "M": "MMM", "E": "MME", "S": "BME"}  # first, middle and last of several tokens


def expand_label(label: str, n_tokens: int) -> list[str]:
    """Return the labels of a character's `n_tokens` tokens (Table 1). Raises ValueError if there are no tokens."""
    if n_tokens < 1:
        raise ValueError("a character without tokens would be lost")
    prefix, type_ = split_tag(label)
    if prefix == OUTSIDE or n_tokens == 1:
        return [label] * n_tokens
    first, middle, last = tuple(_EXPANSION[prefix])
    return [f"{token_prefix}-{type_}" for token_prefix in (first, *middle * (n_tokens - 2), last)]


def collapse_log_probs(
    token_log_probs: npt.NDArray[np.floating], tokens_per_char: npt.NDArray[np.integer], labels: Sequence[str]
) -> npt.NDArray[np.floating]:
    """Turn label distributions of tokens into distributions of characters, [n_chars, n_labels], natural log.

    token_log_probs: label distributions of all tokens, shape [sum(tokens_per_char), n_labels], natural log.
    tokens_per_char: number of tokens of each character, shape [n_chars], all >= 1.
    labels: the labels of the columns.

    A character with one token keeps that token's distribution. For a character with several tokens, each label gets the
    joint probability of its token labels (`expand_label`), normalised over the labels.
    """
    if len(tokens_per_char) == 0 or tokens_per_char.max() == 1:
        return token_log_probs
    index = {label: i for i, label in enumerate(labels)}
    first, middle, last = (np.array([index[expand_label(label, 3)[place]] for label in labels]) for place in range(3))
    starts = np.concatenate([[0], np.cumsum(tokens_per_char)])
    log_probs: npt.NDArray[np.floating] = token_log_probs[starts[:-1]].copy()
    for i in np.flatnonzero(tokens_per_char > 1):
        start, end = starts[i], starts[i + 1]
        joint = token_log_probs[start, first] + token_log_probs[end - 1, last]
        joint = joint + token_log_probs[start + 1 : end - 1][:, middle].sum(axis=0)
        log_probs[i] = joint - np.logaddexp.reduce(joint)
    return log_probs
