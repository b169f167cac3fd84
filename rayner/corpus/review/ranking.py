"""Which sentences a human should correct first: what a correction is expected to teach, per character read.

A correction teaches where the models are wrong, so an entity counts by the probability that it is, and what is not
called an entity by its entropy. What was taught once is worth less again: the same string, the same type. So sentences
are taken one at a time, each the best beside those taken before it, and never one that reads like one of them.
"""

import heapq
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rayner.fusion.span_features import entity_label_log_probs
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span

DUPLICATE_OVERLAP = (
    0.5  # bigrams that two texts share, of those that either has, from which on they are near-duplicates
)
_OPENING = 10  # turning to a sentence costs as much as reading so many characters of it
_DISPUTED = 1.5  # one of two models that disagree is wrong for sure, whatever the calibration says of the winner
_ELSEWHERE = 0.3  # entities expected to be missed for a nat of entropy outside of those that were found
_AGAIN = 0.5  # what a string is worth that is taken once already, of what it was


@dataclass(frozen=True, slots=True)
class DoubtedEntity:
    """An entity that a model found. doubt: the probability that it is wrong, weighed by `doubt`."""

    text: str
    type: str
    error_weight: float


@dataclass(frozen=True, slots=True)
class ReviewCandidate:
    """A sentence that may be reviewed: characters [start, end) of a document, and what was found in them.

    spans: the entities that the reviewer is to see, counted from `start`; elsewhere: entropy (nats) of the characters
    outside of them, summed; 0 where nothing is known of it.
    """

    doc_id: str
    start: int
    end: int
    text: str
    spans: tuple[Span, ...]
    doubted_entities: tuple[DoubtedEntity, ...]
    outside_entropy: float = 0.0


def compute_error_weight(score: float | None, entropy: float | None, *, disputed: bool) -> float:
    """How much an entity is to be doubted: the probability that it is wrong, more where the models disagree.

    score: its calibrated probability; where there is none, the entropy (nats) of the small model stands in.
    """
    unknown = 0.5 if entropy is None else 1.0 - math.exp(-entropy)
    return (unknown if score is None else 1.0 - score) * (_DISPUTED if disputed else 1.0)


def make_candidate(prediction: SegmentPrediction, types: Sequence[str]) -> ReviewCandidate:
    """A scored sentence as a candidate, with the small model's entities; those of the LLM alone are doubted, too.

    types: those of the small model's labels, in their order; its distributions must have been kept.
    """
    if prediction.slm.log_probs is None:
        raise ValueError("expected the small model's distributions, found none")
    theirs = set(prediction.llm.spans) if prediction.llm else set()
    mentions = [
        DoubtedEntity(
            prediction.text[span.start : span.end],
            span.type,
            compute_error_weight(
                math.exp(entity_label_log_probs(prediction.slm.log_probs, span, types).sum()),
                None,
                disputed=prediction.llm is not None and span not in theirs,
            ),
        )
        for span in prediction.slm.spans
    ]
    for item in prediction.llm.entities if prediction.llm else ():
        if item.span not in prediction.slm.spans:
            span, score = item.span, item.category_prob * item.boundary_prob
            mentions.append(
                DoubtedEntity(
                    prediction.text[span.start : span.end], span.type, compute_error_weight(score, None, disputed=True)
                )
            )
    outside = np.ones(len(prediction.text), dtype=bool)
    for span in prediction.slm.spans:
        outside[span.start : span.end] = False
    elsewhere = float(prediction.slm.entropy[outside].sum())
    return ReviewCandidate(
        prediction.doc_id,
        prediction.start,
        prediction.end,
        prediction.text,
        prediction.slm.spans,
        tuple(mentions),
        elsewhere,
    )


def estimate_value(candidate: ReviewCandidate) -> float:
    """What a sentence is worth by itself, with nothing taken yet, per character of effort."""
    return _NOTHING.estimate_value(candidate)


def pick_candidates(
    candidates: Iterable[ReviewCandidate],
    n: int,
    max_per_document: int,
    *,
    duplicate_overlap: float = DUPLICATE_OVERLAP,
) -> list[ReviewCandidate]:
    """At most n candidates, the best beside those before first; fewer only where the others are near-duplicates.

    share: how many of a document are taken, and no more unless nothing else is left. Of two candidates of the same
    worth the one of the lower document and offset is taken; their order does not matter.
    """
    pool = sorted(candidates, key=lambda c: (c.doc_id, c.start, c.end))
    kinds = {mention.type for candidate in pool for mention in candidate.doubted_entities}
    taken = _PickedSet(n, max(1, len(kinds)), duplicate_overlap)
    spared: list[int] = []
    for part, most in ((range(len(pool)), max_per_document), (spared, n)):
        # Worth only falls as more is taken: the best by an old worth that is still the best by its new one is the best.
        heap = [(-taken.estimate_value(pool[i]), i) for i in part]
        heapq.heapify(heap)
        while heap and len(taken.picked) < n:
            _, i = heapq.heappop(heap)
            now = (-taken.estimate_value(pool[i]), i)
            if heap and now > heap[0]:
                heapq.heappush(heap, now)
            elif taken.document_counts[pool[i].doc_id] >= most:
                spared.append(i)
            elif not taken.has_near_duplicate(pool[i].text):
                taken.add(pool[i])
    return taken.picked


@dataclass
class _PickedSet:
    """What was taken: how many are wanted, of how many types; what is known of those that are there."""

    n: int
    n_types: int
    duplicate_overlap: float = DUPLICATE_OVERLAP
    picked: list[ReviewCandidate] = field(default_factory=list)
    document_counts: Counter[str] = field(default_factory=Counter)
    string_counts: Counter[str] = field(default_factory=Counter)
    type_counts: Counter[str] = field(default_factory=Counter)
    picked_by_bigram: dict[str, list[int]] = field(default_factory=dict)  # of each bigram
    bigram_counts: list[int] = field(default_factory=list)  # bigrams of each

    def estimate_value(self, candidate: ReviewCandidate) -> float:
        """What a candidate is worth now. A type's entities count half when it has had its even share of sentences."""
        own: Counter[str] = Counter()
        gain = _ELSEWHERE * candidate.outside_entropy
        for mention in candidate.doubted_entities:
            times = self.string_counts[mention.text] + own[mention.text]
            gain += mention.error_weight * _AGAIN**times / (1 + self.type_counts[mention.type] * self.n_types / self.n)
            own[mention.text] += 1
        return gain / (_OPENING + len(candidate.text))

    def has_near_duplicate(self, text: str) -> bool:
        """Whether a near-duplicate of a text was taken."""
        own = char_bigrams(text)
        shared = Counter(i for gram in own for i in self.picked_by_bigram.get(gram, ()))
        return any(n >= self.duplicate_overlap * (len(own) + self.bigram_counts[i] - n) for i, n in shared.items())

    def add(self, candidate: ReviewCandidate) -> None:
        """Take it."""
        own = char_bigrams(candidate.text)
        for gram in own:
            self.picked_by_bigram.setdefault(gram, []).append(len(self.picked))
        self.bigram_counts.append(len(own))
        self.picked.append(candidate)
        self.document_counts[candidate.doc_id] += 1
        self.string_counts.update(mention.text for mention in candidate.doubted_entities)
        self.type_counts.update({mention.type for mention in candidate.doubted_entities})


_NOTHING = _PickedSet(1, 1)


def char_bigrams(text: str) -> set[str]:
    """The pairs of neighbouring characters of a text, its edges among them, so that no text is without any."""
    framed = f"\x02{text}\x03"
    return {framed[i : i + 2] for i in range(len(framed) - 1)}


class CandidatePool:
    """The most valuable candidates of a stream, in bounded memory: at most `size`, at most `each` of a document.

    dropped: whether one had to go that might have been picked. Of equal texts the first is kept. The candidates of a
    document must follow each other.
    """

    def __init__(self, size: int, each: int, skip: Collection[str] = ()) -> None:
        self.size, self.max_per_document, self.skip_texts = size, each, skip
        self.dropped = False
        self._pushed = 0
        self._heap: list[tuple[float, int, ReviewCandidate]] = []
        self._texts: set[str] = set()

    def add(self, document: Iterable[ReviewCandidate]) -> None:
        """Take in the candidates of a document."""
        own: dict[str, ReviewCandidate] = {}
        for candidate in document:
            if candidate.text not in self.skip_texts:
                own.setdefault(candidate.text, candidate)
        new = [candidate for text, candidate in own.items() if text not in self._texts]
        best = heapq.nsmallest(self.max_per_document, ((-estimate_value(c), i, c) for i, c in enumerate(new)))
        self.dropped |= len(best) < len(new)
        for negative, _, candidate in best:
            self._push(-negative, candidate)

    def _push(self, worth: float, candidate: ReviewCandidate) -> None:
        self._texts.add(candidate.text)
        self._pushed += 1
        heapq.heappush(self._heap, (worth, -self._pushed, candidate))  # of the same worth, the first stays longest
        if len(self._heap) > self.size:
            self.dropped = True
            self._texts.discard(heapq.heappop(self._heap)[2].text)

    def __iter__(self) -> Iterator[ReviewCandidate]:
        return (candidate for *_, candidate in self._heap)
