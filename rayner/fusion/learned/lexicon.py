"""The strings that are tagged in the training text, and their counts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rayner.text.labelled_text import LabelledSentence


@dataclass(frozen=True)
class Lexicon:
    """The strings that are tagged in the training text.

    type_counts: by string and type, how often the string is tagged with the type.
    occurrence_counts: by string, how often the string occurs, tagged or not.
    """

    type_counts: Mapping[str, Mapping[str, int]]
    occurrence_counts: Mapping[str, int]


def build_lexicon(sentences: Iterable[LabelledSentence]) -> Lexicon:
    """Count how often the sentences tag each string, and how often each tagged string occurs in them."""
    kept = list(sentences)
    type_counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in kept:
        for span in sentence.spans:
            type_counts[sentence.text[span.start : span.end]][span.type] += 1
    occurrence_counts: Counter[str] = Counter()
    for size in {len(string) for string in type_counts}:
        for sentence in kept:
            strings = (sentence.text[i : i + size] for i in range(len(sentence.text) - size + 1))
            occurrence_counts.update(string for string in strings if string in type_counts)
    return Lexicon({string: dict(counts) for string, counts in type_counts.items()}, dict(occurrence_counts))
