"""Rank the sentences to review first by what a correction is expected to teach, per character read.

A correction teaches where the models are wrong. So an entity counts by the probability that it is wrong, and the text
between entities by its entropy. A string or a type that was picked before is worth less the next time. So sentences
are picked one by one, each the best beside those picked before it, and never a near-duplicate of one of them.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from rayner.corpus.review.candidates import ReviewCandidate

DUPLICATE_OVERLAP = 0.5  # share of two texts' bigrams (Jaccard) from which on they are near-duplicates
_OVERHEAD_CHARS = 10  # the effort of turning to a sentence, in characters read
_MISSED_PER_NAT = 0.3  # entities expected to be missed for a nat of entropy outside of the entities found
_REPEAT_FACTOR = 0.5  # what a string is worth for each time that it was picked before


def estimate_value(candidate: ReviewCandidate) -> float:
    """Return a candidate's value per character of effort, with nothing picked yet."""
    return _EMPTY_SET.estimate_value(candidate)


def pick_candidates(
    candidates: Iterable[ReviewCandidate],
    n: int,
    preferred_max_per_document: int,
    *,
    duplicate_overlap: float = DUPLICATE_OVERLAP,
) -> list[ReviewCandidate]:
    """Return at most n candidates, the most valuable first; fewer only if the others are near-duplicates.

    The order of the candidates does not matter: of two with the same value, the one with the lower doc_id and offset
    is picked.

    Args:
        candidates: The sentences to choose from.
        n: How many to pick.
        preferred_max_per_document: How many of a document; more only if nothing else is left.
        duplicate_overlap: Share of common bigrams from which on two texts are near-duplicates.

    """
    pool = sorted(candidates, key=lambda c: (c.doc_id, c.start, c.end))
    types = {entity.type for candidate in pool for entity in candidate.doubted_entities}
    picked_set = _PickedSet(n, max(1, len(types)), duplicate_overlap)
    postponed: list[int] = []
    for indices, limit in ((range(len(pool)), preferred_max_per_document), (postponed, n)):
        # A value only falls as more is picked. So a candidate that was the best by its old value and still is by its
        # new one is the best of all.
        heap = [(-picked_set.estimate_value(pool[i]), i) for i in indices]
        heapq.heapify(heap)
        while heap and len(picked_set.picked) < n:
            _, i = heapq.heappop(heap)
            updated = (-picked_set.estimate_value(pool[i]), i)
            if heap and updated > heap[0]:
                heapq.heappush(heap, updated)
            elif picked_set.document_counts[pool[i].doc_id] >= limit:
                postponed.append(i)
            elif not picked_set.has_near_duplicate(pool[i].text):
                picked_set.add(pool[i])
    return picked_set.picked


@dataclass
class _PickedSet:
    """The candidates picked so far, with what their values depend on.

    n: how many are wanted. n_types: how many types occur.
    picked_by_bigram: positions in `picked` of the texts that contain a bigram. bigram_counts: bigrams of each text.
    """

    n: int
    n_types: int
    duplicate_overlap: float = DUPLICATE_OVERLAP
    picked: list[ReviewCandidate] = field(default_factory=list)
    document_counts: Counter[str] = field(default_factory=Counter)
    string_counts: Counter[str] = field(default_factory=Counter)
    type_counts: Counter[str] = field(default_factory=Counter)
    picked_by_bigram: dict[str, list[int]] = field(default_factory=dict)
    bigram_counts: list[int] = field(default_factory=list)

    def estimate_value(self, candidate: ReviewCandidate) -> float:
        """Return a candidate's value now. A type that had its even share of sentences counts half."""
        repeats: Counter[str] = Counter()  # in the candidate itself
        gain = _MISSED_PER_NAT * candidate.outside_entropy
        for entity in candidate.doubted_entities:
            n_before = self.string_counts[entity.text] + repeats[entity.text]
            type_share = self.type_counts[entity.type] * self.n_types / self.n
            gain += entity.error_weight * _REPEAT_FACTOR**n_before / (1 + type_share)
            repeats[entity.text] += 1
        return gain / (_OVERHEAD_CHARS + len(candidate.text))

    def has_near_duplicate(self, text: str) -> bool:
        """Whether a near-duplicate of a text was picked."""
        bigrams = collect_char_bigrams_with_edges(text)
        shared_counts = Counter(i for bigram in bigrams for i in self.picked_by_bigram.get(bigram, ()))
        return any(
            n_shared >= self.duplicate_overlap * (len(bigrams) + self.bigram_counts[i] - n_shared)
            for i, n_shared in shared_counts.items()
        )

    def add(self, candidate: ReviewCandidate) -> None:
        """Pick a candidate."""
        bigrams = collect_char_bigrams_with_edges(candidate.text)
        for bigram in bigrams:
            self.picked_by_bigram.setdefault(bigram, []).append(len(self.picked))
        self.bigram_counts.append(len(bigrams))
        self.picked.append(candidate)
        self.document_counts[candidate.doc_id] += 1
        self.string_counts.update(entity.text for entity in candidate.doubted_entities)
        self.type_counts.update({entity.type for entity in candidate.doubted_entities})


_EMPTY_SET = _PickedSet(1, 1)


def collect_char_bigrams_with_edges(text: str) -> set[str]:
    """Return the pairs of neighbouring characters of a text. Its two edges count, so no text is without any."""
    padded = f"\x02{text}\x03"
    return {padded[i : i + 2] for i in range(len(padded) - 1)}


class CandidatePool:
    """The most valuable candidates of a stream, in bounded memory.

    Of equal texts the first is kept. The candidates of a document must be added at once.

    Args:
        size: How many candidates to keep.
        preferred_max_per_document: How many of a document.
        skip_texts: Texts to leave out.

    Attributes:
        dropped: Whether a candidate was dropped that might have been picked.

    """

    def __init__(self, size: int, max_per_document: int, skip_texts: Collection[str] = ()) -> None:
        self.size, self.max_per_document, self.skip_texts = size, max_per_document, skip_texts
        self.dropped = False
        self._n_pushed = 0
        self._heap: list[tuple[float, int, ReviewCandidate]] = []
        self._texts: set[str] = set()

    def add_best_of_document(self, document_candidates: Iterable[ReviewCandidate]) -> None:
        """Add the candidates of a document."""
        by_text: dict[str, ReviewCandidate] = {}
        for candidate in document_candidates:
            if candidate.text not in self.skip_texts:
                by_text.setdefault(candidate.text, candidate)
        new = [candidate for text, candidate in by_text.items() if text not in self._texts]
        best = heapq.nsmallest(self.max_per_document, ((-estimate_value(c), i, c) for i, c in enumerate(new)))
        self.dropped |= len(best) < len(new)
        for negative_value, _, candidate in best:
            self._push_and_drop_worst(-negative_value, candidate)

    def _push_and_drop_worst(self, value: float, candidate: ReviewCandidate) -> None:
        self._texts.add(candidate.text)
        self._n_pushed += 1
        heapq.heappush(self._heap, (value, -self._n_pushed, candidate))  # of equal values the first stays longest
        if len(self._heap) > self.size:
            self.dropped = True
            self._texts.discard(heapq.heappop(self._heap)[2].text)

    def __iter__(self) -> Iterator[ReviewCandidate]:
        return (candidate for *_, candidate in self._heap)
