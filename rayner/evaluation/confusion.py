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

    pairs: (gold type, predicted type), `NO_ENTITY` for an entity that was missed or is spurious; outcomes: (gold type,
    one of KINDS): same extent and type, same type only, same extent only, an overlap only, none.
    """

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)


def count_confusions(gold: Iterable[Sequence[Span]], predicted: Iterable[Sequence[Span]]) -> Confusion:
    """The counts over sentences, a sequence of spans each. Raises ValueError where there are not as many of both."""
    found = Confusion()
    for wanted, given in zip(gold, predicted, strict=True):
        for ours, theirs in match_entities(wanted, given):
            found.pairs[ours.type if ours else NO_ENTITY, theirs.type if theirs else NO_ENTITY] += 1
            if ours:
                found.outcomes[ours.type, classify_outcome(ours, theirs)] += 1
    return found


def match_entities(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """Each entity once: with the one it overlaps that is likest to it, or with None.

    Likest: of the same extent, then of the same type, then with the longest overlap, then the first.
    """
    pairs = [(ours, theirs) for ours in gold for theirs in predicted if ours.overlaps(theirs)]
    pairs.sort(key=lambda pair: (tuple(-value for value in _likeness(*pair)), pair))
    left, right = set(gold), set(predicted)
    out: list[tuple[Span | None, Span | None]] = []
    for ours, theirs in pairs:
        if ours in left and theirs in right:
            left.remove(ours)
            right.remove(theirs)
            out.append((ours, theirs))
    return [*out, *((ours, None) for ours in sorted(left)), *((None, theirs) for theirs in sorted(right))]


def classify_outcome(gold: Span, predicted: Span | None) -> str:
    """What became of a gold entity: one of KINDS."""
    if predicted is None:
        return "missed"
    same = (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type
    return {(True, True): "right", (False, True): "boundary", (True, False): "type"}.get(same, "both")


def _likeness(gold: Span, predicted: Span) -> tuple[bool, bool, int]:
    overlap = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return (gold.start, gold.end) == (predicted.start, predicted.end), gold.type == predicted.type, overlap
