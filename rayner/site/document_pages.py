"""The pages of the documents, written as they are read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

from markupsafe import Markup

from rayner.corpus.tables import TaggedDocument, iter_documents, iter_segment_rows
from rayner.runs.storage import StoragePath
from rayner.site.html_text import LlmCoverage, TypeNumbers, pack_votes, tagged_text_to_html
from rayner.site.page_splitting import find_page_starts
from rayner.site.pages import SiteFolder, page_path, pager_values, sort_types
from rayner.site.store import SiteDatabase

_PER_FOLDER = 1000


def document_page_path(number: int, page: int = 0) -> str:
    """The relative path of a document's page; both from 0."""
    return page_path(_name(number), page)


def _name(number: int) -> str:
    return f"d/{number // _PER_FOLDER}/{number}"


def write_document_pages(
    tagged: StoragePath, folder: SiteFolder, store: SiteDatabase, report_progress: Callable[[int, int], None]
) -> None:
    """Write the pages of every document, and take it into the store.

    tell: called after each document with the number of documents and characters so far. Raises DataError.
    """
    before = ""
    characters = 0
    for number, (now, after) in enumerate(pairwise(chain(_read(tagged), [None]))):
        assert now is not None
        document, asked = now
        starts = find_page_starts(document.text, [(e["start"], e["end"]) for e in document.entities])
        book = store.add_document(number, document, starts, asked)
        beside = (before, after[0].doc_id if after else "")
        _write(folder, store.types, number, document, starts, asked, f"book/{book}.html", beside)
        before = document.doc_id
        characters += len(document.text)
        report_progress(number + 1, characters)


def _read(tagged: StoragePath) -> Iterator[tuple[TaggedDocument, LlmCoverage]]:
    for document, (_, segments) in zip(iter_documents(tagged), iter_segment_rows(tagged), strict=True):
        yield document, LlmCoverage(segments)


def _write(
    folder: SiteFolder,
    types: TypeNumbers,
    number: int,
    document: TaggedDocument,
    starts: Sequence[int],
    asked: LlmCoverage,
    book_page: str,
    beside: tuple[str, str],
) -> None:
    """Each page of a document. beside: the doc_ids of the documents before and after it, "" for none."""
    book, _, title = document.doc_id.rpartition("/")
    entities = iter([*document.entities, None])
    entity = next(entities)
    for page, (start, end) in enumerate(pairwise([*starts, len(document.text)])):
        inside = []
        while entity is not None and entity["start"] < end:
            inside.append(entity)
            entity = next(entities)
        kinds = Counter(item["type"] for item in inside)
        folder.write_page(
            document_page_path(number, page),
            "document.html.j2",
            book_page=book_page,
            name=_name(number),
            title=title,
            book=book,
            text=Markup(tagged_text_to_html(document.text, start, end, inside, types)),
            votes=pack_votes(inside, asked, types),
            types=[(types.number_of(kind), kind, kinds[kind]) for kind in sort_types(list(kinds))],
            decided=Counter(item["decided_by"] for item in inside),
            start=start,
            end=end,
            chars=len(document.text),
            starts=starts,
            **pager_values(_name(number), page, len(starts)),
            before=(document_page_path(number - 1), beside[0]) if beside[0] else None,
            after=(document_page_path(number + 1), beside[1]) if beside[1] else None,
        )
