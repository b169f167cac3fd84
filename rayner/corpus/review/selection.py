"""Select the sentences of a tagged corpus to review. The corpus is read as a stream with bounded memory."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from rayner.corpus.review.candidates import ReviewCandidate, count_documents, iter_candidates_by_document
from rayner.corpus.review.ranking import CandidatePool, pick_candidates
from rayner.runs.storage import StoragePath

_POOL_FACTOR = 50  # candidates in the pool for each sentence to pick
_DOCUMENT_POOL_FACTOR = 10  # candidates added from a document for each sentence of its share


@dataclass(frozen=True)
class ChosenSentences:
    """The sentences for a reviewer, those to read first at the start, and the types that the reviewer may use.

    population: If the sentences were drawn at random, the number of sentences of the corpus that could be drawn, those
        of earlier samples included; else None.
    """

    candidates: list[ReviewCandidate]
    types: tuple[str, ...]
    population: int | None = None


def pick_sentences(
    tagged: StoragePath,
    n: int,
    skip_texts: Collection[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ChosenSentences:
    """Return the n sentences of a tagged corpus that are most worth correcting, or fewer if there are not enough.

    Args:
        tagged: The folder of the tagged corpus.
        n: The number of sentences. The preferred maximum for one document is n divided by the number of documents,
            rounded up.
        skip_texts: Texts that were reviewed before.
        on_progress: Called after each document with the number of documents read and the number of all documents.

    Raises:
        DataError: `tagged` is not a tagged corpus.

    """
    n_documents = count_documents(tagged)
    document_share = -(-n // max(1, n_documents))
    pool_size, pool_per_document = _POOL_FACTOR * n, _DOCUMENT_POOL_FACTOR * document_share
    while True:
        pool, types = CandidatePool(pool_size, pool_per_document, skip_texts), set[str]()
        for i, candidates in enumerate(iter_candidates_by_document(tagged)):
            types.update(span.type for candidate in candidates for span in candidate.spans)
            pool.add_best_of_document(candidates)
            on_progress(i + 1, n_documents)
        picked = pick_candidates(pool, n, document_share)
        most_of_a_document = max(Counter(candidate.doc_id for candidate in picked).values(), default=0)
        if not pool.dropped or (len(picked) == n and most_of_a_document <= document_share):
            return ChosenSentences(picked, tuple(sorted(types)))
        # Too many candidates in the pool were near-duplicates or came from few documents.
        pool_size, pool_per_document = 4 * pool_size, 4 * pool_per_document
