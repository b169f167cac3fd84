"""Write the lists of books and of documents, the page of the entity index, and the disagreements of the models."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from markupsafe import Markup

from rayner.corpus.review.estimate import CorpusEstimate
from rayner.corpus.tables import EntityRow
from rayner.evaluation.artifact import Evaluation
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.estimate_sentences import describe_estimate, describe_missed_names
from rayner.rendering.tagged_text import is_second_thought
from rayner.site.document_pages import document_page_path
from rayner.site.drawing import DECIDERS, draw_stacked_histogram, list_shown_deciders
from rayner.site.html_text import text_to_html
from rayner.site.name_index import TITLES_PER_SCRIPT, write_name_and_place_scripts, write_title_scripts
from rayner.site.pages import SiteFolder, build_pager_values, page_path
from rayner.site.store import MAX_CONTEXTS, MAX_DISAGREEMENTS, DecisionCounts, SiteDatabase, StoredDisagreement
from rayner.text.entity_types import sort_types

ROWS_PER_PAGE = 500  # in a table of books or documents
DISAGREEMENTS_PER_PAGE = 50
TOP_NAMES_PER_TYPE = 100  # the names that the index shows before a search


def write_corpus_and_book_pages(
    store: SiteDatabase,
    folder: SiteFolder,
    warnings: Sequence[BilingualText],
    estimate: CorpusEstimate | None,
    evaluation: Evaluation | None = None,
) -> None:
    """Write the list of books (index.html and its further pages), and for each book the list of its documents.

    warnings: What the reader must see first.
    estimate: The scores of the corpus by a random sample that a person marked, None without one.
    evaluation: The scores of the run on held-out sentences, None without them.
    """
    totals, books = store.read_corpus_counts(), store.read_book_counts()
    n_pages = _count_pages(len(books), ROWS_PER_PAGE)
    deciders = list_shown_deciders(totals.person, asks_llm=folder.asks_llm)
    binned = deciders if len(deciders) > 1 else DECIDERS  # a single column counts all
    for page in range(n_pages):
        folder.write_page(
            page_path("index", page),
            "corpus.html.j2",
            totals=totals,
            warnings=warnings,
            estimate=describe_estimate(estimate) if estimate else None,
            missed=describe_missed_names(estimate, evaluation),
            books=[(book, f"book/{book.id}.html") for book in books[page * ROWS_PER_PAGE : (page + 1) * ROWS_PER_PAGE]],
            n_books=len(books),
            types=_name_and_sort_type_counts(store, totals.types),
            largest_type_count=max(totals.types.values(), default=1),
            deciders=deciders,
            histogram=draw_stacked_histogram(store.histogram),
            bins=list(zip(*(store.histogram[decider] for decider in binned), strict=True)),
            unscored=store.unscored,
            **build_pager_values("index", page, n_pages),
        )
    for book in books:
        _write_book_pages(store, folder, book, deciders)


def _count_pages(n_rows: int, rows_per_page: int) -> int:
    """Return the number of pages, at least 1."""
    return max(1, -(-n_rows // rows_per_page))


def _name_and_sort_type_counts(
    store: SiteDatabase, count_by_type_number: Mapping[int, int]
) -> list[tuple[int, str, int]]:
    """Return the number, the name and the count of each type, sorted by `sort_types`."""
    names = sort_types([store.types.names[number] for number in count_by_type_number])
    return [(number := store.types.get_or_add_number(name), name, count_by_type_number[number]) for name in names]


def _write_book_pages(store: SiteDatabase, folder: SiteFolder, book: DecisionCounts, deciders: Sequence[str]) -> None:
    rows = store.read_document_counts_without_types(book.id)
    n_pages = _count_pages(book.documents, ROWS_PER_PAGE)
    for page in range(n_pages):
        folder.write_page(
            page_path(f"book/{book.id}", page),
            "book.html.j2",
            book=book,
            deciders=deciders,
            types=_name_and_sort_type_counts(store, book.types),
            documents=[(row, document_page_path(row.id)) for row in islice(rows, ROWS_PER_PAGE)],
            **build_pager_values(f"book/{book.id}", page, n_pages),
        )


def write_entity_index(store: SiteDatabase, folder: SiteFolder) -> None:
    """Write the page of the entity index and the scripts with its data."""
    write_title_scripts(store.doc_ids(), folder)
    index = write_name_and_place_scripts(store.read_occurrences_by_name(), folder, TOP_NAMES_PER_TYPE)
    settings = {
        "shards": index.first_and_last_chars,
        "titles": TITLES_PER_SCRIPT,
        "contexts": MAX_CONTEXTS,
        "top": index.top_rows,
    }
    folder.write_page(
        "entities.html",
        "entities.html.j2",
        settings=settings,
        n_names=index.n_names,
        index_size=format_size_if_large(index.n_bytes),
        n_entities=store.read_corpus_counts().entities,
        types=[(store.types.get_or_add_number(name), name) for name in sort_types(store.types.names)],
        contexts=MAX_CONTEXTS,
    )


def write_disagreement_pages(store: SiteDatabase, folder: SiteFolder) -> None:
    """Write the pages of the most uncertain disagreements, with a table that counts the pairs of types."""
    disagreements = store.list_most_uncertain_disagreements()
    n_pages = _count_pages(len(disagreements), DISAGREEMENTS_PER_PAGE)
    types = sort_types([name for pair in store.confusion for name in pair if name is not None])
    for page in range(n_pages):
        first = page * DISAGREEMENTS_PER_PAGE
        folder.write_page(
            page_path("disagreements", page),
            "disagreements.html.j2",
            rows=[_build_disagreement_row(store, d) for d in disagreements[first : first + DISAGREEMENTS_PER_PAGE]],
            first=first + 1,
            total=store.confusion.total(),
            kept=len(disagreements),
            maximum=MAX_DISAGREEMENTS,
            confusion_types=[*types, None],
            confusion=store.confusion,
            largest=max(store.confusion.values(), default=0),
            **build_pager_values("disagreements", page, n_pages),
        )


def _build_disagreement_row(store: SiteDatabase, disagreement: StoredDisagreement) -> dict[str, Any]:
    """Return the values for the template: the columns of the entity, its place, and the text around it."""
    entity, text = disagreement.entity, disagreement.context
    start, end = entity["start"] - disagreement.context_start, entity["end"] - disagreement.context_start
    return {
        **entity,
        "type_number": store.types.get_or_add_number(entity["type"]),
        "doc_id": store.doc_id(disagreement.document),
        "page_path": document_page_path(disagreement.document, disagreement.page),
        "before": Markup(text_to_html(text[:start])),
        "name": Markup(text_to_html(text[start:end])),
        "after": Markup(text_to_html(text[end:])),
        "disagreement": _choose_disagreement_text_key(entity),
    }


def format_size_if_large(n_bytes: int) -> str:
    """Return a size that a reader may want to know before it is loaded; "" below 100 KB."""
    if n_bytes < 100_000:
        return ""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1_000_000 else f"{n_bytes / 1e3:.0f} KB"


def _choose_disagreement_text_key(entity: EntityRow) -> str:
    """Return the key of the text that describes how the models disagree about an entity."""
    slm_type, llm_type = entity["slm_type"], entity["llm_type"]
    if is_second_thought(entity):
        return "second_thought"
    if slm_type is None:
        return "from_llm_tags" if llm_type is None else "only_llm"
    if llm_type is None:
        return "only_slm"
    return "differ_bounds" if slm_type == llm_type else "differ_type"
