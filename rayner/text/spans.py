"""The `Span` class, which represents every entity inside rayner.

Offsets count Unicode code points in the unchanged text, and the end is excluded. Only exporters use other conventions.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity: characters `start` (included) to `end` (excluded) of a text, of the given type."""

    start: int
    end: int
    type: str

    def shift(self, offset: int) -> "Span":
        """Return the span with `offset` added to its start and end."""
        return Span(self.start + offset, self.end + offset, self.type)

    def overlaps(self, other: "Span") -> bool:
        """Say whether the two spans share a character."""
        return self.start < other.end and other.start < self.end


def sort_and_check_spans(spans: Iterable[Span], n_chars: int) -> tuple[Span, ...]:
    """Return the spans in order of start. Raises ValueError if one is empty, overlaps another or leaves the text.

    n_chars: length of the text.

    Such a span comes from a programming error, not from bad data.
    """
    ordered = tuple(sorted(spans))
    end = 0
    for span in ordered:
        if not end <= span.start < span.end <= n_chars:
            raise ValueError(f"{span} is empty, overlaps the one before or leaves the text of {n_chars} characters")
        end = span.end
    return ordered


class SpanIndex:
    """Spans without overlaps, to look up quickly which of them overlap another span."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans)
        self._starts = [span.start for span in self._spans]
        self._ends = [span.end for span in self._spans]

    def overlapping(self, span: Span) -> list[Span]:
        """Return the spans that share a character with the given span, in text order."""
        return self._spans[bisect_right(self._ends, span.start) : bisect_left(self._starts, span.end)]


def crop_spans(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """Return the spans that lie completely inside [start, end), with offsets counted from `start`."""
    return tuple(span.shift(-start) for span in spans if start <= span.start and span.end <= end)
