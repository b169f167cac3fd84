"""The tables of the pages agree with what the code writes."""

import dataclasses
import re

import pyarrow as pa
import pytest

from rayner.corpus.exports import EXPORT_FORMATS
from rayner.corpus.prediction_tables import PREDICTION_SCHEMA
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA
from rayner.report.csv_tables import COLUMNS
from rayner.runs.status import JobStatus
from tests.docs.pages import first_column_names, prose, table_after


@pytest.mark.parametrize(("before", "schema"), [
    ("**documents**", DOCUMENT_SCHEMA),
    ("**entities**, in order of `start` within a document, never overlapping", ENTITY_SCHEMA),
    ("**segments**, which partition each document", SEGMENT_SCHEMA),
])  # fmt: skip
def test_every_column_of_the_tagged_corpus_is_listed_with_its_type(before, schema):
    listed = [tuple(cell.strip("`") for cell in row[:3]) for row in table_after("docs/formats.md", before)]
    assert listed == [(field.name, str(field.type), "yes" if field.nullable else "no") for field in schema]
    assert all(row[3] for row in table_after("docs/formats.md", before))


def test_every_column_of_the_scores_is_listed_with_its_type():
    listed = [tuple(cell.strip("`") for cell in row[:2]) for row in table_after("docs/formats.md", "## Scores")]
    nested = {pa.types.is_list: "list", pa.types.is_struct: "struct"}
    names = [
        next((name for is_type, name in nested.items() if is_type(f.type)), str(f.type)) for f in PREDICTION_SCHEMA
    ]
    assert listed == list(zip(PREDICTION_SCHEMA.names, names, strict=True))


def test_every_csv_table_is_listed_with_its_columns():
    listed = {
        row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1]))
        for row in table_after("docs/formats.md", "## CSV tables")
    }
    assert listed == COLUMNS


def test_every_key_of_the_status_is_listed():
    assert first_column_names("docs/formats.md", "## status.json") == {
        field.name for field in dataclasses.fields(JobStatus)
    }


def test_every_format_of_exports_is_listed():
    rows = [line for line in prose("docs/exports.md").splitlines() if re.match(r"\| `[\w-]+` \|", line)]
    assert {line.split("`")[1] for line in rows} >= set(EXPORT_FORMATS)


def test_every_clause_of_the_paper_has_a_status_and_what_differs_has_a_reason():
    rows = table_after("docs/method.md", "## The paper, clause by clause")
    parts = ("model", "data", "prompt", "confidence", "rule", "search", "measure", "table")
    assert list(dict.fromkeys(row[0] for row in rows)) == list(parts)
    assert {row[2] for row in rows} == {"as published", "ours", "not run"}
    assert [row for row in rows if row[2] != "as published" and not row[3]] == []
    assert [row for row in rows if row[2] != "ours" and not row[1]] == []  # only ours may be about what the paper omits
