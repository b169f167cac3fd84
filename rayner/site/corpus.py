"""The pages of the whole corpus: its books, each book's documents, the index of entities, the disagreements."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from markupsafe import Markup

from rayner.site.documents import document_page
from rayner.site.drawing import BY, histogram
from rayner.site.markup import escaped
from rayner.site.names import TITLES, write_names, write_titles
from rayner.site.pages import Folder, in_order, numbered, pager
from rayner.site.store import CONTEXTS, KEPT, Row, Store

ROWS = 500  # of a table on a page
DISAGREEMENTS = 50  # on a page
BEST = 100  # names of each type that are shown before one searches


def write_corpus(store: Store, folder: Folder) -> None:
    """The books, as index.html and the pages after it, and each book's documents."""
    totals, books = store.totals(), store.books()
    pages = max(1, -(-len(books) // ROWS))
    for page in range(pages):
        folder.page(
            numbered("index", page),
            "corpus.html.j2",
            totals=totals,
            books=[(row, f"book/{row.id}.html") for row in books[page * ROWS : (page + 1) * ROWS]],
            n_books=len(books),
            kinds=_kinds(store, totals.types),
            kinds_most=max(totals.types.values(), default=1),
            decided={by: getattr(totals, by) for by in BY},
            histogram=histogram(store.histogram),
            bins=list(zip(*(store.histogram[by] for by in BY), strict=True)),
            unscored=store.unscored,
            **pager("index", page, pages),
        )
    for book in books:
        _write_book(store, folder, book)


def _kinds(store: Store, counts: Mapping[int, int]) -> list[tuple[int, str, int]]:
    """Number, name and count of each type, in order."""
    names = in_order([store.types.names[number] for number in counts])
    return [(number := store.types.number(name), name, counts[number]) for name in names]


def _write_book(store: Store, folder: Folder, book: Row) -> None:
    rows = store.documents(book.id)
    pages = max(1, -(-book.documents // ROWS))
    for page in range(pages):
        folder.page(
            numbered(f"book/{book.id}", page),
            "book.html.j2",
            book=book,
            kinds=_kinds(store, book.types),
            documents=[(row, document_page(row.id)) for row in islice(rows, ROWS)],
            **pager(f"book/{book.id}", page, pages),
        )


def write_index(store: Store, folder: Folder) -> None:
    """The index of entities, and the scripts that it reads."""
    write_titles(store.names(), folder)
    found = write_names(store.occurrences(), folder, BEST)
    settings = {"shards": found["shards"], "titles": TITLES, "contexts": CONTEXTS, "top": found["top"]}
    folder.page(
        "entities.html",
        "entities.html.j2",
        settings=settings,
        names=found["names"],
        megabytes=f"{found['bytes'] / 1e6:.1f}",
        entities=store.totals().entities,
        kinds=[(store.types.number(kind), kind) for kind in in_order(store.types.names)],
        contexts=CONTEXTS,
    )


def write_disagreements(store: Store, folder: Folder) -> None:
    """The most uncertain disagreements, and how often who said what."""
    rows = store.disagreements()
    pages = max(1, -(-len(rows) // DISAGREEMENTS))
    said = in_order([kind for pair in store.confusion for kind in pair if kind is not None])
    for page in range(pages):
        shown = rows[page * DISAGREEMENTS : (page + 1) * DISAGREEMENTS]
        folder.page(
            numbered("disagreements", page),
            "disagreements.html.j2",
            rows=[_disagreement(store, row) for row in shown],
            first=page * DISAGREEMENTS + 1,
            total=sum(store.confusion.values()),
            kept=len(rows),
            cap=KEPT,
            said=[*said, None],
            confusion=store.confusion,
            largest=max(store.confusion.values(), default=0),
            **pager("disagreements", page, pages),
        )


def _disagreement(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    start, end = row["start"] - row["low"], row["end"] - row["low"]
    text = row["shown"]
    slm, llm = row["slm_type"], row["llm_type"]
    how = {(True, True): "neither", (False, True): "only_slm", (True, False): "only_llm"}.get(
        (slm is None, llm is None), "differ_bounds" if slm == llm else "differ_type"
    )
    return {
        **row,
        "number": store.types.number(row["type"]),
        "doc_id": store.doc_id(row["document"]),
        "page_name": document_page(row["document"], row["page"]),
        "before": Markup(escaped(text[:start])),
        "name": Markup(escaped(text[start:end])),
        "after": Markup(escaped(text[end:])),
        "how": how,
    }
