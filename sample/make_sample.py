"""Write the sample corpus of `make demo`: labelled text to learn from, plain books to tag, and their README.

    python sample/make_sample.py [--out DIR]

The text is our own (patterns and names in `facts`), drawn with fixed seeds, so that the same files come out every
time and a test can hold the committed ones to this script. Standard library only, no part of rayner: the demo's input
must not change because the product does.
"""

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import facts

Char = tuple[str, str]  # a character and its tag
Sentence = list[Char]
Views = dict[str, tuple[str, str]]  # the ways to name one thing: view -> (entity type, text); "" is the plain name

SENTENCES = 1500  # of labelled text
CHAPTER_CHARS = 2450  # a chapter ends with the paragraph that reaches this
RARE_SHARE = 0.08  # of draws that take a rare name, so that held-out text has names never seen in training
NEW_SHARE = 0.3  # of draws, in the books to tag, that take a name absent from the labelled text
LONG_LINE = 650  # characters of the line without an end of sentence

_SLOT = re.compile(r"\{([A-Z]+)(\d?)(?:\.([a-z]+)|=([^}]+))?\}")
_TYPES = ("NR", "NS", "NB", "NO", "NG", "T")
_UNTAGGED = "O"


# --- names and their views


def _named(kind: str) -> Callable[[str], Views]:
    """Entries that have one name only, of type `kind`."""
    return lambda text: {"": (kind, text)}


def _person(entry: str) -> Views:
    """周·勃 or 張·良·子房; after the first mention annals use the given name or the style alone."""
    surname, given, *style = entry.split("·")
    views = {"": ("NR", surname + given), "given": ("NR", given), "general": ("NR", surname + "將軍")}
    return views | {"style": ("NR", text) for text in style}


def _state(entry: str) -> Views:
    """魏王: the state 魏, its ruler 魏王 and the longer name 魏國, which some persons bear too (鄭國)."""
    name = entry[:-1]
    views = {"": ("NG", name), "king": ("NR", entry)}
    return views | ({"land": ("NG", name + "國")} if len(name) == 1 else {})


def _place(entry: str) -> Views:
    """武安 is a place, and 武安君 the person who holds it."""
    return {"": ("NS", entry), "lord": ("NR", entry + "君")}


def _sage(entry: str) -> Views:
    """管子 is a person and the name of his book."""
    return {"master": ("NR", entry), "book": ("NB", entry)}


@dataclass(frozen=True)
class Pool:
    """What a kind of slot draws from: usual names, rare ones, and those kept for the books to tag."""

    usual: list[Views]
    rare: list[Views]
    new: list[Views]


def _pool(view: Callable[[str], Views], entries: Iterable[str], *, new: str = "", rare: bool = False) -> Pool:
    """rare: every fourth entry becomes a rare one."""
    views = [view(entry) for entry in entries]
    return Pool(
        usual=[v for i, v in enumerate(views) if not rare or i % 4 != 3],
        rare=[v for i, v in enumerate(views) if rare and i % 4 == 3],
        new=[view(entry) for entry in new.split()],
    )


def _counted(stop: int) -> list[str]:
    """The numerals 一, 二, ... below `stop` (at most 30)."""
    tens = ["", "十", "二十"]
    return [tens[n // 10] + (facts.DIGITS[n % 10 - 1] if n % 10 else "") for n in range(1, stop)]


def _pools() -> dict[str, Pool]:
    """One pool a slot name; times are composed here."""
    years = [f"{n}年" for n in ["元", *_counted(20)[1:]]]
    months = ["正月", *(f"{n}月" for n in _counted(13)[1:]), "閏月"]
    quarters = zip("春夏秋冬", (months[:3], months[3:6], months[6:9], months[9:12]), strict=True)
    seasons = [text for name, three in quarters for text in (name, *(name + month for month in three))]
    days = [facts.STEMS[i % 10] + facts.BRANCHES[i % 12] for i in range(60)]
    new_years = " ".join(era + year for era in facts.NEW_ERAS.split() for year in years)
    return {
        "NR": _pool(_person, facts.PERSONS.split(), new=facts.NEW_PERSONS, rare=True),
        "NS": _pool(_place, facts.PLACES.split(), new=facts.NEW_PLACES, rare=True),
        "NG": _pool(_state, facts.STATES.split(), new=facts.NEW_STATES),
        "NO": _pool(_named("NO"), facts.OFFICES.split()),
        "NB": _pool(_named("NB"), facts.BOOKS.split(), new=facts.NEW_BOOKS),
        "ODD": _pool(_person, facts.ODD_PERSONS.split()),
        "RULER": _pool(_named("NR"), facts.RULERS.split()),
        "LORD": _pool(_named("NR"), facts.LORDS.split()),
        "POST": _pool(_named("NR"), facts.POSTHUMOUS.split()),
        "SAGE": _pool(_sage, facts.SAGES.split()),
        "YEAR": _pool(_named("T"), [era + year for era in facts.ERAS.split() for year in years], new=new_years),
        "NYEAR": _pool(_named("T"), years),
        "SEASON": _pool(_named("T"), seasons),
        "MONTH": _pool(_named("T"), months),
        "DAY": _pool(_named("T"), days),
        "LATER": _pool(_named("T"), facts.LATER.split()),
        "PAST": _pool(_named("T"), facts.PAST.split()),
        "NUM": _pool(_named(_UNTAGGED), [*_counted(10)[1:], "數"]),
    }


POOLS = _pools()
GROUPS = {
    "openings": facts.OPENINGS.split(),
    "deeds": facts.DEEDS.split(),
    "endings": facts.ENDINGS.split(),
    "annals": facts.ANNALS.split(),
    "talks": facts.TALKS.split(),
    "notes": facts.NOTES.split(),
    "traps": facts.TRAPS.split(),
    "dirty": facts.DIRTY.split(),
}


# --- sentences and paragraphs


def text_of(sentence: Iterable[Char]) -> str:
    """The characters without their tags."""
    return "".join(char for char, _ in sentence)


def tagged(text: str, kind: str) -> Sentence:
    """The text as one entity of this type (BMES), or untagged."""
    if kind == _UNTAGGED:
        return [(char, _UNTAGGED) for char in text]
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

        None if a name lacks the view that the pattern asks for (a person whose style is unknown).
        """
        taken = {text for views in cast.values() for _, text in views.values()}
        drawn = dict(cast)
        sentence: Sentence = []
        end = 0
        for slot in _SLOT.finditer(pattern):
            kind, number, view, literal = slot.groups()
            sentence += tagged(pattern[end : slot.start()], _UNTAGGED)
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
        return sentence + tagged(pattern[end:], _UNTAGGED)

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
        roll = self._random() * sum(mix.values())
        for sort, share in mix.items():  # noqa: B007 - the sort at which the roll stops is the one wanted
            roll -= share
            if roll < 0:
                break
        groups = ["openings", *["deeds"] * (n - 2), "endings"] if sort == "lives" else [sort] * n
        if sort == "notes" and self._random() < 0.5:
            groups[-1] = "dirty"
        cast: dict[str, Views] = {}
        return [self._fresh(group, cast) for group in groups]


# --- the labelled text


def labelled(seen: set[str]) -> list[list[Sentence]]:
    """The paragraphs of the labelled text."""
    scribe = Scribe(20250401, seen=seen)
    paragraphs: list[list[Sentence]] = []
    while sum(map(len, paragraphs)) < SENTENCES:
        paragraphs.append(scribe.paragraph({"lives": 0.4, "annals": 0.22, "talks": 0.12, "notes": 0.13, "traps": 0.13}))
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


def _plain(paragraph: list[Sentence]) -> str:
    return "".join(map(text_of, paragraph))


def _long_line(scribe: Scribe) -> str:
    """A list too long for any model's window, with no end of sentence to cut it at."""
    line = "從入關者"
    while len(line) <= LONG_LINE:
        line += "，" + text_of(scribe.render("{NO}{NR}、{NS}{NO=守}{NR}、{NR}", {}) or [])
    return line


def _line_separator(line: str) -> str:
    """U+2028 after the first comma: `str.splitlines` breaks the line there, a file's lines do not."""
    return line.replace("，", "，\u2028", 1)


def books(seen: set[str]) -> dict[str, str]:
    """Path below `corpus/` -> text. Four chapters each hold one fault of real files."""
    files: dict[str, str] = {}
    for number, (book, mix) in enumerate(BOOKS.items()):
        scribe = Scribe(7001 + number, seen=seen, new_share=NEW_SHARE)
        for chapter in CHAPTERS:
            lines: list[str] = []
            while sum(map(len, lines)) < CHAPTER_CHARS:
                lines.append(_plain(scribe.paragraph(mix)))
            if (book, chapter) == ("石渚紀年", "卷二"):
                lines.insert(len(lines) // 2, _long_line(scribe))
            if (book, chapter) == ("北渚列傳", "卷一"):
                lines[2] = _line_separator(lines[2])
            if (book, chapter) == ("北渚列傳", "卷三"):
                dirty = [scribe.render(pattern, {}) or [] for pattern in ("{NR=張\ue1e0}為{NO}，鎮{NS}。", "{NS}下<闕。")]
                lines.insert(1, _plain(dirty))
            newline = "\r\n" if (book, chapter) == ("松陰叢談", "卷四") else "\n"
            files[f"{book}/{chapter}.txt"] = newline.join([*lines, ""])
    return files


# --- the README

README = """\
# The sample corpus

What `make demo` trains on and tags: made-up classical Chinese in traditional characters, small enough for two cores.

- `labelled.txt`: {sentences} sentences, {chars} characters in {paragraphs} paragraphs. One `char<TAB>tag` a line, an
  empty line between paragraphs. Tags are `O` and `B-X M-X E-X S-X` for six types X.
- `corpus/BOOK/CHAPTER.txt`: {books} chapters of three invented books, {plain} characters of plain text to tag.
  About a third of their names never occur in `labelled.txt`.
- `make_sample.py` writes all of this, this page too; `facts.py` holds the names and the sentence patterns.

| type | meaning | entities | distinct |
|---|---|---|---|
{types}

It is ambiguous on purpose: 魏 is a state and a surname, 相 an office, a given name and a common word, 武安 a place and
part of a title, 《管子》 a book and 管子 its master, 三年 a date or (居三年) a duration. The rules are in `facts.py`.

Some files are dirty on purpose, as real ones are: private-use characters and one outside the BMP in names, literal
`<` and `&`, a U+2028 inside a line, a line of over {long} characters without an end of sentence, a CRLF file.

The names are facts; the events are invented, and persons of different ages meet. Nothing is copied from a book.
The text is synthetic: a score on it says that the machinery works, and nothing about quality on real text.

Change it with `python sample/make_sample.py`, never by hand: a test compares. Licence: Apache-2.0, as the project.
"""
MEANINGS = dict(zip(_TYPES, ("person", "place", "book", "office", "state", "time"), strict=True))


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
    rows = [
        f"| {kind} | {MEANINGS[kind]} | {sum(n for (k, _), n in found.items() if k == kind)} "
        f"| {sum(k == kind for k, _ in found)} |"
        for kind in _TYPES
    ]
    return README.format(
        sentences=sum(map(len, paragraphs)),
        chars=sum(len(sentence) for paragraph in paragraphs for sentence in paragraph),
        paragraphs=len(paragraphs),
        books=len(files),
        plain=sum(map(len, files.values())),
        types="\n".join(rows),
        long=LONG_LINE // 50 * 50,
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
