"""The outcome of each gold entity and the counterpart of each predicted one: errors of type, boundary or both."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rayner.text.spans import Span

OUTCOMES = ("right", "boundary", "type", "both", "missed")
NO_ENTITY = ""  # for an entity without a counterpart


@dataclass(frozen=True)
class Confusion:
    """Counts over many sentences.

    type_pairs: counts by (gold type, predicted type). One of the two is `NO_ENTITY` for a missed or spurious entity.
    outcomes: counts by (gold type, outcome). The outcomes are:
        - `right`: same extent and type.
        - `boundary`: same type only.
        - `type`: same extent only.
        - `both`: overlap only.
        - `missed`: no counterpart.
    """

    type_pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)


def count_confusions(gold: Iterable[Sequence[Span]], predicted: Iterable[Sequence[Span]]) -> Confusion:
    """Count type pairs and outcomes over sentences. Raises ValueError if the numbers of sentences differ.

    gold: the gold entities of each sentence.
    predicted: the predicted entities of each sentence.
    """
    confusion = Confusion()
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        for gold_span, predicted_span in match_entities(gold_spans, predicted_spans):
            gold_type = gold_span.type if gold_span else NO_ENTITY
            predicted_type = predicted_span.type if predicted_span else NO_ENTITY
            confusion.type_pairs[gold_type, predicted_type] += 1
            if gold_span:
                confusion.outcomes[gold_span.type, classify_outcome(gold_span, predicted_span)] += 1
    return confusion


def match_entities(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """Pair gold and predicted entities that overlap. Each entity is in one pair, with None if it has no counterpart.

    The most similar entities are paired first. Same extent comes before same type, then the longest overlap, then the
    first in the text.
    """
    pairs = [
        (gold_span, predicted_span)
        for gold_span in gold
        for predicted_span in predicted
        if gold_span.overlaps(predicted_span)
    ]
    pairs.sort(key=lambda pair: (tuple(-value for value in _likeness(*pair)), pair))
    free_gold, free_predicted = set(gold), set(predicted)
    matches: list[tuple[Span | None, Span | None]] = []
    for gold_span, predicted_span in pairs:
        if gold_span in free_gold and predicted_span in free_predicted:
            free_gold.remove(gold_span)
            free_predicted.remove(predicted_span)
            matches.append((gold_span, predicted_span))
    return [*matches, *((span, None) for span in sorted(free_gold)), *((None, span) for span in sorted(free_predicted))]


def classify_outcome(gold: Span, predicted: Span | None) -> str:
    """Return the outcome of a gold entity, one of OUTCOMES."""
    if predicted is None:
        return "missed"
    same = (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type
    return {(True, True): "right", (False, True): "boundary", (True, False): "type"}.get(same, "both")


def _likeness(gold: Span, predicted: Span) -> tuple[bool, bool, int]:
    n_shared = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type, n_shared
