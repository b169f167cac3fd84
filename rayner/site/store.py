"""What the pages of the whole corpus need of its documents, kept in a file of SQLite while the site is made.

Memory is bounded: occurrences go to the file, which sorts them; of contexts and disagreements only so many are kept.
"""

import heapq
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rayner.corpus.tables import TaggedDocument
from rayner.errors import DataError
from rayner.site.html_text import LlmCoverage, TypeNumbers

HISTOGRAM_BINS = 20  # of the histogram of confidence
MAX_CONTEXTS = 5  # places of a name that are shown in context
CONTEXT_CHARS = 10  # on either side
MAX_DISAGREEMENTS = 1000  # disagreements
DISAGREEMENT_CHARS = 24  # context of a disagreement, on either side
_REMEMBERED = 400_000  # names whose contexts are counted at a time
_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000; PRAGMA temp_store = FILE;
CREATE TABLE book (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE document (id INTEGER PRIMARY KEY, name TEXT, book INT, chars INT, pages INT, agree INT, slm INT, llm INT);
CREATE INDEX of_book ON document (book, id);
CREATE TABLE kind (document INT, type INT, n INT);
CREATE TABLE place (name TEXT, type INT, document INT, page INT, at INT, score REAL, before TEXT, after TEXT);
"""


class DecisionCounts(NamedTuple):
    """A book, or a document, with its counts. types: how many entities of which type."""

    id: int
    name: str
    documents: int
    chars: int
    agree: int
    slm: int
    llm: int
    types: dict[int, int]

    @property
    def entities(self) -> int:
        """How many."""
        return self.agree + self.slm + self.llm

    @property
    def density(self) -> float:
        """Entities per 1,000 characters."""
        return 1000 * self.entities / self.chars if self.chars else 0.0


class Occurrence(NamedTuple):
    """A place where a name occurs. before and after: its context, None where it is not kept."""

    name: str
    type: int
    document: int
    page: int
    start: int
    score: float | None
    before: str | None
    after: str | None


class SiteDatabase:
    """Filled a document at a time, in order; then read."""

    def __init__(self, path: Path) -> None:
        self.types = TypeNumbers()
        self.histogram = {by: [0] * HISTOGRAM_BINS for by in ("agree", "slm", "llm")}
        self.unscored = 0
        self.confusion: Counter[tuple[str | None, str | None]] = Counter()  # SLM's and LLM's type, where they differ
        self._doubts: list[tuple[tuple[float, float], int, dict[str, Any]]] = []  # a heap, the surest first
        self._contexts: Counter[tuple[str, str]] = Counter()
        self._base = sqlite3.connect(path)
        self._base.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def add_document(self, number: int, document: TaggedDocument, starts: Sequence[int], asked: LlmCoverage) -> int:
        """Take in a document that has pages which begin at `starts`; returns the number of its book."""
        odd = next((e["decided_by"] for e in document.entities if e["decided_by"] not in self.histogram), None)
        if odd is not None:
            raise DataError(f"document {document.doc_id!r}: expected decided_by agree, slm or llm, found {odd!r}")
        pages = [bisect_right(starts, entity["start"]) - 1 for entity in document.entities]
        decided = Counter(entity["decided_by"] for entity in document.entities)
        kinds = Counter(self.types.number_of(entity["type"]) for entity in document.entities)
        book = self._book(document.doc_id.rpartition("/")[0])
        counts = (decided["agree"], decided["slm"], decided["llm"])
        self._base.execute("INSERT INTO document VALUES (?,?,?,?,?,?,?,?)",
            (number, document.doc_id, book, len(document.text), len(starts), *counts))  # fmt: skip
        self._base.executemany("INSERT INTO kind VALUES (?,?,?)", ((number, kind, n) for kind, n in kinds.items()))
        self._base.executemany("INSERT INTO place VALUES (?,?,?,?,?,?,?,?)", self._places(number, document, pages))
        for page, entity in zip(pages, document.entities, strict=True):
            self._count(entity)
            if entity["decided_by"] != "agree" and (entity["llm_type"] is not None or asked.covers(entity["start"])):
                self.confusion[entity["slm_type"], entity["llm_type"]] += 1
                self._doubt(number, page, document, entity)
        return book

    def _book(self, name: str) -> int:
        self._base.execute("INSERT OR IGNORE INTO book (name) VALUES (?)", (name,))
        return int(self._base.execute("SELECT id FROM book WHERE name = ?", (name,)).fetchone()[0])

    def _places(self, number: int, document: TaggedDocument, pages: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        text, seen = document.text, self._contexts
        if len(seen) > _REMEMBERED:  # then some names get more contexts than are shown
            seen.clear()
        for page, entity in zip(pages, document.entities, strict=True):
            start, end, key = entity["start"], entity["end"], (entity["text"], entity["type"])
            context: tuple[str | None, str | None] = (None, None)
            if seen[key] < MAX_CONTEXTS:
                seen[key] += 1
                context = (text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS])
            yield (entity["text"], self.types.number_of(entity["type"]), number, page, start, entity["score"], *context)

    def _count(self, entity: Mapping[str, Any]) -> None:
        score = entity["score"]
        if score is None or not 0 <= score <= 1:
            self.unscored += 1
        else:
            self.histogram[entity["decided_by"]][min(HISTOGRAM_BINS - 1, int(score * HISTOGRAM_BINS))] += 1

    def _doubt(self, number: int, page: int, document: TaggedDocument, entity: Mapping[str, Any]) -> None:
        key = uncertainty(entity)
        if len(self._doubts) >= MAX_DISAGREEMENTS and key <= self._doubts[0][0]:
            return
        low = max(0, entity["start"] - DISAGREEMENT_CHARS)
        shown = document.text[low : entity["end"] + DISAGREEMENT_CHARS]
        row = {**entity, "document": number, "page": page, "low": low, "shown": shown}
        item = (key, -sum(self.confusion.values()), row)  # of equals those that come first are kept
        (heapq.heappush if len(self._doubts) < MAX_DISAGREEMENTS else heapq.heapreplace)(self._doubts, item)

    def disagreements(self) -> list[dict[str, Any]]:
        """The most uncertain, KEPT at most, in order: entities with document, page, low and shown (the text there)."""
        return [row for _, _, row in sorted(self._doubts, key=lambda item: item[:2], reverse=True)]

    def corpus_counts(self) -> DecisionCounts:
        """Of the whole corpus."""
        counts = "count(*), coalesce(sum(chars),0), coalesce(sum(agree),0), coalesce(sum(slm),0), coalesce(sum(llm),0)"
        found = self._base.execute(f"SELECT {counts} FROM document").fetchone()
        return DecisionCounts._make(
            (0, "", *found, dict(self._base.execute("SELECT type, sum(n) FROM kind GROUP BY type")))
        )

    def book_counts(self) -> list[DecisionCounts]:
        """The folders of the documents, in order."""
        rows = self._base.execute(
            "SELECT book.id, book.name, count(*), sum(chars), sum(agree), sum(slm), sum(llm)"
            " FROM book JOIN document ON book.id = document.book GROUP BY book.id ORDER BY book.id"
        ).fetchall()
        kinds: dict[int, dict[int, int]] = {row[0]: {} for row in rows}
        for book, kind, n in self._base.execute(
            "SELECT book, type, sum(n) FROM kind JOIN document ON kind.document = document.id GROUP BY book, type"
        ):
            kinds[book][kind] = n
        return [DecisionCounts._make((*row, kinds[row[0]])) for row in rows]

    def document_counts(self, book: int) -> Iterator[DecisionCounts]:
        """Those of a folder, in order."""
        rows = self._base.execute(
            "SELECT id, name, 1, chars, agree, slm, llm FROM document WHERE book = ? ORDER BY id", (book,)
        )
        yield from (DecisionCounts._make((*row, {})) for row in rows)

    def doc_ids(self) -> Iterator[str]:
        """The doc_id of every document, in order."""
        return (name for (name,) in self._base.execute("SELECT name FROM document ORDER BY id"))

    def doc_id(self, number: int) -> str:
        """Of one document."""
        return str(self._base.execute("SELECT name FROM document WHERE id = ?", (number,)).fetchone()[0])

    def occurrences(self) -> Iterator[Occurrence]:
        """Every occurrence of every name: by name (in order of code points), type and place."""
        order = "SELECT * FROM place ORDER BY name, type, document, at"
        return (Occurrence(*row) for row in self._base.execute(order))


def uncertainty(entity: Mapping[str, Any]) -> tuple[float, float]:
    """How uncertain an entity is, to order by: by its calibrated score; without one by the entropy of the SLM."""
    score, entropy = entity["score"], entity["slm_entropy"]
    return (-1.0 if score is None else 1 - score, 0.0 if entropy is None else entropy)
