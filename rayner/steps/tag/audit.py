"""Proof that a tagged corpus is whole: every character of every document once, in order, as it was read."""

from collections import Counter
from typing import Any

from rayner.corpus.reading import sha256_of_text
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, read_table
from rayner.runs.storage import StoragePath
from rayner.steps.tag.plan import Unit, iter_plan_parts


def verify_tagged_corpus(out: StoragePath, plan: dict[str, Any]) -> dict[str, Any]:
    """Counts of what lies in the tables. Raises RuntimeError unless texts, characters and segments add up.

    planned: the facts of the plan. Every document must be there once with its digest, and its segments must follow
    each other from its first character to its last. One unit is in memory at a time.
    """
    counts: Counter[str] = Counter(
        dict.fromkeys(("documents", "characters", "segments", "gated", "set_aside", "passes", "entities"), 0)
    )
    decided: Counter[str] = Counter()
    for part in iter_plan_parts(out):
        for unit in part:
            _check_documents(unit, out, counts)
            _check_segments(unit, out, counts)
            by = read_table(out / "entities" / f"{unit.name}.parquet", ENTITY_SCHEMA)["decided_by"].to_pylist()
            counts["entities"] += len(by)
            decided.update(by)
    for key in ("documents", "characters"):
        if counts[key] != plan[key]:
            raise RuntimeError(f"{out}: counts do not add up: {counts[key]} {key}, {plan[key]} were read")
    return {**counts, "decided_by": dict(sorted(decided.items()))}


def _check_documents(unit: Unit, out: StoragePath, counts: Counter[str]) -> None:
    """The documents that begin in a unit are those that were planned, with the texts that were read."""
    table = read_table(out / "documents" / f"{unit.name}.parquet", DOCUMENT_SCHEMA)
    texts = zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    found = [(doc_id, sha256_of_text(text), len(text)) for doc_id, text in texts]
    if found != [(piece.doc_id, piece.sha256, piece.n_chars) for piece in unit.slices if piece.start == 0]:
        raise RuntimeError(f"{out}: the documents of {unit.name} are not those that were read")
    counts["documents"] += len(found)


def _check_segments(unit: Unit, out: StoragePath, counts: Counter[str]) -> None:
    """The segments of a unit partition its pieces."""
    columns = read_table(out / "segments" / f"{unit.name}.parquet", SEGMENT_SCHEMA).to_pydict()
    rows = list(zip(columns["doc_id"], columns["start"], columns["end"], strict=True))
    at = 0
    for piece in unit.slices:
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
