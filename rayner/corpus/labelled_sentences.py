"""Labelled sentences: cut from labelled files, divided into training, dev and test, kept as JSON lines."""

import hashlib
import heapq
import json
import random
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import bounds_without_whitespace, split_sentences
from rayner.text.spans import Span, sort_and_check_spans


def split_labelled_text(text: str, spans: Sequence[Span]) -> list[LabelledSentence]:
    """The sentences of a labelled text with their entities; sentences that share an entity stay together.

    Joined, they are the text, and every entity is in exactly one of them.
    """
    out: list[LabelledSentence] = []
    waiting = list(reversed(sort_and_check_spans(spans, len(text))))
    start = 0
    for _, end in split_sentences(text):
        inside: list[Span] = []
        k = len(waiting)
        while k and waiting[k - 1].start < end:
            k -= 1
            inside.append(waiting[k].shift(-start))
        if inside and inside[-1].end > end - start:
            continue  # the last entity goes on past this end
        del waiting[k:]
        out.append(LabelledSentence(text[start:end], tuple(inside)))
        start = end
    return out


def split_train_dev_test(
    sentences: Sequence[LabelledSentence], dev_share: float, test_share: float, seed: int
) -> dict[str, list[LabelledSentence]]:
    """Examples as `train`, `dev` and `test`, by a seeded draw over distinct texts.

    All copies of a sentence fall into one part, so that none is trained on and tested on. Order is kept.
    """
    texts = sorted({example.text for example in sentences})
    random.Random(seed).shuffle(texts)
    n_dev, n_test = round(len(texts) * dev_share), round(len(texts) * test_share)
    part = dict.fromkeys(texts, "train")
    part.update(dict.fromkeys(texts[:n_dev], "dev"))
    part.update(dict.fromkeys(texts[n_dev : n_dev + n_test], "test"))
    out: dict[str, list[LabelledSentence]] = {"train": [], "dev": [], "test": []}
    for example in sentences:
        out[part[example.text]].append(example)
    return out


def split_folds(sentences: Sequence[LabelledSentence], n_folds: int, seed: int) -> list[list[LabelledSentence]]:
    """The examples in n parts of about the same number of distinct texts, by a seeded draw.

    All copies of a sentence fall into one part. Order is kept.
    """
    texts = sorted({example.text for example in sentences})
    random.Random(seed).shuffle(texts)
    part = {text: i % n_folds for i, text in enumerate(texts)}
    return [[example for example in sentences if part[example.text] == i] for i in range(n_folds)]


def sample_sentences(
    texts: Iterable[str],
    n: int,
    seed: int,
    *,
    max_chars: int,
    exclude: Collection[str] = frozenset(),
    min_chars: int = 8,
) -> list[str]:
    """At most n distinct sentences of the texts, without white space at their edges, by a seeded draw; in its order.

    shortest, longest: characters. What is in `without` is left out. Memory is for n sentences.
    """
    kept: list[tuple[int, str]] = []  # a heap whose first has the largest number, negated
    inside: set[str] = set()
    for text in texts:
        for first, last in split_sentences(text):
            start, end = bounds_without_whitespace(text[first:last])
            found = text[first + start : first + end]
            if not min_chars <= len(found) <= max_chars or found in inside or found in exclude:
                continue
            number = -int.from_bytes(hashlib.blake2b(f"{seed}\0{found}".encode(), digest_size=8).digest(), "big")
            if len(kept) == n and number < kept[0][0]:
                continue
            inside.add(found)
            heapq.heappush(kept, (number, found))
            if len(kept) > n:
                inside.remove(heapq.heappop(kept)[1])
    return [found for _, found in sorted(kept, reverse=True)]


def write_labelled_sentences(path: Path, sentences: Iterable[LabelledSentence]) -> None:
    """Write one JSON object a line: text and spans."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for example in sentences:
            spans = [[span.start, span.end, span.type] for span in example.spans]
            out.write(json.dumps({"text": example.text, "spans": spans}, ensure_ascii=False) + "\n")


def read_labelled_sentences(path: Path) -> list[LabelledSentence]:
    """Read them back. Raises OSError or ValueError for a file that `write_labelled_sentences` did not write."""
    with open(path, encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    try:
        return [LabelledSentence(row["text"], tuple(Span(*span) for span in row["spans"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected text and spans on each line: {error!r}") from error
