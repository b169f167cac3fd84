"""Labelled sentences: cut from labelled files, divided into training, dev and test, kept as JSON lines."""

import hashlib
import heapq
import json
import random
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rayner.text.labelled import Example
from rayner.text.segmentation import core, sentences
from rayner.text.spans import Span, checked


def sentences_of(text: str, spans: Sequence[Span]) -> list[Example]:
    """The sentences of a labelled text with their entities; sentences that share an entity stay together.

    Joined, they are the text, and every entity is in exactly one of them.
    """
    out: list[Example] = []
    waiting = list(reversed(checked(spans, len(text))))
    start = 0
    for _, end in sentences(text):
        inside: list[Span] = []
        k = len(waiting)
        while k and waiting[k - 1].start < end:
            k -= 1
            inside.append(waiting[k].shifted(-start))
        if inside and inside[-1].end > end - start:
            continue  # the last entity goes on past this end
        del waiting[k:]
        out.append(Example(text[start:end], tuple(inside)))
        start = end
    return out


def divide(examples: Sequence[Example], dev: float, test: float, seed: int) -> dict[str, list[Example]]:
    """Examples as `train`, `dev` and `test`, by a seeded draw over distinct texts.

    All copies of a sentence fall into one part, so that none is trained on and tested on. Order is kept.
    """
    texts = sorted({example.text for example in examples})
    random.Random(seed).shuffle(texts)
    n_dev, n_test = round(len(texts) * dev), round(len(texts) * test)
    part = dict.fromkeys(texts, "train")
    part.update(dict.fromkeys(texts[:n_dev], "dev"))
    part.update(dict.fromkeys(texts[n_dev : n_dev + n_test], "test"))
    out: dict[str, list[Example]] = {"train": [], "dev": [], "test": []}
    for example in examples:
        out[part[example.text]].append(example)
    return out


def parts_of(examples: Sequence[Example], n: int, seed: int) -> list[list[Example]]:
    """The examples in n parts of about the same number of distinct texts, by a seeded draw.

    All copies of a sentence fall into one part. Order is kept.
    """
    texts = sorted({example.text for example in examples})
    random.Random(seed).shuffle(texts)
    part = {text: i % n for i, text in enumerate(texts)}
    return [[example for example in examples if part[example.text] == i] for i in range(n)]


def draw(
    texts: Iterable[str], n: int, seed: int, *, longest: int, without: Collection[str] = frozenset(), shortest: int = 8
) -> list[str]:
    """At most n distinct sentences of the texts, without white space at their edges, by a seeded draw; in its order.

    shortest, longest: characters. What is in `without` is left out. Memory is for n sentences.
    """
    kept: list[tuple[int, str]] = []  # a heap whose first has the largest number, negated
    inside: set[str] = set()
    for text in texts:
        for first, last in sentences(text):
            start, end = core(text[first:last])
            found = text[first + start : first + end]
            if not shortest <= len(found) <= longest or found in inside or found in without:
                continue
            number = -int.from_bytes(hashlib.blake2b(f"{seed}\0{found}".encode(), digest_size=8).digest(), "big")
            if len(kept) == n and number < kept[0][0]:
                continue
            inside.add(found)
            heapq.heappush(kept, (number, found))
            if len(kept) > n:
                inside.remove(heapq.heappop(kept)[1])
    return [found for _, found in sorted(kept, reverse=True)]


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON object a line: text and spans."""
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for example in examples:
            spans = [[span.start, span.end, span.type] for span in example.spans]
            out.write(json.dumps({"text": example.text, "spans": spans}, ensure_ascii=False) + "\n")


def read_examples(path: Path) -> list[Example]:
    """Read them back. Raises OSError or ValueError for a file that `write_examples` did not write."""
    with open(path, encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    try:
        return [Example(row["text"], tuple(Span(*span) for span in row["spans"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected text and spans on each line: {error!r}") from error
