"""Rank the sentences to review by the expected benefit of a correction for each character that the reviewer reads.

A correction is useful where the models are wrong:

- The value of an entity depends on the probability that the entity is wrong. The value of the text outside entities
  depends on its entropy.
- A string or a type that was picked before has a lower value the next time. So sentences are picked one by one, and
  each pick takes the earlier picks into account.
- A near-duplicate of a picked sentence is never picked.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from rayner.corpus.review.candidates import ReviewCandidate

DUPLICATE_OVERLAP = 0.5  # two texts with at least this Jaccard index of bigrams are near-duplicates
_OVERHEAD_CHARS = 10  # the effort of starting a sentence, in characters read
_MISSED_PER_NAT = 0.3  # expected missed entities for each nat of entropy outside the found entities
_REPEAT_FACTOR = 0.5  # the value of a string is multiplied by this for each earlier pick of the string


def estimate_value(candidate: ReviewCandidate) -> float:
    """Return the value of a candidate for each character of effort, if no other candidate was picked."""
    return _EMPTY_SET.estimate_value(candidate)


def pick_candidates(
    candidates: Iterable[ReviewCandidate],
    n: int,
    preferred_max_per_document: int,
    *,
    duplicate_overlap: float = DUPLICATE_OVERLAP,
) -> list[ReviewCandidate]:
    """Return n candidates, the most valuable first, or fewer if all other candidates are near-duplicates.

    The order of the candidates does not matter. If two candidates have the same value, the one with the lower doc_id
    and offset is picked first.

    Args:
        candidates: The sentences to choose from.
        n: The number of candidates to pick.
        preferred_max_per_document: The preferred maximum for one document. More candidates of a document are picked
            only if no others are left.
        duplicate_overlap: Two texts are near-duplicates if the Jaccard index of their bigrams is at least this.

    """
    pool = sorted(candidates, key=lambda c: (c.doc_id, c.start, c.end))
    types = {entity.type for candidate in pool for entity in candidate.doubted_entities}
    picked_set = _PickedSet(n, max(1, len(types)), duplicate_overlap)
    postponed: list[int] = []
    for indices, limit in ((range(len(pool)), preferred_max_per_document), (postponed, n)):
        # With each pick, values can only fall. So a candidate is the best if its updated value is not below the old
        # value of any other candidate.
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
    """The candidates picked so far, and the counts that determine the values of the others.

    n: The number of candidates to pick.
    n_types: The number of types that occur.
    picked_by_bigram: For each bigram, the positions in `picked` of the texts that contain it.
    bigram_counts: The number of distinct bigrams in each picked text.
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
        """Return the current value of a candidate.

        The value of a type is halved when the type has its equal share of the sentences.
        """
        repeats: Counter[str] = Counter()  # strings earlier in this candidate
        gain = _MISSED_PER_NAT * candidate.outside_entropy
        for entity in candidate.doubted_entities:
            n_before = self.string_counts[entity.text] + repeats[entity.text]
            type_share = self.type_counts[entity.type] * self.n_types / self.n
            gain += entity.error_weight * _REPEAT_FACTOR**n_before / (1 + type_share)
            repeats[entity.text] += 1
        return gain / (_OVERHEAD_CHARS + len(candidate.text))

    def has_near_duplicate(self, text: str) -> bool:
        """Whether a near-duplicate of the text was picked."""
        bigrams = collect_char_bigrams_with_edges(text)
        shared_counts = Counter(i for bigram in bigrams for i in self.picked_by_bigram.get(bigram, ()))
        return any(
            n_shared >= self.duplicate_overlap * (len(bigrams) + self.bigram_counts[i] - n_shared)
            for i, n_shared in shared_counts.items()
        )

    def add(self, candidate: ReviewCandidate) -> None:
        """Add a picked candidate."""
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
    """Return the pairs of adjacent characters in a text. Both edges count as characters, so the set is never empty."""
    padded = f"\x02{text}\x03"
    return {padded[i : i + 2] for i in range(len(padded) - 1)}


class CandidatePool:
    """The most valuable candidates of a stream, in bounded memory.

    If candidates have equal texts, the first is kept. All candidates of a document must be added in one call.

    Args:
        size: The maximum number of candidates to keep.
        max_per_document: The maximum number of candidates to add from one document.
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
        """Add the most valuable candidates of a document."""
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
        heapq.heappush(self._heap, (value, -self._n_pushed, candidate))  # of equal values, the first is kept longest
        if len(self._heap) > self.size:
            self.dropped = True
            self._texts.discard(heapq.heappop(self._heap)[2].text)

    def __iter__(self) -> Iterator[ReviewCandidate]:
        return (candidate for *_, candidate in self._heap)
