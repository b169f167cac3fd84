"""Draw sentences of a tagged corpus at random, so that what a person finds in them can be said of the whole corpus.

The sentences are drawn systematically: in the order of the corpus, at equal distances from a random start. So each
sentence has the same chance, and each document gives its share, rounded up or down. Then they are shuffled: whoever
stops before the end has read a random sample too.
"""

import random
from collections.abc import Callable, Collection

from rayner.corpus.review.candidates import ReviewCandidate, count_documents, iter_candidates_by_document
from rayner.corpus.review.provenance import Place
from rayner.corpus.review.selection import ChosenSentences
from rayner.runs.storage import StoragePath


def draw_random_sample(
    tagged: StoragePath,
    n: int,
    skip_places: Collection[Place] = (),
    *,
    seed: int = 13,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ChosenSentences:
    """Draw n sentences at random from a tagged corpus, or all if there are no more, and return them in random order.

    The corpus is read twice, as a stream.

    Args:
        tagged: The folder of the tagged corpus.
        n: The number of sentences.
        skip_places: The places of sentences that were drawn before. They are not drawn again.
        seed: The seed of the draw. The same corpus, seed and places give the same sample.
        on_progress: Called after each document that is read, with the number of documents read and to read.

    Raises:
        DataError: `tagged` is not a tagged corpus.

    """
    n_documents = count_documents(tagged)
    population, n_skipped, types = 0, 0, set[str]()
    for i, candidates in enumerate(iter_candidates_by_document(tagged)):
        population += len(candidates)
        n_skipped += sum(_place_of(candidate) in skip_places for candidate in candidates)
        types.update(span.type for candidate in candidates for span in candidate.spans)
        on_progress(i + 1, 2 * n_documents)
    draw = random.Random(seed)
    positions = set(draw_systematically(population - n_skipped, n, draw.random()))
    drawn, position = list[ReviewCandidate](), 0
    for i, candidates in enumerate(iter_candidates_by_document(tagged)):
        for candidate in candidates:
            if _place_of(candidate) not in skip_places:
                if position in positions:
                    drawn.append(candidate)
                position += 1
        on_progress(n_documents + i + 1, 2 * n_documents)
    draw.shuffle(drawn)
    return ChosenSentences(drawn, tuple(sorted(types)), population)


def draw_systematically(population: int, n: int, start: float) -> list[int]:
    """Return n positions below `population` at equal distances, rounded down; all if n is no smaller.

    start: where the first one lies, from 0 to below 1, in distances.
    """
    n = min(n, population)
    return [min(population - 1, int((i + start) * population / n)) for i in range(n)]


def _place_of(candidate: ReviewCandidate) -> Place:
    return candidate.doc_id, candidate.start, candidate.end
