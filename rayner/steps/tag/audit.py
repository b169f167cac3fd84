"""Proof that a tagged corpus is whole: every character of every document once, in order, as it was read."""

from collections import Counter
from typing import Any

from rayner.corpus.reading import digest_of
from rayner.corpus.tables import DOCUMENTS, ENTITIES, SEGMENTS, read_table
from rayner.runs.storage import Place
from rayner.steps.tag.plan import Unit, read_plan


def verify(out: Place, planned: dict[str, Any]) -> dict[str, Any]:
    """Counts of what lies in the tables. Raises RuntimeError unless texts, characters and segments add up.

    planned: the facts of the plan. Every document must be there once with its digest, and its segments must follow
    each other from its first character to its last. One unit is in memory at a time.
    """
    counts: Counter[str] = Counter(
        dict.fromkeys(("documents", "characters", "segments", "gated", "set_aside", "passes", "entities"), 0)
    )
    decided: Counter[str] = Counter()
    for part in read_plan(out):
        for unit in part:
            _documents(unit, out, counts)
            _segments(unit, out, counts)
            by = read_table(out / "entities" / f"{unit.name}.parquet", ENTITIES)["decided_by"].to_pylist()
            counts["entities"] += len(by)
            decided.update(by)
    for key in ("documents", "characters"):
        if counts[key] != planned[key]:
            raise RuntimeError(f"{out}: counts do not add up: {counts[key]} {key}, {planned[key]} were read")
    return {**counts, "decided_by": dict(sorted(decided.items()))}


def _documents(unit: Unit, out: Place, counts: Counter[str]) -> None:
    """The documents that begin in a unit are those that were planned, with the texts that were read."""
    table = read_table(out / "documents" / f"{unit.name}.parquet", DOCUMENTS)
    texts = zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    found = [(doc_id, digest_of(text), len(text)) for doc_id, text in texts]
    if found != [(piece.doc_id, piece.sha256, piece.n_chars) for piece in unit.pieces if piece.start == 0]:
        raise RuntimeError(f"{out}: the documents of {unit.name} are not those that were read")
    counts["documents"] += len(found)


def _segments(unit: Unit, out: Place, counts: Counter[str]) -> None:
    """The segments of a unit partition its pieces."""
    columns = read_table(out / "segments" / f"{unit.name}.parquet", SEGMENTS).to_pydict()
    rows = list(zip(columns["doc_id"], columns["start"], columns["end"], strict=True))
    at = 0
    for piece in unit.pieces:
        reached = piece.start
        while reached < piece.end:
            if at == len(rows) or rows[at][:2] != (piece.doc_id, reached):
                raise RuntimeError(f"{piece.doc_id}: a gap or an overlap of segments at character {reached}")
            reached, at = rows[at][2], at + 1
        if reached != piece.end:
            raise RuntimeError(f"{piece.doc_id}: a segment goes beyond character {piece.end}")
    if at != len(rows):
        raise RuntimeError(f"{out}: {unit.name} has segments of {rows[at][0]} that were not planned")
    counts["segments"] += len(rows)
    counts["characters"] += sum(end - start for _, start, end in rows)
    counts["gated"] += sum(columns["gated"])
    counts["passes"] += sum(columns["passes"])
    counts["set_aside"] += sum(error is not None for error in columns["error"])
