"""List what corrections change in the entities of a text."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rayner.corpus.corrections.correction import CONTEXT_CHARS, HERE, NOT_AN_ENTITY
from rayner.corpus.corrections.correction_files import CSV_COLUMNS
from rayner.corpus.tables import EntityRow

_SCORE_IF_UNKNOWN = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """An entity that is added, removed, or has other characters or another type than before.

    type: The type after the change; "" if there is no entity.
    before: The entities that were there, as (text, type).
    score: The smallest score of these entities; None if there is none, or none with a score.
    left, right: The text on both sides.
    """

    doc_id: str
    start: int
    end: int
    text: str
    type: str
    before: tuple[tuple[str, str], ...]
    score: float | None
    left: str
    right: str

    def format_line(self) -> str:
        """Return a line for the terminal, with tabs between the columns."""
        before = ", ".join(f"{text} {type_}" for text, type_ in self.before) or "-"
        place = " ".join(f"{self.left}[{self.text}]{self.right}".split())
        return f"{self.doc_id}\t{self.start}\t{place}\t{before} -> {self.type or '-'}"


def find_changes(before: Sequence[EntityRow], after: Sequence[EntityRow], text: str) -> Iterator[Change]:
    """Yield what differs between the entities of a document before and after a correction, in text order.

    text: The text of the document.
    """
    same = {_identify(row) for row in before} & {_identify(row) for row in after}
    old = [row for row in before if _identify(row) not in same]
    new = [row for row in after if _identify(row) not in same]
    changes = [_make_change(row, row["type"], [one for one in old if _overlap(one, row)], text) for row in new]
    changes += [
        _make_change(row, NOT_AN_ENTITY, [row], text) for row in old if not any(_overlap(one, row) for one in new)
    ]
    yield from sorted(changes, key=lambda change: change.start)


def format_changes_as_csv(changes: Iterable[Change]) -> str:
    """Return a table of corrections that `rayner review apply` reads, the most doubtful entities first."""
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow((*CSV_COLUMNS, "scope", "score", "tagged_as", "left", "right"))
    for change in sorted(changes, key=_doubt_key):
        tagged_as = ", ".join(f"{text} {type_}" for text, type_ in change.before)
        score = "" if change.score is None else f"{change.score:.3f}"
        rows.writerow((
            change.doc_id, change.start, change.end, change.text, change.type, HERE, score, tagged_as, change.left,
            change.right,
        ))  # fmt: skip
    return stream.getvalue()


def _doubt_key(change: Change) -> tuple[float, str, int]:
    return (_SCORE_IF_UNKNOWN if change.score is None else change.score), change.doc_id, change.start


def _identify(row: EntityRow) -> tuple[int, int, str]:
    return row["start"], row["end"], row["type"]


def _overlap(a: EntityRow, b: EntityRow) -> bool:
    return a["start"] < b["end"] and b["start"] < a["end"]


def _make_change(row: EntityRow, entity_type: str, before: Sequence[EntityRow], text: str) -> Change:
    start, end = row["start"], row["end"]
    scores = [one["score"] for one in before if one["score"] is not None]
    return Change(
        row["doc_id"], start, end, row["text"], entity_type, tuple((one["text"], one["type"]) for one in before),
        min(scores, default=None), text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS],
    )  # fmt: skip
