"""Cuts in long sentences: predict the seams of a unit, and join the entities on both sides of each cut.

The prediction of a seam, the text around a cut, says whether an entity crosses the cut. A seam is predicted alone, in a
batch of its own. So two units that meet at a cut get the same prediction, and need not know each other. The entity that
crosses the cut belongs to the unit of the left piece. Both units drop their own entities that overlap it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rayner.corpus.tables import EntityRow, SegmentRow
from rayner.steps.tag.stages import UnitSegments

Stage = Callable[[UnitSegments], UnitSegments]


@dataclass(frozen=True)
class DecidedSeam:
    """What the prediction of a seam says about its cut.

    end: the end of the seam.
    has_left: whether the unit holds the piece before the cut.
    crossing: the entity that crosses the cut; None if there is none or the prediction failed.
    error: why the prediction failed; None if it did not.
    """

    cut: int
    end: int
    has_left: bool
    crossing: EntityRow | None = None
    error: str | None = None


def predict_unit(unit: UnitSegments, slm: Stage, llm: Stage) -> UnitSegments:
    """Run both models on the segments of a unit, and then on its seams, each seam in a batch of its own."""
    predicted = llm(slm(unit))
    if unit.seams is None:
        return predicted
    seams = llm(slm(unit.seams))
    # One file keeps the predictions of both, so it is out of date if it is for one of them.
    return replace(predicted, seams=seams, scores_sha256=predicted.scores_sha256 and seams.scores_sha256)


def join_at_seams(entities: Sequence[EntityRow], seams: Sequence[DecidedSeam]) -> list[EntityRow]:
    """Return the entities of a document's slice, corrected at each cut, in text order.

    An entity that crosses a cut replaces those that overlap it. It is left out if the slice begins at the cut, because
    it belongs to the slice before. If the prediction of such a seam failed, it is unknown which entity the slice before
    has there, so all entities that might overlap it are left out.

    Args:
        entities: The entities of the slice's segments, in text order.
        seams: The seams of the slice, in text order.

    """
    replaced = list(_iter_replaced_ranges(seams))
    kept, i = list[EntityRow](), 0
    for entity in entities:
        while i < len(replaced) and replaced[i][1] <= entity["start"]:
            i += 1
        if i == len(replaced) or entity["end"] <= replaced[i][0]:
            kept.append(entity)
    crossing = [seam.crossing for seam in seams if seam.crossing is not None and seam.has_left]
    return sorted([*kept, *crossing], key=lambda entity: entity["start"])


def _iter_replaced_ranges(seams: Sequence[DecidedSeam]) -> Iterator[tuple[int, int]]:
    """Yield the characters [start, end) in which no entity of a segment is kept, in text order."""
    for seam in seams:
        if seam.crossing is not None:
            yield seam.crossing["start"], seam.crossing["end"]
        elif seam.error is not None and not seam.has_left:
            yield seam.cut, seam.end


def add_seam_errors(rows: Sequence[SegmentRow], seams: Mapping[str, Sequence[DecidedSeam]]) -> None:
    """Add the errors of seams to the rows of the segments of a unit.

    An error is added to the row of the piece before the cut, or of the piece after it if the unit does not hold the
    piece before.

    seams: the seams of the unit, by doc_id.
    """
    errors = {
        (doc_id, "end" if seam.has_left else "start", seam.cut): seam.error
        for doc_id, document_seams in seams.items()
        for seam in document_seams
        if seam.error is not None
    }
    for row in rows if errors else ():
        own = [row["error"]] if row["error"] is not None else []
        for side, place in (("start", row["start"]), ("end", row["end"])):
            error = errors.get((row["doc_id"], side, place))
            own += [f"text around its {side}: {error}"] if error is not None else []
        row["error"] = "; ".join(own) or None
