"""What becomes of each gold entity, and where each predicted one comes from: errors of type, of boundary, of both."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rayner.text.spans import Span

OUTCOMES = ("right", "boundary", "type", "both", "missed")
NO_ENTITY = ""  # where an entity has no counterpart


@dataclass(frozen=True)
class Confusion:
    """Counts over many sentences.

    type_pairs: by (gold type, predicted type), `NO_ENTITY` for an entity that was missed or is spurious.
    outcomes: by (gold type, one of OUTCOMES): same extent and type, same type only, same extent only, an overlap
        only, none.
    """

    type_pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)


def count_confusions(gold: Iterable[Sequence[Span]], predicted: Iterable[Sequence[Span]]) -> Confusion:
    """Count over sentences, a sequence of spans each. Raises ValueError if the numbers of sentences differ."""
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
    """Return each entity once: with the one it overlaps that is likest to it, or with None.

    Likest: of the same extent, then of the same type, then with the longest overlap, then the first.
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
    """Say what became of a gold entity: one of OUTCOMES."""
    if predicted is None:
        return "missed"
    same = (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type
    return {(True, True): "right", (False, True): "boundary", (True, False): "type"}.get(same, "both")


def _likeness(gold: Span, predicted: Span) -> tuple[bool, bool, int]:
    n_shared = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type, n_shared
