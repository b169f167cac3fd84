"""Conversion between spans and character tags (BMES and similar schemes), and the labels that a tagger chooses from.

Reading accepts the common schemes: BMES, BIOES/BIESO, BILOU and BIO, with `I-` or `M-` inside. Writing is BMES.

Both gold data and model output contain illegal sequences. They are repaired so that no labelled character is lost:

- A span begins at B, at S, and at an M or E that does not continue an open span.
- A span ends after E or S, and before O, B, S or another type.

Repairs are counted, so that a report can say how often they happened.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.messages import shorten_repr
from rayner.text.spans import Span

OUTSIDE = "O"
_CANONICAL = {"B": "B", "M": "M", "I": "M", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}


@dataclass(frozen=True)
class DecodedTags:
    """Spans read from a tag sequence, and the number of repairs.

    no_begin: number of entities without their first tag.
    no_end: number of entities without their last tag.
    """

    spans: tuple[Span, ...]
    no_begin: int = 0
    no_end: int = 0

    @property
    def n_faults(self) -> int:
        """The number of repairs of both kinds."""
        return self.no_begin + self.no_end


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into its BMES prefix and its type: 'B-NR' into ('B', 'NR'), 'O' into ('O', '').

    Raises ValueError for an unknown tag.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, type_ = tag.partition("-")
    if not dash or not type_ or prefix not in _CANONICAL:
        raise ValueError(f"expected O or PREFIX-TYPE with a prefix of {''.join(_CANONICAL)}, found {shorten_repr(tag)}")
    return _CANONICAL[prefix], type_


def scheme_marks_ends(tags: Iterable[str]) -> bool:
    """Say whether the tags mark where entities end, as in BMES and BIOES but not in BIO."""
    return any(split_tag(tag)[0] in "ES" for tag in set(tags))


def tags_to_spans(tags: Sequence[str], *, ends_marked: bool = True) -> DecodedTags:
    """Read the spans of a tag sequence, one tag per character.

    ends_marked: whether the scheme marks ends (`scheme_marks_ends`). If it does not, an entity without an end tag is no
        fault.

    Raises ValueError for an unknown tag.
    """
    spans: list[Span] = []
    no_begin = no_end = 0
    start, open_type = -1, ""  # the open entity; "" if none is open

    for i, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        continues = prefix in "ME" and bool(open_type) and type_ == open_type
        if open_type and not continues:  # the open entity stops before this character, without its E
            spans.append(Span(start, i, open_type))
            no_end += ends_marked
            open_type = ""
        if prefix in "BSME" and not continues:
            no_begin += prefix in "ME"
            start, open_type = i, type_
        if prefix in "ES":
            spans.append(Span(start, i + 1, open_type))
            open_type = ""
    if open_type:
        spans.append(Span(start, len(tags), open_type))
        no_end += ends_marked
    return DecodedTags(tuple(spans), no_begin, no_end)


def spans_to_tags(spans: Iterable[Span], n_chars: int) -> list[str]:
    """Write spans without overlaps as BMES tags, one per character.

    On legal tags this is the inverse of `tags_to_spans`.
    """
    tags = [OUTSIDE] * n_chars
    for span in spans:
        if span.end - span.start == 1:
            tags[span.start] = f"S-{span.type}"
            continue
        tags[span.start] = f"B-{span.type}"
        tags[span.end - 1] = f"E-{span.type}"
        for i in range(span.start + 1, span.end - 1):
            tags[i] = f"M-{span.type}"
    return tags


def bmes_labels(types: Iterable[str]) -> tuple[str, ...]:
    """Return all BMES labels: `O`, then those of each type, with the types in sorted order."""
    return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in sorted(set(types)) for prefix in "BMES"))


def legal_transitions(labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return a mask of the label transitions that BMES allows, shape [n_labels + 1, n_labels + 1].

    Entry [i, j] says whether label j may follow label i. The last row stands for the start of the text, and the last
    column for its end.
    """
    parts = [*map(split_tag, labels), (OUTSIDE, "")]
    is_open = np.array([prefix in "BM" for prefix, _ in parts])
    continues = np.array([prefix in "ME" for prefix, _ in parts])
    types = np.array([type_ for _, type_ in parts])
    same_type = types[:, None] == types[None, :]
    legal: npt.NDArray[np.bool_] = (is_open[:, None] & continues[None, :] & same_type) | (
        ~is_open[:, None] & ~continues[None, :]
    )
    return legal


def viterbi_decode(log_probs: npt.NDArray[np.floating], legal: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the most probable legal label sequence as label indices, shape [n_chars].

    log_probs: label distributions of the characters, shape [n_chars, n_labels], natural log.
    legal: the mask from `legal_transitions`.

    The probability of a sequence is the product of its characters' label probabilities. If each character's most
    probable label gives a legal sequence, that sequence is returned.
    """
    best: npt.NDArray[np.int64] = log_probs.argmax(axis=1)
    path = np.concatenate([[-1], best, [-1]])
    if legal[path[:-1], path[1:]].all():
        return best
    n_chars, n_labels = log_probs.shape
    penalty = np.where(legal, 0.0, -np.inf)
    score = log_probs[0] + penalty[-1, :n_labels]
    previous = np.zeros((n_chars, n_labels), dtype=np.int64)
    inner = penalty[:n_labels, :n_labels]
    for i in range(1, n_chars):
        step_scores = score[:, None] + inner
        previous[i] = step_scores.argmax(axis=0)
        score = step_scores.max(axis=0) + log_probs[i]
    decoded = np.zeros(n_chars, dtype=np.int64)
    decoded[-1] = int((score + penalty[:n_labels, -1]).argmax())
    for i in range(n_chars - 1, 0, -1):
        decoded[i - 1] = previous[i, decoded[i]]
    return decoded
