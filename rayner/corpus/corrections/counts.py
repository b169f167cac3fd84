"""How many corrections a tagged corpus holds, and which of them found no place in its texts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rayner.corpus.corrections.correction import CORRECTIONS_FILE, Correction
from rayner.text.messages import shorten_repr

_MAX_LISTED = 10


@dataclass(frozen=True)
class CorrectionCounts:
    """Counts of corrections.

    total: All corrections of the corpus.
    unmatched: A description of each correction that found no place, in the order of `corrections.jsonl`.
    """

    total: int = 0
    unmatched: tuple[str, ...] = ()

    def format_warning(self) -> str | None:
        """Return a sentence about the corrections that found no place; None if all did."""
        if not self.unmatched:
            return None
        listed = "; ".join(self.unmatched[:_MAX_LISTED])
        more = "; ..." if len(self.unmatched) > _MAX_LISTED else ""
        return (
            f"{len(self.unmatched)} of {self.total} corrections found no place, because the texts have changed, or the "
            f"place lies in a sentence that was cut: {listed}{more}"
        )


def count_corrections(corrections: Sequence[Correction], found: Collection[int]) -> CorrectionCounts:
    """Count corrections. found: the numbers, from 0, of those whose place was found."""
    unmatched = (
        f"{shorten_repr(one.text)} at {one.start} of {one.doc_id} ({CORRECTIONS_FILE}, line {i + 1})"
        for i, one in enumerate(corrections)
        if i not in found
    )
    return CorrectionCounts(len(corrections), tuple(unmatched))
