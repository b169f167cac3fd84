"""Correct the entities of a text. Pure, so the same text and entities always give the same result.

A correction `here` finds its place by its offsets, if its text and what stands around it are still there; else by its
text and what stands around it, if they occur once in the document. It replaces every entity that it overlaps.

A correction with a wider scope holds for the mentions of its text: the entities with just these characters and, if it
gives a type and the text has two characters or more, the untagged mentions. A mention that is a part of another entity
is left as it is.

No two corrections decide about the same character: the one that comes first holds (`precedence`).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rayner.corpus.corrections.correction import NOT_AN_ENTITY, Correction
from rayner.corpus.corrections.precedence import NumberedCorrection
from rayner.corpus.tables import PERSON, EntityRow

_MIN_CHARS_TO_ADD = 2  # a single character occurs everywhere, and mostly means something else
_SCORE_OF_A_PERSON = 1.0


@dataclass(frozen=True, slots=True)
class CorrectableText:
    """Characters [start, end) of a document that corrections may change.

    text: The text of the whole document.
    """

    doc_id: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class CorrectedEntities:
    """The entities of a text after its correction.

    entities: In text order.
    replaced: The models' entities that corrections replaced or removed, in text order.
    found: The numbers of the corrections whose place was found in the text.
    """

    entities: Sequence[EntityRow]
    replaced: Sequence[EntityRow] = ()
    found: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class _Decision:
    start: int
    end: int
    type: str
    replaces_overlapped: bool


def correct_entities(
    part: CorrectableText, rows: Sequence[EntityRow], corrections: Sequence[NumberedCorrection]
) -> CorrectedEntities:
    """Correct the entities of a text.

    Args:
        part: The text.
        rows: The models' entities that begin in the text, in text order, without overlaps.
        corrections: The corrections of the document, the ones to apply first at the beginning.

    """
    found, decisions = set[int](), list[_Decision]()
    model = _ModelEntities(rows)
    for one in corrections:
        correction = one.correction
        for start in _find_here(part, correction) if one.is_here else _iter_mentions(part, correction.text):
            end = start + len(correction.text)
            if not part.start <= start <= end <= part.end:
                continue
            found.add(one.number)
            if one.is_here or model.is_mention(start, end, correction):
                _add_unless_decided(decisions, _Decision(start, end, correction.type, one.is_here))
    return _apply(part, model, decisions, frozenset(found))


class _ModelEntities:
    """Entities in text order, found by their place."""

    def __init__(self, rows: Sequence[EntityRow]) -> None:
        self.rows = rows
        self._starts = [row["start"] for row in rows]
        self._ends = [row["end"] for row in rows]

    def find_overlapped(self, start: int, end: int) -> range:
        """Return the indices of the entities that share a character with [start, end)."""
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))

    def find_same(self, start: int, end: int) -> int | None:
        """Return the index of the entity with just the characters [start, end)."""
        indices = self.find_overlapped(start, end)
        if len(indices) == 1 and (self._starts[indices[0]], self._ends[indices[0]]) == (start, end):
            return indices[0]
        return None

    def is_mention(self, start: int, end: int, correction: Correction) -> bool:
        """Return whether a correction with a wide scope holds for the characters [start, end), which are its text."""
        if self.find_overlapped(start, end):
            return self.find_same(start, end) is not None
        return correction.type != NOT_AN_ENTITY and end - start >= _MIN_CHARS_TO_ADD


def _find_here(part: CorrectableText, correction: Correction) -> list[int]:
    """Return where a correction `here` holds in the document: one offset, or none."""
    text, start = part.text, correction.start - len(correction.before)
    passage = correction.before + correction.text + correction.after
    if start < 0 or not text.startswith(passage, start):
        start = text.find(passage)
        if start < 0 or text.find(passage, start + 1) >= 0:
            return []
    return [start + len(correction.before)]


def _iter_mentions(part: CorrectableText, mention: str) -> Iterator[int]:
    at = part.text.find(mention, part.start, part.end)
    while at >= 0:
        yield at
        at = part.text.find(mention, at + 1, part.end)


def _add_unless_decided(decisions: list[_Decision], decision: _Decision) -> None:
    """Insert a decision, in text order, unless an earlier one is about one of its characters."""
    i = bisect_left(decisions, decision.start, key=lambda one: one.start)
    if i > 0 and decisions[i - 1].end > decision.start:
        return
    if i < len(decisions) and decisions[i].start < decision.end:
        return
    insort(decisions, decision)


def _apply(
    part: CorrectableText, model: _ModelEntities, decisions: Sequence[_Decision], found: frozenset[int]
) -> CorrectedEntities:
    replaced, added = set[int](), list[EntityRow]()
    for decision in decisions:
        same = model.find_same(decision.start, decision.end)
        if decision.type == NOT_AN_ENTITY:
            replaced.update([] if same is None else [same])
            continue
        if not decision.replaces_overlapped and same is not None and model.rows[same]["type"] == decision.type:
            continue  # the models found it themselves
        replaced.update(model.find_overlapped(decision.start, decision.end))
        added.append(_make_person_row(part, decision, None if same is None else model.rows[same]))
    kept = [row for i, row in enumerate(model.rows) if i not in replaced]
    entities = sorted([*kept, *added], key=lambda row: row["start"]) if added else kept
    return CorrectedEntities(entities, [model.rows[i] for i in sorted(replaced)], found)


def _make_person_row(part: CorrectableText, decision: _Decision, same: EntityRow | None) -> EntityRow:
    """Return the row of an entity that a person decided. same: the models' entity with the same characters, if any."""
    return {
        "doc_id": part.doc_id,
        "start": decision.start,
        "end": decision.end,
        "text": part.text[decision.start : decision.end],
        "type": decision.type,
        "score": _SCORE_OF_A_PERSON,
        "decided_by": PERSON,
        "slm_type": same and same["slm_type"],
        "slm_entropy": same and same["slm_entropy"],
        "llm_type": same and same["llm_type"],
        "llm_category_prob": same and same["llm_category_prob"],
        "llm_boundary_prob": same and same["llm_boundary_prob"],
    }


def restore_model_entities(entities: Sequence[EntityRow], replaced: Sequence[EntityRow]) -> list[EntityRow]:
    """Return the models' entities of a document's text, from what `correct_entities` returned."""
    kept = [row for row in entities if row["decided_by"] != PERSON]
    return sorted([*kept, *replaced], key=lambda row: row["start"]) if replaced else kept
