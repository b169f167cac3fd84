"""Write the sample of `make demo`: labelled text to train on, plain books to tag, and their README.

    python sample/make_sample.py [--out DIR]

The text is our own: names from `facts`, sentences from `patterns`, drawn with fixed seeds. The script writes the same
files every time, and a test compares them with the committed ones. It uses the standard library only and nothing of
rayner: the input of the demo must not change when rayner changes.
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

TaggedChar = tuple[str, str]  # a character and its tag
Sentence = list[TaggedChar]

N_SENTENCES = 1600  # of the labelled text
CHAPTER_CHARS = 2450  # a chapter ends with the paragraph that reaches this number
RARE_SHARE = 0.08  # of draws that take a rare name, so that held-out text has names that are not in the training text
NEW_SHARE = 0.3  # of draws, in the books to tag, that take a name absent from the labelled text
LONG_LINE_CHARS = 650  # of the line without an end of sentence

_SLOT = re.compile(r"\{([A-Z]+)(\d?)(?:\.([a-z]+)|=([^}]+))?\}")

PATTERNS = {
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


def plain_text(sentence: Iterable[TaggedChar]) -> str:
    """Return the characters without their tags."""
    return "".join(char for char, _ in sentence)


def tag_text(text: str, entity_type: str) -> Sentence:
    """Tag a text as one entity of this type (BMES), or as untagged."""
    if entity_type == UNTAGGED:
        return [(char, UNTAGGED) for char in text]
    prefixes = "S" if len(text) == 1 else "B" + "M" * (len(text) - 2) + "E"
    return [(char, f"{prefix}-{entity_type}") for char, prefix in zip(text, prefixes, strict=True)]


class SentenceGenerator:
    """Generate sentences and paragraphs from one seed, and no sentence twice.

    It uses `Random.random` alone: Python promises the same numbers in every version for this method only.
    """

    def __init__(self, seed: int, *, known_sentences: set[str], new_share: float = 0.0) -> None:
        self._random = random.Random(seed).random
        self._known_sentences = known_sentences
        self._new_share = new_share
        self._unused_patterns: dict[str, list[str]] = {}

    def _draw_index(self, n: int) -> int:
        return int(self._random() * n)

    def _next_pattern(self, group: str) -> str:
        """Return the next pattern of a shuffled group; none repeats before all were used."""
        unused = self._unused_patterns.get(group) or sorted(PATTERNS[group], key=lambda _: self._random())
        self._unused_patterns[group] = unused
        return unused.pop()

    def _draw_name(self, slot: str, used_names: set[str], *, lasting: bool) -> Views:
        """Draw a name that shares no view with the used ones. A lasting name is never a rare one."""
        pool = POOLS[slot]
        while True:
            choices = pool.usual
            if pool.new and self._random() < self._new_share:
                choices = pool.new
            elif pool.rare and not lasting and self._random() < RARE_SHARE:
                choices = pool.rare
            views = choices[self._draw_index(len(choices))]
            if used_names.isdisjoint(text for _, text in views.values()):
                return views

    def fill_pattern(self, pattern: str, cast: dict[str, Views]) -> Sentence | None:
        """Fill in a pattern. Numbered slots take their names from `cast`, or add them to it.

        Returns None and leaves `cast` unchanged if a name lacks the view of a slot (a person without a known style).
        """
        used_names = {text for views in cast.values() for _, text in views.values()}
        names = dict(cast)
        sentence: Sentence = []
        end = 0
        for match in _SLOT.finditer(pattern):
            slot, number, view, literal = match.groups()
            sentence += tag_text(pattern[end : match.start()], UNTAGGED)
            end = match.end()
            if literal:
                sentence += tag_text(literal, slot)
                continue
            key = slot + number
            if not number or key not in names:
                names[key] = self._draw_name(slot, used_names, lasting=bool(number))
                used_names.update(text for _, text in names[key].values())
            if (view or "") not in names[key]:
                return None
            entity_type, text = names[key][view or ""]
            sentence += tag_text(text, entity_type)
        cast.update((key, views) for key, views in names.items() if key[-1].isdigit())
        return sentence + tag_text(pattern[end:], UNTAGGED)

    def _generate_sentence(self, group: str, cast: dict[str, Views]) -> Sentence:
        """Generate a sentence that was not generated before."""
        while True:
            sentence = self.fill_pattern(self._next_pattern(group), cast)
            if sentence and (text := plain_text(sentence)) not in self._known_sentences:
                self._known_sentences.add(text)
                return sentence

    def generate_paragraph(self, shares: dict[str, float]) -> list[Sentence]:
        """Generate three to eight sentences with one cast. shares: how often each genre of paragraph is drawn."""
        n = 3 + self._draw_index(6)
        bounds = list(accumulate(shares.values()))
        genre = list(shares)[bisect(bounds, self._random() * bounds[-1])]
        groups = ["openings", *["deeds"] * (n - 2), "endings"] if genre == "lives" else [genre] * n
        cast: dict[str, Views] = {}
        return [self._generate_sentence(group, cast) for group in groups]


# --- the labelled text

LABELLED_SHARES = {"lives": 0.4, "annals": 0.2, "talks": 0.11, "notes": 0.12, "traps": 0.14, "dirty": 0.03}


def generate_labelled_paragraphs(known_sentences: set[str]) -> list[list[Sentence]]:
    """Generate the paragraphs of the labelled text."""
    generator = SentenceGenerator(20250401, known_sentences=known_sentences)
    paragraphs: list[list[Sentence]] = []
    while sum(map(len, paragraphs)) < N_SENTENCES:
        paragraphs.append(generator.generate_paragraph(LABELLED_SHARES))
    return paragraphs


def format_labelled_file(paragraphs: list[list[Sentence]]) -> str:
    """Format as one `char<TAB>tag` a line, with an empty line between paragraphs."""
    return "\n".join("".join(f"{char}\t{tag}\n" for s in paragraph for char, tag in s) for paragraph in paragraphs)


# --- the books to tag

BOOK_SHARES = {
    "石渚紀年": {"annals": 0.7, "lives": 0.1, "talks": 0.1, "notes": 0.05, "traps": 0.05},
    "北渚列傳": {"lives": 0.75, "annals": 0.05, "talks": 0.1, "notes": 0.05, "traps": 0.05},
    "松陰叢談": {"talks": 0.3, "notes": 0.3, "traps": 0.25, "lives": 0.15},
}
CHAPTERS = ("卷一", "卷二", "卷三", "卷四")


def _join_plain_text(sentences: Iterable[Sentence | None]) -> str:
    return "".join(plain_text(sentence) for sentence in sentences if sentence)


def _generate_long_line(generator: SentenceGenerator) -> str:
    """Generate a list that is too long for any model's window and has no end of sentence."""
    line = "從入關者"
    while len(line) <= LONG_LINE_CHARS:
        line += "，" + _join_plain_text([generator.fill_pattern("{NO}{NR}、{NS}{NO=守}{NR}、{NR}", {})])
    return line


def _add_fault(chapter: str, lines: list[str], generator: SentenceGenerator) -> None:
    """Add to some chapters one fault that real files have."""
    if chapter == "石渚紀年/卷二":
        lines.insert(len(lines) // 2, _generate_long_line(generator))
    elif chapter == "北渚列傳/卷一":  # U+2028: `str.splitlines` breaks the line there, reading by newline does not
        lines[2] = lines[2].replace("，", "，\u2028", 1)
    elif chapter == "北渚列傳/卷三":
        faults = ("{NR=張\ue1e0}為{NO}，鎮{NS}。", "校者曰：「{NS}下脫一字<疑是縣名。」")
        lines.insert(1, _join_plain_text(generator.fill_pattern(pattern, {}) for pattern in faults))


def generate_books(known_sentences: set[str]) -> dict[str, str]:
    """Return the text of each file by its path below `corpus/`. The last file has CRLF line ends."""
    files: dict[str, str] = {}
    for i, (book, shares) in enumerate(BOOK_SHARES.items()):
        generator = SentenceGenerator(7001 + i, known_sentences=known_sentences, new_share=NEW_SHARE)
        for name in CHAPTERS:
            chapter = f"{book}/{name}"
            lines: list[str] = []
            while sum(map(len, lines)) < CHAPTER_CHARS:
                lines.append(_join_plain_text(generator.generate_paragraph(shares)))
            _add_fault(chapter, lines, generator)
            newline = "\r\n" if chapter == "松陰叢談/卷四" else "\n"
            files[f"{chapter}.txt"] = newline.join([*lines, ""])
    return files


# --- the README

README = """\
# The sample corpus

The input of `make demo`: invented classical Chinese in traditional characters, small enough for two cores.

- `labelled.txt`: {sentences} sentences, {chars} characters, {paragraphs} paragraphs with an empty line between them.
  One `char<TAB>tag` a line; tags are `O` and `B-X M-X E-X S-X` for six types X.
  Entities, with the number of different ones: {types}.
- `corpus/BOOK/CHAPTER.txt`: {chapters} chapters of three invented books, {plain} characters of plain text to tag.
  Some of their names and all of their sentences do not occur in `labelled.txt`.
- `make_sample.py` writes all of this, and this page, from the names in `facts.py` and the sentences in `patterns.py`.
  Change those, never the output: a test compares them.

The text is ambiguous on purpose: 魏 is a state and a surname, 相 an office, a given name and a common word, 武安 a
place and part of a title, 《管子》 a book and 管子 its master, 三年 a date or (居三年) a duration. The rules are in
`patterns.py`.

Some of the text is dirty on purpose, as real files are: private-use characters and one outside the BMP in names,
literal `<` and `&`, a U+2028 inside a line, a line of over {long} characters without an end of sentence, a CRLF file.

The names are real. The events are invented, and persons of different ages meet. Nothing is copied from a book.
The text is synthetic: a score on it shows that the system works, and nothing about quality on real text.

Licence: Apache-2.0, as the project. The text is our own.
"""
TYPE_MEANINGS = {"NR": "person", "NS": "place", "NB": "book", "NO": "office", "NG": "state", "T": "time"}


def count_entities(paragraphs: list[list[Sentence]]) -> Counter[tuple[str, str]]:
    """Count the entities by (type, text)."""
    counts: Counter[tuple[str, str]] = Counter()
    text = ""
    for char, tag in (pair for paragraph in paragraphs for sentence in paragraph for pair in sentence):
        prefix, _, entity_type = tag.partition("-")
        text = char if prefix in "BS" else text + char
        if prefix in "ES":
            counts[entity_type, text] += 1
    return counts


def format_readme(paragraphs: list[list[Sentence]], files: dict[str, str]) -> str:
    """Return the README with the counts of the sample."""
    counts = count_entities(paragraphs)
    types = []
    for entity_type, meaning in TYPE_MEANINGS.items():
        of_type = [n for (other_type, _), n in counts.items() if other_type == entity_type]
        types.append(f"{entity_type} {meaning} {sum(of_type)} ({len(of_type)})")
    return README.format(
        sentences=sum(map(len, paragraphs)),
        chars=sum(len(sentence) for paragraph in paragraphs for sentence in paragraph),
        paragraphs=len(paragraphs),
        chapters=len(files),
        plain=sum(map(len, files.values())),
        types=", ".join(types),
        long=LONG_LINE_CHARS,
    )


def _write(path: Path, text: str) -> None:
    """Write exactly these characters; no system translates the line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def main() -> None:
    """Write the sample below `--out` (default: beside this script)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out: Path = parser.parse_args().out
    known_sentences: set[str] = set()  # shared, so that the books repeat no sentence of the labelled text
    paragraphs = generate_labelled_paragraphs(known_sentences)
    files = generate_books(known_sentences)
    _write(out / "labelled.txt", format_labelled_file(paragraphs))
    for path, text in files.items():
        _write(out / "corpus" / path, text)
    _write(out / "README.md", format_readme(paragraphs, files))


if __name__ == "__main__":
    main()
