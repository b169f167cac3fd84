"""The pages of the documents, written as they are read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

from markupsafe import Markup

from rayner.corpus.tables import TaggedDocument, iter_documents, iter_segments
from rayner.runs.storage import Place
from rayner.site.markup import Asked, Types, marked, packed
from rayner.site.pages import Folder, in_order, numbered, pager
from rayner.site.splitting import page_starts
from rayner.site.store import Store

_PER_FOLDER = 1000


def document_page(number: int, page: int = 0) -> str:
    """The relative path of a document's page; both from 0."""
    return numbered(_name(number), page)


def _name(number: int) -> str:
    return f"d/{number // _PER_FOLDER}/{number}"


def write_documents(tagged: Place, folder: Folder, store: Store, tell: Callable[[int, int], None]) -> None:
    """Write the pages of every document, and take it into the store.

    tell: called after each document with the number of documents and characters so far. Raises DataError.
    """
    before = ""
    characters = 0
    for number, (now, after) in enumerate(pairwise(chain(_read(tagged), [None]))):
        assert now is not None
        document, asked = now
        starts = page_starts(document.text, [(e["start"], e["end"]) for e in document.entities])
        book = store.add(number, document, starts, asked)
        beside = (before, after[0].doc_id if after else "")
        _write(folder, store.types, number, document, starts, asked, f"book/{book}.html", beside)
        before = document.doc_id
        characters += len(document.text)
        tell(number + 1, characters)


def _read(tagged: Place) -> Iterator[tuple[TaggedDocument, Asked]]:
    for document, (_, segments) in zip(iter_documents(tagged), iter_segments(tagged), strict=True):
        yield document, Asked(segments)


def _write(
    folder: Folder,
    types: Types,
    number: int,
    document: TaggedDocument,
    starts: Sequence[int],
    asked: Asked,
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
        folder.page(
            document_page(number, page),
            "document.html.j2",
            book_page=book_page,
            name=_name(number),
            title=title,
            book=book,
            text=Markup(marked(document.text, start, end, inside, types)),
            votes=packed(inside, asked, types),
            kinds=[(types.number(kind), kind, kinds[kind]) for kind in in_order(list(kinds))],
            decided=Counter(item["decided_by"] for item in inside),
            start=start,
            end=end,
            chars=len(document.text),
            starts=starts,
            **pager(_name(number), page, len(starts)),
            before=(document_page(number - 1), beside[0]) if beside[0] else None,
            after=(document_page(number + 1), beside[1]) if beside[1] else None,
        )
