"""Write the sample corpus of `make demo`: labelled text to learn from, plain books to tag, and their README.

    python sample/make_sample.py [--out DIR]

The text is our own (names in `facts`, sentences in `patterns`), drawn with fixed seeds: the same files come out every
time, and a test holds the committed ones to this script. Standard library only, and no part of rayner: the demo's
input must not change because the product does.
"""

import argparse
import random
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import patterns
from facts import POOLS, UNTAGGED, Views

Char = tuple[str, str]  # a character and its tag
Sentence = list[Char]

SENTENCES = 1600  # of labelled text
CHAPTER_CHARS = 2450  # a chapter ends with the paragraph that reaches this
RARE_SHARE = 0.08  # of draws that take a rare name, so that held-out text has names never seen in training
NEW_SHARE = 0.3  # of draws, in the books to tag, that take a name absent from the labelled text
LONG_LINE = 650  # characters of the line without an end of sentence

_SLOT = re.compile(r"\{([A-Z]+)(\d?)(?:\.([a-z]+)|=([^}]+))?\}")

GROUPS = {
    "openings": patterns.OPENINGS.split(),
    "deeds": patterns.DEEDS.split(),
    "endings": patterns.ENDINGS.split(),
    "annals": patterns.ANNALS.split(),
    "talks": patterns.TALKS.split(),
    "notes": patterns.NOTES.split(),
    "traps": patterns.TRAPS.split(),
    "dirty": patterns.DIRTY.split(),
}


# --- sentences and paragraphs


def text_of(sentence: Iterable[Char]) -> str:
    """The characters without their tags."""
    return "".join(char for char, _ in sentence)


def tagged(text: str, kind: str) -> Sentence:
    """The text as one entity of this type (BMES), or untagged."""
    if kind == UNTAGGED:
        return [(char, UNTAGGED) for char in text]
    prefixes = "S" if len(text) == 1 else "B" + "M" * (len(text) - 2) + "E"
    return [(char, f"{prefix}-{kind}") for char, prefix in zip(text, prefixes, strict=True)]


class Scribe:
    """Draws sentences and paragraphs from one seed; never writes a sentence twice.

    Only `Random.random` is used: of the generator's methods, it alone is promised to give the same numbers under
    every version of Python.
    """

    def __init__(self, seed: int, *, seen: set[str], new_share: float = 0.0) -> None:
        self._random = random.Random(seed).random
        self._seen = seen
        self._new_share = new_share
        self._decks: dict[str, list[str]] = {}

    def _index(self, n: int) -> int:
        return int(self._random() * n)

    def _pattern(self, group: str) -> str:
        """The next pattern of a shuffled deck, so that every pattern is used before one is used again."""
        deck = self._decks.get(group) or sorted(GROUPS[group], key=lambda _: self._random())
        self._decks[group] = deck
        return deck.pop()

    def _draw(self, kind: str, taken: set[str], *, lasting: bool) -> Views:
        """Something that shares no name with those taken; a rare name never lasts through a paragraph."""
        pool = POOLS[kind]
        while True:
            choices = pool.usual
            if pool.new and self._random() < self._new_share:
                choices = pool.new
            elif pool.rare and not lasting and self._random() < RARE_SHARE:
                choices = pool.rare
            views = choices[self._index(len(choices))]
            if taken.isdisjoint(text for _, text in views.values()):
                return views

    def render(self, pattern: str, cast: dict[str, Views]) -> Sentence | None:
        """The pattern filled in; lasting names come from `cast` and are added to it.

        None, and `cast` as it was, if a name lacks the view asked for (a person whose style is unknown).
        """
        taken = {text for views in cast.values() for _, text in views.values()}
        drawn = dict(cast)
        sentence: Sentence = []
        end = 0
        for slot in _SLOT.finditer(pattern):
            kind, number, view, literal = slot.groups()
            sentence += tagged(pattern[end : slot.start()], UNTAGGED)
            end = slot.end()
            if literal:
                sentence += tagged(literal, kind)
                continue
            key = kind + number
            if not number or key not in drawn:
                drawn[key] = self._draw(kind, taken, lasting=bool(number))
                taken.update(text for _, text in drawn[key].values())
            if (view or "") not in drawn[key]:
                return None
            entity_type, text = drawn[key][view or ""]
            sentence += tagged(text, entity_type)
        cast.update((key, views) for key, views in drawn.items() if key[-1].isdigit())
        return sentence + tagged(pattern[end:], UNTAGGED)

    def _fresh(self, group: str, cast: dict[str, Views]) -> Sentence:
        """A sentence that was not written before."""
        while True:
            sentence = self.render(self._pattern(group), cast)
            if sentence and (text := text_of(sentence)) not in self._seen:
                self._seen.add(text)
                return sentence

    def paragraph(self, mix: dict[str, float]) -> list[Sentence]:
        """Three to eight sentences with one cast; mix: the shares of the sorts of paragraph."""
        n = 3 + self._index(6)
        shares = list(accumulate(mix.values()))
        sort = list(mix)[bisect(shares, self._random() * shares[-1])]
        groups = ["openings", *["deeds"] * (n - 2), "endings"] if sort == "lives" else [sort] * n
        cast: dict[str, Views] = {}
        return [self._fresh(group, cast) for group in groups]


# --- the labelled text

LABELLED = {"lives": 0.4, "annals": 0.2, "talks": 0.11, "notes": 0.12, "traps": 0.14, "dirty": 0.03}


def labelled(seen: set[str]) -> list[list[Sentence]]:
    """The paragraphs of the labelled text."""
    scribe = Scribe(20250401, seen=seen)
    paragraphs: list[list[Sentence]] = []
    while sum(map(len, paragraphs)) < SENTENCES:
        paragraphs.append(scribe.paragraph(LABELLED))
    return paragraphs


def labelled_file(paragraphs: list[list[Sentence]]) -> str:
    """`char<TAB>tag` a line, an empty line between paragraphs."""
    return "\n".join("".join(f"{char}\t{tag}\n" for s in paragraph for char, tag in s) for paragraph in paragraphs)


# --- the books to tag

BOOKS = {
    "石渚紀年": {"annals": 0.7, "lives": 0.1, "talks": 0.1, "notes": 0.05, "traps": 0.05},
    "北渚列傳": {"lives": 0.75, "annals": 0.05, "talks": 0.1, "notes": 0.05, "traps": 0.05},
    "松陰叢談": {"talks": 0.3, "notes": 0.3, "traps": 0.25, "lives": 0.15},
}
CHAPTERS = ("卷一", "卷二", "卷三", "卷四")


def _plain(paragraph: Iterable[Sentence | None]) -> str:
    return "".join(text_of(sentence) for sentence in paragraph if sentence)


def _long_line(scribe: Scribe) -> str:
    """A list too long for any model's window, with no end of sentence to cut it at."""
    line = "從入關者"
    while len(line) <= LONG_LINE:
        line += "，" + _plain([scribe.render("{NO}{NR}、{NS}{NO=守}{NR}、{NR}", {})])
    return line


def _blemish(chapter: str, lines: list[str], scribe: Scribe) -> None:
    """Give some chapters one fault each that real files have."""
    if chapter == "石渚紀年/卷二":
        lines.insert(len(lines) // 2, _long_line(scribe))
    elif chapter == "北渚列傳/卷一":  # U+2028: `str.splitlines` breaks the line there, reading by newline does not
        lines[2] = lines[2].replace("，", "，\u2028", 1)
    elif chapter == "北渚列傳/卷三":
        faults = ("{NR=張\ue1e0}為{NO}，鎮{NS}。", "校者曰：「{NS}下脫一字<疑是縣名。」")
        lines.insert(1, _plain(scribe.render(pattern, {}) for pattern in faults))


def books(seen: set[str]) -> dict[str, str]:
    """Path below `corpus/` -> text; the last file has CRLF line ends."""
    files: dict[str, str] = {}
    for number, (book, mix) in enumerate(BOOKS.items()):
        scribe = Scribe(7001 + number, seen=seen, new_share=NEW_SHARE)
        for name in CHAPTERS:
            chapter = f"{book}/{name}"
            lines: list[str] = []
            while sum(map(len, lines)) < CHAPTER_CHARS:
                lines.append(_plain(scribe.paragraph(mix)))
            _blemish(chapter, lines, scribe)
            newline = "\r\n" if chapter == "松陰叢談/卷四" else "\n"
            files[f"{chapter}.txt"] = newline.join([*lines, ""])
    return files


# --- the README

README = """\
# The sample corpus

What `make demo` trains on and tags: made-up classical Chinese in traditional characters, small enough for two cores.

- `labelled.txt`: {sentences} sentences, {chars} characters, {paragraphs} paragraphs with an empty line between them.
  One `char<TAB>tag` a line; tags are `O` and `B-X M-X E-X S-X` for six types X.
  Entities (different ones): {types}.
- `corpus/BOOK/CHAPTER.txt`: {chapters} chapters of three invented books, {plain} characters of plain text to tag.
  Some of their names never occur in `labelled.txt`, and none of their sentences does.
- `make_sample.py` writes all of this, this page too, from the names in `facts.py` and the sentences in `patterns.py`.
  Change those, never the output: a test compares.

It is ambiguous on purpose: 魏 is a state and a surname, 相 an office, a given name and a common word, 武安 a place and
part of a title, 《管子》 a book and 管子 its master, 三年 a date or (居三年) a duration; `patterns.py` has the rules.

Some of it is dirty on purpose, as real files are: private-use characters and one outside the BMP in names, literal
`<` and `&`, a U+2028 inside a line, a line of over {long} characters without an end of sentence, a CRLF file.

The names are facts; the events are invented, and persons of different ages meet. Nothing is copied from a book.
The text is synthetic: a score on it says that the machinery works, and nothing about quality on real text.

Licence: Apache-2.0, as the project; the text is our own.
"""
MEANINGS = {"NR": "person", "NS": "place", "NB": "book", "NO": "office", "NG": "state", "T": "time"}


def entities(paragraphs: list[list[Sentence]]) -> Counter[tuple[str, str]]:
    """(type, text) -> how often it is tagged."""
    found: Counter[tuple[str, str]] = Counter()
    text = ""
    for char, tag in (pair for paragraph in paragraphs for sentence in paragraph for pair in sentence):
        prefix, _, kind = tag.partition("-")
        text = char if prefix in "BS" else text + char
        if prefix in "ES":
            found[kind, text] += 1
    return found


def readme(paragraphs: list[list[Sentence]], files: dict[str, str]) -> str:
    """The README, with the counts of what was written."""
    found = entities(paragraphs)
    types = []
    for kind, meaning in MEANINGS.items():
        counts = [n for (found_kind, _), n in found.items() if found_kind == kind]
        types.append(f"{kind} {meaning} {sum(counts)} ({len(counts)})")
    return README.format(
        sentences=sum(map(len, paragraphs)),
        chars=sum(len(sentence) for paragraph in paragraphs for sentence in paragraph),
        paragraphs=len(paragraphs),
        chapters=len(files),
        plain=sum(map(len, files.values())),
        types=", ".join(types),
        long=LONG_LINE,
    )


def _write(path: Path, text: str) -> None:
    """Exactly these characters: no newline is translated, on any system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def main() -> None:
    """Write the sample below `--out` (default: beside this script)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out: Path = parser.parse_args().out
    seen: set[str] = set()  # shared, so that no sentence of the books stands in the labelled text
    paragraphs = labelled(seen)
    files = books(seen)
    _write(out / "labelled.txt", labelled_file(paragraphs))
    for path, text in files.items():
        _write(out / "corpus" / path, text)
    _write(out / "README.md", readme(paragraphs, files))


if __name__ == "__main__":
    main()
