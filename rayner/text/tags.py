"""Character tags (BMES and its relatives) to spans and back.

Reading accepts the spellings in use: BMES, BIOES/BIESO, BILOU, BIO, with `I-` or `M-` inside. Writing is BMES.

Illegal sequences are met in gold data and in models' output alike. One policy for both: *nothing labelled is
dropped*. A span begins at B, at S, and at any M or E that continues nothing; it ends after E or S, and before
O, B, S or another type. Each irregular step is counted, so that a report can say how often it happened.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.spans import Span

OUTSIDE = "O"
_CANONICAL = {"B": "B", "M": "M", "I": "M", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}


@dataclass(frozen=True)
class DecodedTags:
    """Spans read from a tag sequence, and how many irregular steps the policy had to mend."""

    spans: tuple[Span, ...]
    no_begin: int = 0
    no_end: int = 0

    @property
    def n_faults(self) -> int:
        """Irregular steps of both kinds."""
        return self.no_begin + self.no_end


def split_tag(tag: str) -> tuple[str, str]:
    """('B', 'NR') of 'B-NR', with the prefix in its BMES spelling; ('O', '') of 'O'.

    Raises ValueError for anything else.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    if not dash or not kind or prefix not in _CANONICAL:
        raise ValueError(f"expected O or PREFIX-TYPE with a prefix of {''.join(_CANONICAL)}, found {tag!r}")
    return _CANONICAL[prefix], kind


def scheme_marks_ends(tags: Iterable[str]) -> bool:
    """Whether a tag sequence marks where entities end (BMES, BIOES), rather than leaving it open (BIO)."""
    return any(split_tag(tag)[0] in "ES" for tag in set(tags))


def tags_to_spans(tags: Sequence[str], *, ends_marked: bool = True) -> DecodedTags:
    """Spans of a tag sequence, one tag a character.

    ends: whether the scheme marks ends (see `scheme_marks_ends`); if not, an entity that just stops is no fault.
    Raises ValueError for an unknown tag.
    """
    spans: list[Span] = []
    no_begin = no_end = 0
    start, kind = -1, ""  # the open entity; kind "" when none is open

    for i, tag in enumerate(tags):
        prefix, new = split_tag(tag)
        continues = prefix in "ME" and bool(kind) and new == kind
        if kind and not continues:  # the open entity stops before this character, without its E
            spans.append(Span(start, i, kind))
            no_end += ends_marked
            kind = ""
        if prefix in "BSME" and not continues:
            no_begin += prefix in "ME"
            start, kind = i, new
        if prefix in "ES":
            spans.append(Span(start, i + 1, kind))
            kind = ""
    if kind:
        spans.append(Span(start, len(tags), kind))
        no_end += ends_marked
    return DecodedTags(tuple(spans), no_begin, no_end)


def spans_to_tags(spans: Iterable[Span], n_chars: int) -> list[str]:
    """BMES tags, one a character, of spans that do not overlap: the inverse of `tags_to_spans` on legal sequences."""
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
    """All BMES labels for the types, `O` first, in an order that depends on the types alone."""
    return (OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BMES"))


def legal_transitions(labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Boolean [n + 1, n + 1] over `n` labels and the edge of the text (last row: start, last column: end)."""
    parts = [*map(split_tag, labels), (OUTSIDE, "")]
    is_open = np.array([prefix in "BM" for prefix, _ in parts])
    continues = np.array([prefix in "ME" for prefix, _ in parts])
    kinds = np.array([kind for _, kind in parts])
    same = kinds[:, None] == kinds[None, :]
    legal: npt.NDArray[np.bool_] = (is_open[:, None] & continues[None, :] & same) | (
        ~is_open[:, None] & ~continues[None, :]
    )
    return legal


def viterbi_decode(log_probs: npt.NDArray[np.floating], legal: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The most probable legal label sequence (Viterbi), characters taken as independent.

    log_probs: [n_chars, n_labels]; legal: from `legal_transitions`. Equals the argmax wherever that is legal.
    Returns label indices [n_chars].
    """
    best: npt.NDArray[np.int64] = log_probs.argmax(axis=1)
    path = np.concatenate([[-1], best, [-1]])
    if legal[path[:-1], path[1:]].all():
        return best
    n, n_labels = log_probs.shape
    penalty = np.where(legal, 0.0, -np.inf)
    score = log_probs[0] + penalty[-1, :n_labels]
    back = np.zeros((n, n_labels), dtype=np.int64)
    inner = penalty[:n_labels, :n_labels]
    for i in range(1, n):
        through = score[:, None] + inner
        back[i] = through.argmax(axis=0)
        score = through.max(axis=0) + log_probs[i]
    out = np.zeros(n, dtype=np.int64)
    out[-1] = int((score + penalty[:n_labels, -1]).argmax())
    for i in range(n - 1, 0, -1):
        out[i - 1] = back[i, out[i]]
    return out
