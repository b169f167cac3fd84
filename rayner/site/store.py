"""Collect counts, names and disagreements for the pages of the whole corpus, in a temporary SQLite file.

Memory use is bounded: SQLite stores and sorts the occurrences of names in the file, and the numbers of contexts and
disagreements are limited.
"""

import hashlib
import heapq
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rayner.corpus.tables import EntityRow, TaggedDocument, book_of
from rayner.errors import DataError
from rayner.site.drawing import DECIDERS
from rayner.site.html_text import LlmCoverage, TypeNumbers
from rayner.text.messages import shorten_repr

HISTOGRAM_BINS = 20  # bins of the scores, which lie in [0, 1]
MAX_CONTEXTS = 5  # places of a name that are shown with the text around them
CONTEXT_CHARS = 10  # characters on each side of a name
MAX_DISAGREEMENTS = 1000
DISAGREEMENT_CHARS = 24  # characters on each side of a disagreement
_MAX_COUNTED_NAMES = 400_000  # names whose contexts are counted at the same time
_CREATE_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000; PRAGMA temp_store = FILE;
CREATE TABLE book (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE document (id INTEGER PRIMARY KEY, name TEXT, book INT, chars INT, pages INT,
    agree INT, slm INT, llm INT, person INT);
CREATE INDEX of_book ON document (book, id);
CREATE TABLE type_count (document INT, type INT, n INT);
CREATE TABLE place (name TEXT, type INT, document INT, page INT, start INT, score REAL, before TEXT, after TEXT);
"""


class DecisionCounts(NamedTuple):
    """Counts of a document, a book or the whole corpus.

    agree, slm, llm, person: The numbers of entities, by who decided.
    types: The number of entities of each type, by type number.
    """

    id: int
    name: str
    documents: int
    chars: int
    agree: int
    slm: int
    llm: int
    person: int
    types: dict[int, int]

    @property
    def entities(self) -> int:
        """The number of entities."""
        return self.agree + self.slm + self.llm + self.person

    @property
    def density(self) -> float:
        """The number of entities per 1,000 characters."""
        return 1000 * self.entities / self.chars if self.chars else 0.0


class Occurrence(NamedTuple):
    """A place where a name occurs. `before` and `after` are the text around the name, None if it was not kept."""

    name: str
    type: int
    document: int
    page: int
    start: int
    score: float | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class StoredDisagreement:
    """An entity on which the models disagree.

    entity: The row of the table `entities`.
    context: The text that contains the entity.
    """

    entity: EntityRow
    document: int
    page: int
    context: str
    context_start: int  # offset of `context` in the document


class SiteDatabase:
    """A database of counts, occurrences and disagreements.

    Add all documents in order, and then read the results.
    """

    def __init__(self, path: Path) -> None:
        self.types = TypeNumbers()
        self.histogram = {decider: [0] * HISTOGRAM_BINS for decider in DECIDERS}
        self.unscored = 0
        self.confusion: Counter[tuple[str | None, str | None]] = Counter()  # (SLM's type, LLM's type) where they differ
        self._disagreements: list[
            tuple[tuple[float, float], int, StoredDisagreement]
        ] = []  # a heap, the most certain first
        self._n_contexts: Counter[tuple[str, str]] = Counter()
        self._texts_digest = hashlib.sha256()
        self._connection = sqlite3.connect(path)
        self._connection.executescript(_CREATE_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add_document(
        self, document_number: int, document: TaggedDocument, page_starts: Sequence[int], coverage: LlmCoverage
    ) -> int:
        """Add a document whose pages begin at the offsets `page_starts`, and return the number of its book.

        Raises DataError for an unknown value in `decided_by`.
        """
        deciders = Counter(entity["decided_by"] for entity in document.entities)
        unknown = next((decider for decider in deciders if decider not in self.histogram), None)
        if unknown is not None:
            raise DataError(
                f"document {shorten_repr(document.doc_id)}: expected decided_by agree, slm, llm or person, "
                f"found {shorten_repr(unknown)}"
            )
        for part in (document.doc_id.encode(), document.text.encode()):
            self._texts_digest.update(b"%d:%s" % (len(part), part))
        pages = [bisect_right(page_starts, entity["start"]) - 1 for entity in document.entities]
        type_counts = Counter(self.types.get_or_add_number(entity["type"]) for entity in document.entities)
        book = self._book_number(book_of(document.doc_id))
        counts = tuple(deciders[decider] for decider in DECIDERS)
        self._connection.execute("INSERT INTO document VALUES (?,?,?,?,?,?,?,?,?)",
            (document_number, document.doc_id, book, len(document.text), len(page_starts), *counts))  # fmt: skip
        self._connection.executemany(
            "INSERT INTO type_count VALUES (?,?,?)",
            ((document_number, type_number, n) for type_number, n in type_counts.items()),
        )
        self._connection.executemany(
            "INSERT INTO place VALUES (?,?,?,?,?,?,?,?)", self._build_place_rows(document_number, document, pages)
        )
        for page, entity in zip(pages, document.entities, strict=True):
            self._add_score_to_histogram(entity)
            llm_asked = entity["llm_type"] is not None or coverage.covers(entity["start"])
            if entity["decided_by"] not in ("agree", "person") and llm_asked:
                self.confusion[entity["slm_type"], entity["llm_type"]] += 1
                self._push_disagreement_if_among_top(document_number, page, document, entity)
        return book

    def _book_number(self, name: str) -> int:
        self._connection.execute("INSERT OR IGNORE INTO book (name) VALUES (?)", (name,))
        return int(self._connection.execute("SELECT id FROM book WHERE name = ?", (name,)).fetchone()[0])

    def _build_place_rows(
        self, document_number: int, document: TaggedDocument, entity_pages: Sequence[int]
    ) -> Iterator[tuple[Any, ...]]:
        text, n_contexts = document.text, self._n_contexts
        if len(n_contexts) > _MAX_COUNTED_NAMES:  # some names may then get more than MAX_CONTEXTS contexts
            n_contexts.clear()
        for page, entity in zip(entity_pages, document.entities, strict=True):
            start, end, name = entity["start"], entity["end"], (entity["text"], entity["type"])
            context: tuple[str | None, str | None] = (None, None)
            if n_contexts[name] < MAX_CONTEXTS:
                n_contexts[name] += 1
                context = (text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS])
            yield (
                entity["text"],
                self.types.get_or_add_number(entity["type"]),
                document_number,
                page,
                start,
                entity["score"],
                *context,
            )

    def _add_score_to_histogram(self, entity: EntityRow) -> None:
        score = entity["score"]
        if score is None or not 0 <= score <= 1:
            self.unscored += 1
        else:
            self.histogram[entity["decided_by"]][min(HISTOGRAM_BINS - 1, int(score * HISTOGRAM_BINS))] += 1

    def _push_disagreement_if_among_top(
        self, document_number: int, page: int, document: TaggedDocument, entity: EntityRow
    ) -> None:
        """Keep the disagreement if it is one of the MAX_DISAGREEMENTS most uncertain disagreements so far."""
        key = compute_uncertainty_sort_key(entity)
        full = len(self._disagreements) >= MAX_DISAGREEMENTS
        if full and key <= self._disagreements[0][0]:
            return
        context_start = max(0, entity["start"] - DISAGREEMENT_CHARS)
        context = document.text[context_start : entity["end"] + DISAGREEMENT_CHARS]
        # The second element decides between equally uncertain disagreements: the first in the corpus is kept.
        item = (key, -self.confusion.total(), StoredDisagreement(entity, document_number, page, context, context_start))
        (heapq.heapreplace if full else heapq.heappush)(self._disagreements, item)

    def list_most_uncertain_disagreements(self) -> list[StoredDisagreement]:
        """Return at most MAX_DISAGREEMENTS disagreements, sorted from the most to the least uncertain."""
        items = sorted(self._disagreements, key=lambda item: item[:2], reverse=True)
        return [disagreement for _, _, disagreement in items]

    def read_corpus_counts(self) -> DecisionCounts:
        """Return the counts of the whole corpus."""
        columns = ", ".join(["count(*)", *(f"coalesce(sum({name}),0)" for name in ("chars", *DECIDERS))])
        counts = self._connection.execute(f"SELECT {columns} FROM document").fetchone()
        type_counts = dict(self._connection.execute("SELECT type, sum(n) FROM type_count GROUP BY type"))
        return DecisionCounts._make((0, "", *counts, type_counts))

    def read_book_counts(self) -> list[DecisionCounts]:
        """Return the counts of each book, in order. A book is a folder of documents."""
        rows = self._connection.execute(
            "SELECT book.id, book.name, count(*), sum(chars), sum(agree), sum(slm), sum(llm), sum(person)"
            " FROM book JOIN document ON book.id = document.book GROUP BY book.id ORDER BY book.id"
        ).fetchall()
        type_counts: dict[int, dict[int, int]] = {row[0]: {} for row in rows}
        for book, type_number, n in self._connection.execute(
            "SELECT book, type, sum(n) FROM type_count JOIN document ON type_count.document = document.id"
            " GROUP BY book, type"
        ):
            type_counts[book][type_number] = n
        return [DecisionCounts._make((*row, type_counts[row[0]])) for row in rows]

    def read_document_counts_without_types(self, book: int) -> Iterator[DecisionCounts]:
        """Yield the counts of each document of a book, in order. `types` of the result is empty."""
        rows = self._connection.execute(
            "SELECT id, name, 1, chars, agree, slm, llm, person FROM document WHERE book = ? ORDER BY id", (book,)
        )
        yield from (DecisionCounts._make((*row, {})) for row in rows)

    def doc_ids(self) -> Iterator[str]:
        """Yield the doc_id of each document, in order."""
        return (doc_id for (doc_id,) in self._connection.execute("SELECT name FROM document ORDER BY id"))

    def texts_digest(self) -> str:
        """Return the SHA-256 of the names and texts of all documents. The entities do not change it."""
        return self._texts_digest.hexdigest()

    def doc_id(self, number: int) -> str:
        """Return the doc_id of a document."""
        return str(self._connection.execute("SELECT name FROM document WHERE id = ?", (number,)).fetchone()[0])

    def read_occurrences_by_name(self) -> Iterator[Occurrence]:
        """Yield the occurrences of all names, sorted by name (by code points), then by type, then by place."""
        query = "SELECT * FROM place ORDER BY name, type, document, start"
        return (Occurrence(*row) for row in self._connection.execute(query))


def compute_uncertainty_sort_key(entity: EntityRow) -> tuple[float, float]:
    """Return a sort key that is larger if the entity is more uncertain.

    The key is (1 - score, entropy of the SLM). Without a score, its first element is -1.
    """
    score, entropy = entity["score"], entity["slm_entropy"]
    return (-1.0 if score is None else 1 - score, 0.0 if entropy is None else entropy)
