"""Verify that a tagged corpus is complete: it holds every character of every document exactly once and in order."""

from collections import Counter
from itertools import chain

from rayner.corpus.reading import sha256_of_text
from rayner.corpus.run_record import CorpusCounts
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, read_table
from rayner.runs.storage import StoragePath
from rayner.steps.tag.plan import PlanSummary, Unit, iter_plan_parts


def verify_tagged_corpus(out: StoragePath, plan: PlanSummary) -> CorpusCounts:
    """Compare the tables with the plan and return the counts. Only one unit is in memory at a time.

    Raises RuntimeError unless the tables hold exactly the planned documents and segments, in the planned order.
    """
    counts: Counter[str] = Counter()
    decided_by: Counter[str] = Counter()
    for unit in chain.from_iterable(iter_plan_parts(out)):
        counts.update(_verify_and_count_documents(unit, out))
        counts.update(_verify_and_count_segments(unit, out))
        entities = read_table(out / "entities" / f"{unit.name}.parquet", ENTITY_SCHEMA)
        decided_by.update(entities["decided_by"].to_pylist())
    for key, planned in (("documents", plan.documents), ("characters", plan.characters)):
        if counts[key] != planned:
            raise RuntimeError(f"{out}: counts do not add up: {counts[key]} {key} in the tables, {planned} in the plan")
    return CorpusCounts(
        documents=counts["documents"],
        characters=counts["characters"],
        segments=counts["segments"],
        gated=counts["gated"],
        set_aside=counts["set_aside"],
        passes=counts["passes"],
        entities=decided_by.total(),
        decided_by=dict(sorted(decided_by.items())),
        unknown_share=plan.unknown_share,
    )


def _verify_and_count_documents(unit: Unit, out: StoragePath) -> dict[str, int]:
    """Count the documents that begin in a unit. Raises RuntimeError if they differ from the planned documents."""
    table = read_table(out / "documents" / f"{unit.name}.parquet", DOCUMENT_SCHEMA)
    texts = zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    documents = [(doc_id, sha256_of_text(text), len(text)) for doc_id, text in texts]
    planned = [(first.doc_id, first.sha256, first.n_chars) for first in unit.slices if first.start == 0]
    if documents != planned:
        raise RuntimeError(f"{out}: the documents of {unit.name} are not those that were planned")
    return {"documents": len(documents)}


def _verify_and_count_segments(unit: Unit, out: StoragePath) -> dict[str, int]:
    """Count a unit's segments, characters and outcomes. Raises RuntimeError if the segments are not as planned."""
    columns = read_table(out / "segments" / f"{unit.name}.parquet", SEGMENT_SCHEMA).to_pydict()
    segments = list(zip(columns["doc_id"], columns["start"], columns["end"], strict=True))
    planned = [(part.doc_id, start, end) for part in unit.slices for start, end in part.segment_bounds()]
    for segment, expected in zip(segments, planned, strict=False):
        if segment != expected:
            raise RuntimeError(f"{out}: {unit.name}: expected segment {expected}, found {segment}")
    if len(segments) != len(planned):
        raise RuntimeError(f"{out}: {unit.name}: expected {len(planned)} segments, found {len(segments)}")
    return {
        "segments": len(segments),
        "characters": sum(end - start for _, start, end in segments),
        "gated": sum(columns["gated"]),
        "passes": sum(columns["passes"]),
        "set_aside": sum(error is not None for error in columns["error"]),
    }
