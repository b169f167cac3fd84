"""The audit accepts the tables that the plan expects and refuses missing, doubled and changed rows."""

import pyarrow as pa
import pytest

from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, read_table, write_table
from rayner.steps.tag.audit import verify_tagged_corpus
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts, write_plan_and_documents

TEXTS = {"一": "楚王曰。秦王曰。" * 3, "二": "", "三": "趙王白。\n"}


@pytest.fixture
def tagged(tmp_path):
    """Tables without entities for a small corpus, and the summary of its plan."""
    for name, text in TEXTS.items():
        (tmp_path / "corpus").mkdir(exist_ok=True)
        (tmp_path / "corpus" / f"{name}.txt").write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    survey = write_plan_and_documents(str(tmp_path / "corpus"), 10, out)
    for unit in (unit for units in iter_plan_parts(out) for unit in units):
        rows = [
            {"doc_id": part.doc_id, "start": start, "end": end, "gated": start > 0, "passes": 2, "error": None}
            for part in unit.slices
            for start, end in part.segment_bounds()
        ]
        write_table(pa.Table.from_pylist(rows, schema=SEGMENT_SCHEMA), out / "segments" / f"{unit.name}.parquet")
        write_table(ENTITY_SCHEMA.empty_table(), out / "entities" / f"{unit.name}.parquet")
    return out, PlanSummary("digest", survey.documents, survey.characters, survey.units, {}, [], 0.25)


def test_tables_as_planned_are_counted(tagged):
    counts = verify_tagged_corpus(*tagged)
    assert (counts.documents, counts.characters) == (3, sum(map(len, TEXTS.values())))
    assert (counts.segments, counts.passes, counts.gated) == (7, 14, 5)
    assert (counts.entities, counts.decided_by, counts.set_aside, counts.unknown_share) == (0, {}, 0, 0.25)


@pytest.mark.parametrize("rows", [[0], [1, 0], [0, 0, 1]])
def test_a_segment_that_is_missing_doubled_or_in_another_place_is_refused(tagged, rows):
    out, plan = tagged
    path = out / "segments" / "unit-000000.parquet"
    table = read_table(path, SEGMENT_SCHEMA)
    assert table.num_rows == 2
    write_table(table.take(rows), path)
    with pytest.raises(RuntimeError, match="unit-000000: expected"):
        verify_tagged_corpus(out, plan)


def test_a_document_with_another_text_is_refused(tagged):
    out, plan = tagged
    path = out / "documents" / "unit-000000.parquet"
    rows = read_table(path, DOCUMENT_SCHEMA).to_pylist()
    rows[0]["text"] = rows[0]["text"].replace("楚", "齊")
    write_table(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA), path)
    with pytest.raises(RuntimeError, match="the documents of unit-000000 are not those that were planned"):
        verify_tagged_corpus(out, plan)


def test_counts_other_than_the_plans_are_refused(tagged):
    out, _ = tagged
    with pytest.raises(RuntimeError, match="counts do not add up: 3 documents in the tables, 4 in the plan"):
        verify_tagged_corpus(out, PlanSummary("digest", 4, 0, 0, {}, [], 0.0))
