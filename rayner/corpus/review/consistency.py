"""Find names that a tagged corpus treats in different ways, with the errors that one decision would probably put right.

Four kinds are found:

- in a document, the same string has several types;
- in a document, a string is tagged in some places and left untagged in others;
- in a document, a short name has another type than a full name that ends with it (項籍, then 籍);
- in the corpus, the same string has several types.

One of the ways is often right everywhere. How many errors a decision would put right is estimated by the scores: a
mention that differs from the most frequent way is wrong with the probability that its own type is wrong, and an
untagged one with the share of the tagged mentions, each counted by its score.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from rayner.corpus.tables import EntityRow, TaggedDocument

UNTAGGED = ""
_SCORE_IF_UNKNOWN = 0.5
_MIN_CHARS_TO_SEARCH = 2  # single characters occur everywhere, and mostly mean something else
_CONTEXT_CHARS = 8


class InconsistencyKind(Enum):
    """In what a name is treated differently."""

    TYPES_IN_DOCUMENT = "types"
    UNTAGGED_IN_DOCUMENT = "untagged"
    SHORT_NAME = "short name"
    TYPES_IN_CORPUS = "types, corpus"


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """A name that is treated in different ways.

    kind: In what.
    text: The name.
    doc_id: The document; empty for the whole corpus.
    ways: How often the name has each type, the most frequent first. "" stands for untagged mentions.
    expected_errors: The errors that one decision for all mentions would probably put right.
    start, end: A mention that is probably wrong, as offsets in the document.
    context: The mention in brackets, with the text around it. Empty for the whole corpus.
    """

    kind: InconsistencyKind
    text: str
    doc_id: str
    ways: tuple[tuple[str, int], ...]
    expected_errors: float
    start: int = 0
    end: int = 0
    context: str = ""


def find_most_inconsistent(documents: Iterable[TaggedDocument], n: int) -> list[Inconsistency]:
    """Return the n inconsistencies of a corpus whose decision would put right the most errors, the most first.

    In memory are the names of the corpus with their types, one document, and n inconsistencies.
    """
    names = NamesOfCorpus()

    def iter_found() -> Iterator[Inconsistency]:
        for document in documents:
            names.add(document)
            yield from find_in_document(document)
        yield from names.find()

    return heapq.nsmallest(n, iter_found(), key=_rank)


def format_inconsistencies(found: Sequence[Inconsistency]) -> str:
    """Format inconsistencies as lines with tabs between the columns, for the terminal and for a spreadsheet."""
    rows = [("errors", "kind", "name", "tagged as", "document", "a doubtful place")]
    for one in found:
        ways = ", ".join(f"{type_ or 'untagged'} {n:,}" for type_, n in one.ways)
        rows.append(
            (f"{one.expected_errors:.1f}", one.kind.value, one.text, ways, one.doc_id or "(corpus)", one.context)
        )
    return "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows)


def _rank(found: Inconsistency) -> tuple[float, str, str, str]:
    return -found.expected_errors, found.doc_id, found.text, found.kind.value


def find_in_document(document: TaggedDocument) -> Iterator[Inconsistency]:
    """Yield the inconsistencies within a document."""
    mentions: defaultdict[str, list[EntityRow]] = defaultdict(list)
    is_tagged = bytearray(len(document.text))
    for entity in document.entities:
        mentions[entity["text"]].append(entity)
        is_tagged[entity["start"] : entity["end"]] = b"\1" * (entity["end"] - entity["start"])
    for text, rows in mentions.items():
        if len({row["type"] for row in rows}) > 1:
            yield _compare_types(document, text, rows)
        untagged = _find_untagged(document.text, text, is_tagged) if len(text) >= _MIN_CHARS_TO_SEARCH else []
        if untagged:
            yield _compare_with_untagged(document, text, rows, untagged)
    yield from _find_short_names(document, mentions)


def _compare_types(document: TaggedDocument, text: str, rows: Sequence[EntityRow]) -> Inconsistency:
    ways = Counter(row["type"] for row in rows)
    usual = ways.most_common(1)[0][0]
    others = [row for row in rows if row["type"] != usual]
    return _build(
        InconsistencyKind.TYPES_IN_DOCUMENT, document, text, ways, sum(map(_error_probability, others)),
        min(others, key=_score),
    )  # fmt: skip


def _compare_with_untagged(
    document: TaggedDocument, text: str, rows: Sequence[EntityRow], untagged: Sequence[int]
) -> Inconsistency:
    share = sum(map(_score, rows)) / (len(rows) + len(untagged))
    ways = Counter(row["type"] for row in rows)
    ways[UNTAGGED] = len(untagged)
    start = untagged[0]
    return _build(
        InconsistencyKind.UNTAGGED_IN_DOCUMENT, document, text, ways, share * len(untagged), (start, start + len(text))
    )


def _find_untagged(whole_text: str, text: str, is_tagged: bytearray) -> list[int]:
    """Return where a string stands and no entity overlaps it; the places do not overlap each other."""
    found, start = [], whole_text.find(text)
    while start >= 0:
        end = start + len(text)
        if any(is_tagged[start:end]):
            end = start + 1
        else:
            found.append(start)
        start = whole_text.find(text, end)
    return found


def _find_short_names(document: TaggedDocument, mentions: dict[str, list[EntityRow]]) -> Iterator[Inconsistency]:
    full_types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, rows in mentions.items():
        for k in range(1, len(text)):
            full_types[text[k:]].update(row["type"] for row in rows)
    for text, rows in mentions.items():
        expected = full_types.get(text)
        if expected is None or len(expected) > 1:  # full names of several types say nothing
            continue
        (usual,) = expected
        if all(row["type"] != usual for row in rows):  # else the types of the short name itself are compared
            ways = Counter(row["type"] for row in rows)
            ways[usual] += expected[usual]
            yield _build(
                InconsistencyKind.SHORT_NAME, document, text, ways, sum(map(_error_probability, rows)),
                min(rows, key=_score),
            )  # fmt: skip


@dataclass
class NamesOfCorpus:
    """The names of a corpus, with the number and the summed error probabilities of each of their types."""

    types: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)

    def add(self, document: TaggedDocument) -> None:
        """Add the names of a document."""
        for entity in document.entities:
            by_type = self.types.setdefault(entity["text"], {})
            count, errors = by_type.get(entity["type"], (0, 0.0))
            by_type[entity["type"]] = count + 1, errors + _error_probability(entity)

    def find(self) -> Iterator[Inconsistency]:
        """Yield the names that have several types."""
        for text, by_type in self.types.items():
            if len(by_type) > 1:
                ways = Counter({type_: count for type_, (count, _) in by_type.items()})
                usual = ways.most_common(1)[0][0]
                errors = sum(errors for type_, (_, errors) in by_type.items() if type_ != usual)
                yield Inconsistency(InconsistencyKind.TYPES_IN_CORPUS, text, "", tuple(ways.most_common()), errors)


def _build(
    kind: InconsistencyKind,
    document: TaggedDocument,
    text: str,
    ways: Counter[str],
    expected_errors: float,
    mention: EntityRow | tuple[int, int],
) -> Inconsistency:
    start, end = mention if isinstance(mention, tuple) else (mention["start"], mention["end"])
    before = document.text[max(0, start - _CONTEXT_CHARS) : start]
    after = document.text[end : end + _CONTEXT_CHARS]
    context = " ".join(f"{before}[{text}]{after}".split())
    return Inconsistency(kind, text, document.doc_id, tuple(ways.most_common()), expected_errors, start, end, context)


def _score(entity: EntityRow) -> float:
    return _SCORE_IF_UNKNOWN if entity["score"] is None else entity["score"]


def _error_probability(entity: EntityRow) -> float:
    return 1 - _score(entity)
