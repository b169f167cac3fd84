"""Write the pages of each document while reading the tagged corpus."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from markupsafe import Markup

from rayner.corpus.tables import TaggedDocument, iter_documents, iter_segment_rows_by_document
from rayner.runs.storage import StoragePath
from rayner.site.drawing import list_shown_deciders
from rayner.site.html_text import LlmCoverage, TypeNumbers, pack_votes, tagged_text_to_html
from rayner.site.page_splitting import find_page_starts
from rayner.site.pages import SiteFolder, build_pager_values, page_path
from rayner.site.store import SiteDatabase
from rayner.text.entity_types import sort_types

_DOCUMENTS_PER_FOLDER = 1000


class _DocumentToWrite(NamedTuple):
    """A document and the values that its pages show.

    number: The position of the document in the corpus, from 0.
    coverage: The parts of the document about which the LLM was asked.
    page_starts: The offsets at which pages begin.
    previous_id, next_id: The doc_ids of the documents before and after this one, "" if there is none.
    """

    number: int
    document: TaggedDocument
    coverage: LlmCoverage
    page_starts: list[int]
    book_path: str
    previous_id: str
    next_id: str


def document_page_path(number: int, page: int = 0) -> str:
    """Return the relative path of a page of a document. Documents and pages are numbered from 0."""
    return page_path(_path_stem(number), page)


def _path_stem(number: int) -> str:
    return f"d/{number // _DOCUMENTS_PER_FOLDER}/{number}"


def write_pages_and_fill_store(
    tagged: StoragePath, folder: SiteFolder, store: SiteDatabase, report_progress: Callable[[int, int], None]
) -> None:
    """Write the pages of all documents, and add each document to the store.

    Args:
        tagged: The folder of the tagged corpus.
        folder: The folder of the site.
        store: The database for the pages of the whole corpus.
        report_progress: Called after each document with the numbers of documents and characters so far.

    Raises:
        DataError: The tables of the tagged corpus are inconsistent.

    """
    previous_id = ""
    n_chars = 0
    for number, (this, following) in enumerate(pairwise(chain(_read_documents(tagged), [None]))):
        assert this is not None
        document, coverage = this
        page_starts = find_page_starts(document.text, [(e["start"], e["end"]) for e in document.entities])
        book = store.add_document(number, document, page_starts, coverage)
        next_id = following[0].doc_id if following else ""
        to_write = _DocumentToWrite(number, document, coverage, page_starts, f"book/{book}.html", previous_id, next_id)
        _write_pages(folder, store.types, to_write)
        previous_id = document.doc_id
        n_chars += len(document.text)
        report_progress(number + 1, n_chars)


def _read_documents(tagged: StoragePath) -> Iterator[tuple[TaggedDocument, LlmCoverage]]:
    for document, (_, segments) in zip(iter_documents(tagged), iter_segment_rows_by_document(tagged), strict=True):
        yield document, LlmCoverage(segments)


def _write_pages(folder: SiteFolder, types: TypeNumbers, to_write: _DocumentToWrite) -> None:
    number, document, page_starts = to_write.number, to_write.document, to_write.page_starts
    book, _, title = document.doc_id.rpartition("/")
    remaining = iter([*document.entities, None])
    entity = next(remaining)
    for page, (start, end) in enumerate(pairwise([*page_starts, len(document.text)])):
        entities = []
        while entity is not None and entity["start"] < end:
            entities.append(entity)
            entity = next(remaining)
        type_counts: Counter[str] = Counter(row["type"] for row in entities)
        decided = Counter(row["decided_by"] for row in entities)
        folder.write_page(
            document_page_path(number, page),
            "document.html.j2",
            book_path=to_write.book_path,
            path_stem=_path_stem(number),
            title=title,
            book=book,
            text=Markup(tagged_text_to_html(document.text, start, end, entities, types)),
            votes=pack_votes(entities, to_write.coverage, types),
            types=[(types.get_or_add_number(name), name, type_counts[name]) for name in sort_types(list(type_counts))],
            decided=decided,
            deciders=list_shown_deciders(decided["person"], asks_llm=folder.asks_llm),
            doc_id=document.doc_id,
            start=start,
            end=end,
            n_chars=len(document.text),
            page_starts=page_starts,
            **build_pager_values(_path_stem(number), page, len(page_starts)),
            previous_document=_link_document(number - 1, to_write.previous_id),
            next_document=_link_document(number + 1, to_write.next_id),
        )


def _link_document(number: int, doc_id: str) -> tuple[str, str] | None:
    """Return the path and the doc_id of a neighbouring document. Return None if there is no such document."""
    return (document_page_path(number), doc_id) if doc_id else None
