"""The pages of the whole corpus: its books, each book's documents, the index of entities, the disagreements."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from markupsafe import Markup

from rayner.site.document_pages import document_page_path
from rayner.site.drawing import DECIDERS, draw_histogram
from rayner.site.html_text import text_to_html
from rayner.site.name_index import TITLES_PER_SCRIPT, write_name_shards, write_title_scripts
from rayner.site.pages import SiteFolder, page_path, pager_values, sort_types
from rayner.site.store import MAX_CONTEXTS, MAX_DISAGREEMENTS, DecisionCounts, SiteDatabase

ROWS_PER_PAGE = 500  # of a table on a page
DISAGREEMENTS_PER_PAGE = 50  # on a page
TOP_NAMES_PER_TYPE = 100  # names of each type that are shown before one searches


def write_corpus_pages(store: SiteDatabase, folder: SiteFolder) -> None:
    """The books, as index.html and the pages after it, and each book's documents."""
    totals, books = store.corpus_counts(), store.book_counts()
    pages = max(1, -(-len(books) // ROWS_PER_PAGE))
    for page in range(pages):
        folder.write_page(
            page_path("index", page),
            "corpus.html.j2",
            totals=totals,
            books=[(row, f"book/{row.id}.html") for row in books[page * ROWS_PER_PAGE : (page + 1) * ROWS_PER_PAGE]],
            n_books=len(books),
            types=_sorted_type_counts(store, totals.types),
            largest_type_count=max(totals.types.values(), default=1),
            decided={by: getattr(totals, by) for by in DECIDERS},
            histogram=draw_histogram(store.histogram),
            bins=list(zip(*(store.histogram[by] for by in DECIDERS), strict=True)),
            unscored=store.unscored,
            **pager_values("index", page, pages),
        )
    for book in books:
        _write_book(store, folder, book)


def _sorted_type_counts(store: SiteDatabase, counts: Mapping[int, int]) -> list[tuple[int, str, int]]:
    """Number, name and count of each type, in order."""
    names = sort_types([store.types.names[number] for number in counts])
    return [(number := store.types.number_of(name), name, counts[number]) for name in names]


def _write_book(store: SiteDatabase, folder: SiteFolder, book: DecisionCounts) -> None:
    rows = store.document_counts(book.id)
    pages = max(1, -(-book.documents // ROWS_PER_PAGE))
    for page in range(pages):
        folder.write_page(
            page_path(f"book/{book.id}", page),
            "book.html.j2",
            book=book,
            types=_sorted_type_counts(store, book.types),
            documents=[(row, document_page_path(row.id)) for row in islice(rows, ROWS_PER_PAGE)],
            **pager_values(f"book/{book.id}", page, pages),
        )


def write_entity_index(store: SiteDatabase, folder: SiteFolder) -> None:
    """The index of entities, and the scripts that it reads."""
    write_title_scripts(store.doc_ids(), folder)
    found = write_name_shards(store.occurrences(), folder, TOP_NAMES_PER_TYPE)
    settings = {"shards": found["shards"], "titles": TITLES_PER_SCRIPT, "contexts": MAX_CONTEXTS, "top": found["top"]}
    folder.write_page(
        "entities.html",
        "entities.html.j2",
        settings=settings,
        names=found["names"],
        megabytes=f"{found['bytes'] / 1e6:.1f}",
        entities=store.corpus_counts().entities,
        types=[(store.types.number_of(kind), kind) for kind in sort_types(store.types.names)],
        contexts=MAX_CONTEXTS,
    )


def write_disagreement_pages(store: SiteDatabase, folder: SiteFolder) -> None:
    """The most uncertain disagreements, and how often who said what."""
    rows = store.disagreements()
    pages = max(1, -(-len(rows) // DISAGREEMENTS_PER_PAGE))
    types = sort_types([name for pair in store.confusion for name in pair if name is not None])
    for page in range(pages):
        shown = rows[page * DISAGREEMENTS_PER_PAGE : (page + 1) * DISAGREEMENTS_PER_PAGE]
        folder.write_page(
            page_path("disagreements", page),
            "disagreements.html.j2",
            rows=[_disagreement(store, row) for row in shown],
            first=page * DISAGREEMENTS_PER_PAGE + 1,
            total=sum(store.confusion.values()),
            kept=len(rows),
            cap=MAX_DISAGREEMENTS,
            confusion_types=[*types, None],
            confusion=store.confusion,
            largest=max(store.confusion.values(), default=0),
            **pager_values("disagreements", page, pages),
        )


def _disagreement(store: SiteDatabase, row: dict[str, Any]) -> dict[str, Any]:
    start, end = row["start"] - row["low"], row["end"] - row["low"]
    text = row["shown"]
    slm, llm = row["slm_type"], row["llm_type"]
    disagreement = {(True, True): "neither", (False, True): "only_slm", (True, False): "only_llm"}.get(
        (slm is None, llm is None), "differ_bounds" if slm == llm else "differ_type"
    )
    return {
        **row,
        "number": store.types.number_of(row["type"]),
        "doc_id": store.doc_id(row["document"]),
        "page_name": document_page_path(row["document"], row["page"]),
        "before": Markup(text_to_html(text[:start])),
        "name": Markup(text_to_html(text[start:end])),
        "after": Markup(text_to_html(text[end:])),
        "disagreement": disagreement,
    }
