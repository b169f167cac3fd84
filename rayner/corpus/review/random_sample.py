"""Draw sentences of a tagged corpus at random, so that what a person finds in them can be said of the whole corpus.

Each sentence has the same chance, and each document gives its share, rounded up or down. Then the sentences are
shuffled: whoever stops before the end has read a random sample too.
"""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate

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
    population, sizes, types = 0, list[int](), set[str]()
    for i, candidates in enumerate(iter_candidates_by_document(tagged)):
        population += len(candidates)
        sizes.append(sum(_place_of(candidate) not in skip_places for candidate in candidates))
        types.update(span.type for candidate in candidates for span in candidate.spans)
        on_progress(i + 1, 2 * n_documents)
    draw = random.Random(seed)
    positions_by_document = draw_positions(sizes, n, draw)
    drawn = list[ReviewCandidate]()
    for i, candidates in enumerate(iter_candidates_by_document(tagged)):
        if positions_by_document[i]:
            left = [candidate for candidate in candidates if _place_of(candidate) not in skip_places]
            drawn += [left[position] for position in positions_by_document[i]]
        on_progress(n_documents + i + 1, 2 * n_documents)
    draw.shuffle(drawn)
    return ChosenSentences(drawn, tuple(sorted(types)), population)


def draw_positions(sizes: Sequence[int], n: int, draw: random.Random) -> list[list[int]]:
    """Draw n of all sentences, or all if there are no more; return positions for each document, in order.

    How many a document gives is decided systematically: points at equal distances from a random start are laid over
    the documents. Which ones, is drawn at random.

    sizes: the number of sentences of each document.
    """
    population = sum(sizes)
    n, start = min(n, population), draw.random()
    ends = list(accumulate(sizes))
    points = (min(population - 1, int((i + start) * population / n)) for i in range(n))
    shares = Counter(bisect_right(ends, point) for point in points)
    return [sorted(draw.sample(range(size), shares[document])) for document, size in enumerate(sizes)]


def _place_of(candidate: ReviewCandidate) -> Place:
    return candidate.doc_id, candidate.start, candidate.end
