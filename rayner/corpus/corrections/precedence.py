"""Which corrections a document has, and which of two that contradict each other holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rayner.corpus.corrections.correction import HERE, SCOPES, Correction
from rayner.corpus.tables import book_of


@dataclass(frozen=True, slots=True)
class NumberedCorrection:
    """A correction and its place in `corrections.jsonl`, from 0."""

    number: int
    correction: Correction

    @property
    def is_here(self) -> bool:
        """Whether the correction holds at one place only."""
        return self.correction.scope == HERE


class CorrectionIndex:
    """The corrections of a corpus, found by document.

    A correction with a narrower scope comes before one with a wider scope, and a later one before an earlier one.

    corrections: In the order in which they were made.
    """

    def __init__(self, corrections: Sequence[Correction] = ()) -> None:
        self.corrections = tuple(corrections)
        numbered = [NumberedCorrection(i, one) for i, one in enumerate(self.corrections)]
        self._by_document = _group(one for one in numbered if one.correction.scope in (HERE, "document"))
        books = defaultdict[str, list[NumberedCorrection]](list)
        for one in numbered:
            if one.correction.scope == "book":
                books[book_of(one.correction.doc_id)].append(one)
        self._by_book = dict(books)
        self._everywhere = [one for one in numbered if one.correction.scope == "corpus"]

    def __bool__(self) -> bool:
        return bool(self.corrections)

    def find(self, doc_id: str) -> list[NumberedCorrection]:
        """Return the corrections that hold in a document, the ones to apply first at the beginning."""
        found = [
            *self._by_document.get(doc_id, ()),
            *self._by_book.get(book_of(doc_id), ()),
            *self._everywhere,
        ]
        return sorted(found, key=lambda one: (SCOPES.index(one.correction.scope), -one.number))


def _group(numbered: Iterable[NumberedCorrection]) -> Mapping[str, list[NumberedCorrection]]:
    groups = defaultdict[str, list[NumberedCorrection]](list)
    for one in numbered:
        groups[one.correction.doc_id].append(one)
    return dict(groups)
