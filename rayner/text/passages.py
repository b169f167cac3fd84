"""Passages: consecutive sentences of a labelled text that stay together when sentences are divided.

Sentences of one document share names and style. If some of them are in training and others are held out, the scores
promise more than the models hold on another document. So whole passages are held out: documents, or blocks of
consecutive sentences.
"""

import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol

BLOCKS_OF_A_PART = 3  # fewer: less of the text is seen; more: names of the neighbouring training text are in each block


class PassageSentence(Protocol):
    """A sentence that knows its passage."""

    @property
    def text(self) -> str:
        """The text of the sentence."""

    @property
    def passage(self) -> int | None:
        """The number of the passage; None if the sentence and its copies are a passage of their own."""


class DocumentSegment(PassageSentence, Protocol):
    """A sentence that knows its document, too."""

    @property
    def doc_id(self) -> str:
        """The document, or the part of the labelled text that the sentence belongs to."""


def cut_into_blocks(n_sentences: Sequence[int], share: float) -> list[int]:
    """Cut documents into blocks of consecutive sentences. Return the number of the block of each sentence.

    n_sentences: the number of sentences of each document. No block reaches from one document into the next.
    share: the share of all sentences that a held-out part gets. It is made of about BLOCKS_OF_A_PART blocks.
    """
    size = max(1.0, sum(n_sentences) * share / BLOCKS_OF_A_PART)
    blocks: list[int] = []
    for n in n_sentences:
        first, n_blocks = (blocks[-1] + 1 if blocks else 0), max(1, round(n / size))
        blocks += [first + i * n_blocks // n for i in range(n)]
    return blocks


def assign_part_by_text(sentences: Sequence[PassageSentence], shares: Sequence[float], seed: int) -> dict[str, int]:
    """Draw whole passages for each part at random. Return the number of the part of each text.

    Parts 0, 1, ... have the given shares of the distinct texts, as nearly as whole passages allow. The last part,
    `len(shares)`, gets the rest. A part with a share gets at least one passage, unless its share is less than half a
    text. All copies of a text are in the part of the passage in which it occurs first.
    """
    passages = _shuffle_passages(sentences, seed)
    n_texts = sum(map(len, passages))
    parts: dict[str, int] = {}
    for part, share in enumerate(shares):
        chosen = _choose_passages(passages, round(n_texts * share))
        parts.update((text, part) for i in chosen for text in passages[i])
        passages = [passage for i, passage in enumerate(passages) if i not in chosen]
    parts.update((text, len(shares)) for passage in passages for text in passage)
    return parts


def assign_fold_by_text(sentences: Sequence[PassageSentence], n_folds: int, seed: int) -> dict[str, int]:
    """Divide whole passages at random into folds with roughly equal numbers of them. Return the fold of each text.

    With fewer passages than folds, there are fewer folds. The texts of a single passage are divided one by one. All
    copies of a text are in one fold.
    """
    passages = _shuffle_passages(sentences, seed)
    if len(passages) == 1:
        passages = _shuffle_groups({sentence.text: sentence.text for sentence in sentences}, seed)
    return {text: i % n_folds for i, passage in enumerate(passages) for text in passage}


def _shuffle_passages(sentences: Iterable[PassageSentence], seed: int) -> list[list[str]]:
    """Return the distinct texts of each passage, without those of earlier ones; the passages in random order."""
    keys: dict[str, Hashable] = {}
    for sentence in sentences:
        keys.setdefault(sentence.text, sentence.text if sentence.passage is None else sentence.passage)
    return _shuffle_groups(keys, seed)


def _shuffle_groups(keys: Mapping[str, Hashable], seed: int) -> list[list[str]]:
    """Group the texts by key. Return the groups in random order, which depends on the seed and the texts alone."""
    groups: dict[Hashable, list[str]] = {}
    for text, key in keys.items():
        groups.setdefault(key, []).append(text)
    ordered = sorted(groups.values(), key=min)
    random.Random(seed).shuffle(ordered)
    return ordered


def _choose_passages(passages: Sequence[Sequence[str]], n_texts: int) -> set[int]:
    """Return the numbers of passages that have about n_texts texts together.

    Each passage is taken, in order, if it brings the number of texts nearer to n_texts. If none is, the smallest is.
    """
    chosen, missing = set(), n_texts
    for i, passage in enumerate(passages):
        if abs(missing - len(passage)) < missing:
            chosen.add(i)
            missing -= len(passage)
    if n_texts and passages and not chosen:
        chosen.add(min(range(len(passages)), key=lambda i: len(passages[i])))
    return chosen


def group_indices_by_document(segments: Sequence[DocumentSegment]) -> list[list[int]]:
    """Return the indices of the segments of each document or passage, in the order of its first segment."""
    groups: dict[Hashable, list[int]] = {}
    for i, segment in enumerate(segments):
        groups.setdefault((segment.doc_id, segment.passage), []).append(i)
    return list(groups.values())
