"""Which sentences of a tagged corpus to review: read as a stream, chosen in bounded memory."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from rayner.corpus.review.ranking import (
    CandidatePool,
    DoubtedEntity,
    ReviewCandidate,
    compute_error_weight,
    pick_candidates,
)
from rayner.corpus.tables import TaggedDocument, iter_documents, iter_segment_rows
from rayner.runs.storage import StoragePath, list_file_names
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import Span

_POOL = 50  # candidates kept for each sentence that is wanted
_SPARE = 10  # candidates kept of a document for each of its share


@dataclass(frozen=True)
class PickedSentences:
    """The sentences that were picked, the most valuable first, and the types that occur in the corpus."""

    candidates: list[ReviewCandidate]
    types: tuple[str, ...]


def pick_sentences(
    tagged: StoragePath,
    n: int,
    skip_texts: Collection[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PickedSentences:
    """The n sentences of a tagged corpus that are most worth correcting; all there are, if fewer.

    skip: texts that were reviewed before. say: is told how many documents were read, and of how many.
    A document's share is n over the number of documents, rounded up.
    Raises DataError if `tagged` is not a tagged corpus.
    """
    iter_documents(tagged)  # proves it a tagged corpus
    documents = sum(
        _count_documents(tagged / "documents" / name) for name in list_file_names(tagged / "documents", "", ".parquet")
    )
    share = -(-n // max(1, documents))
    size, each = _POOL * n, _SPARE * share
    while True:
        best, types = CandidatePool(size, each, skip_texts), set[str]()
        for i, document in enumerate(iter_candidates(tagged)):
            types.update(span.type for candidate in document for span in candidate.spans)
            best.add(document)
            on_progress(i + 1, documents)
        picked = pick_candidates(best, n, share)
        most = max(Counter(c.doc_id for c in picked).values(), default=0)
        if not best.dropped or (len(picked) == n and most <= share):
            return PickedSentences(picked, tuple(sorted(types)))
        size, each = 4 * size, 4 * each  # too many of the pool were alike, or of few documents


def iter_candidates(tagged: StoragePath) -> Iterator[list[ReviewCandidate]]:
    """Of each document, in order, the segments that can be reviewed, without the white space at their edges.

    Not those that were set aside, are blank, or hold a line break, which a char-tab-tag file cannot spell.
    """
    for document, (_, segments) in zip(iter_documents(tagged), iter_segment_rows(tagged), strict=True):
        yield list(_candidates(document, segments))


def _candidates(document: TaggedDocument, segments: Iterable[dict[str, Any]]) -> Iterator[ReviewCandidate]:
    k, rows = 0, document.entities
    for segment in segments:
        first, start, end = k, segment["start"], segment["end"]
        while k < len(rows) and rows[k]["start"] < end:
            k += 1
        own, text = rows[first:k], document.text[start:end]
        left, right = bounds_without_whitespace(text)
        inside = all(start + left <= row["start"] and row["end"] <= start + right for row in own)
        if segment["error"] is not None or left == right or not inside or "\n" in text[left:right]:
            continue
        at = start + left
        spans = tuple(Span(row["start"] - at, row["end"] - at, row["type"]) for row in own)
        mentions = tuple(_make_doubted_entity(row, segment["passes"] > 0) for row in own)
        yield ReviewCandidate(document.doc_id, at, start + right, text[left:right], spans, mentions)


def _make_doubted_entity(row: dict[str, Any], asked: bool) -> DoubtedEntity:
    disputed = asked and row["slm_type"] != row["llm_type"]
    return DoubtedEntity(
        row["text"], row["type"], compute_error_weight(row["score"], row["slm_entropy"], disputed=disputed)
    )


def _count_documents(file: StoragePath) -> int:
    """Documents in a file."""
    with file.open("rb") as stream, pq.ParquetFile(stream) as table:
        return int(table.metadata.num_rows)
