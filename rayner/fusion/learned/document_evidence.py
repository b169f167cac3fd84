"""What the other sentences of a document say about a candidate span: how the same string was decided there.

A name that training never showed may be clear in one sentence of a chapter and doubtful in the next. So a first pass
decides every sentence alone, and counts of its decisions are features of a second pass. A sentence's own decisions do
not count for itself.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, combinations

from rayner.fusion.learned.lexicon import Lexicon
from rayner.text.spans import Span

MAX_COUNT = 20  # larger counts say no more
MAX_OUTER_CHARS = 20  # strings inside longer entities are not counted: they are many
MIN_ADDED_CHARS = 2  # single characters that were decided once are mostly no names elsewhere
EVIDENCE_FEATURES = ("decided so", "decided otherwise", "share of its places decided so", "occurs nowhere else",
                     "inside longer entities", "never tagged: share", "never tagged: decided so")  # fmt: skip
_MOST = math.log1p(MAX_COUNT)
EVIDENCE_BOUNDS = ((0.0, _MOST), (0.0, _MOST), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, _MOST))
# An entity that was decided elsewhere must not count against the same entity here.
NON_NEGATIVE_EVIDENCE = ("decided so",)


class DocumentEvidence:
    """The first decisions on the sentences of one document, or on its part in a unit.

    texts: the text of each sentence.
    decided: the entities that the first pass decided in each sentence.
    """

    def __init__(self, texts: Sequence[str], decided: Sequence[Sequence[Span]]) -> None:
        self._texts = texts
        self._text = "".join(texts)
        self._ends = list(accumulate(map(len, texts)))
        self._by_sentence = [_count_decisions(*each) for each in zip(texts, decided, strict=True)]
        self._tags: Counter[tuple[str, str]] = Counter()
        self._inside: Counter[str] = Counter()
        for tags, inside in self._by_sentence:
            self._tags.update(tags)
            self._inside.update(inside)
        self._types: dict[str, set[str]] = {}
        for string, type_ in self._tags:
            self._types.setdefault(string, set()).add(type_)
        # Strings repeat within a document, and finding one reads the whole text.
        self._find_places = lru_cache(maxsize=None)(self._find_places_by_sentence)
        self._decided_strings: dict[int, list[str]] = {}
        for string in self._types:
            if len(string) >= MIN_ADDED_CHARS:
                for sentence in self._find_places(string):
                    self._decided_strings.setdefault(sentence, []).append(string)

    def compute_features(self, sentence: int, span: Span, lexicon: Lexicon) -> list[float]:
        """Return the EVIDENCE_FEATURES of a candidate, from the other sentences of the document."""
        string = self._texts[sentence][span.start : span.end]
        own_tags, own_inside = self._by_sentence[sentence]
        n_so, n_otherwise = 0, 0
        for type_ in self._types.get(string, ()):
            n_tags = self._tags[string, type_] - own_tags[string, type_]
            n_so, n_otherwise = (n_so + n_tags, n_otherwise) if type_ == span.type else (n_so, n_otherwise + n_tags)
        places = self._find_places(string)
        n_places = sum(places.values()) - places.get(sentence, 0)
        n_inside = self._inside[string] - own_inside[string]
        so = math.log1p(min(n_so, MAX_COUNT))
        share = (n_so + 0.5) / (n_places + 1) if n_places else 0.0
        never_tagged = float(string not in lexicon.type_counts)
        return [
            so,
            math.log1p(min(n_otherwise, MAX_COUNT)),
            share,
            float(not n_places),
            min(1.0, n_inside / n_places) if n_places else 0.0,
            never_tagged * share,
            never_tagged * so,
        ]

    def find_added_candidates(self, sentence: int) -> set[Span]:
        """Return the places in a sentence of the strings that were decided in another one, with the types decided."""
        added: set[Span] = set()
        own_tags, text = self._by_sentence[sentence][0], self._texts[sentence]
        for string in self._decided_strings.get(sentence, ()):
            for type_ in self._types[string]:
                if self._tags[string, type_] > own_tags[string, type_]:
                    added |= {Span(start, start + len(string), type_) for start in _find_all(text, string)}
        return added

    def _find_places_by_sentence(self, string: str) -> dict[int, int]:
        """Return how often a string occurs in each sentence, without those in which it does not."""
        places: dict[int, int] = {}
        for start in _find_all(self._text, string):
            sentence = bisect_right(self._ends, start)
            if start + len(string) <= self._ends[sentence]:
                places[sentence] = places.get(sentence, 0) + 1
        return places


def _count_decisions(text: str, decided: Sequence[Span]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Count the decided strings of a sentence by string and type, and the shorter strings inside them."""
    tags: Counter[tuple[str, str]] = Counter()
    inside: Counter[str] = Counter()
    for span in decided:
        string = text[span.start : span.end]
        tags[string, span.type] += 1
        if len(string) > MAX_OUTER_CHARS:
            continue
        bounds = combinations(range(len(string) + 1), 2)
        inside.update(string[start:end] for start, end in bounds if end - start < len(string))
    return tags, inside


def _find_all(text: str, string: str) -> list[int]:
    """Return where a string begins in a text, overlapping places too."""
    starts, start = [], text.find(string)
    while start >= 0:
        starts.append(start)
        start = text.find(string, start + 1)
    return starts
