"""The tables of the formats say what the code writes."""

import dataclasses
import re

import pyarrow as pa
import pytest

from rayner.corpus.exports import FORMATS
from rayner.corpus.prediction_tables import SCORED
from rayner.corpus.tables import DOCUMENTS, ENTITIES, SEGMENTS
from rayner.report.tables import _COLUMNS
from rayner.runs.status import Status
from tests.docs.pages import keys, prose, table


@pytest.mark.parametrize(("before", "schema"), [
    ("**documents**", DOCUMENTS),
    ("**entities**, in order of `start` within a document, never overlapping", ENTITIES),
    ("**segments**, which partition each document", SEGMENTS),
])  # fmt: skip
def test_every_column_of_the_tagged_corpus_is_told_with_its_type(before, schema):
    told = [tuple(cell.strip("`") for cell in row[:3]) for row in table("docs/formats.md", before)]
    assert told == [(field.name, str(field.type), "yes" if field.nullable else "no") for field in schema]
    assert all(row[3] for row in table("docs/formats.md", before))


def test_every_column_of_the_scores_is_told_with_its_type():
    told = [tuple(cell.strip("`") for cell in row[:2]) for row in table("docs/formats.md", "## Scores")]
    assert told == [(f.name, "list" if pa.types.is_list(f.type) else str(f.type)) for f in SCORED]


def test_every_csv_table_is_told_with_its_columns():
    told = {
        row[0].strip("`"): tuple(re.findall(r"`(\w+)`", row[1])) for row in table("docs/formats.md", "## CSV tables")
    }
    assert told == _COLUMNS


def test_every_key_of_the_status_is_told():
    assert keys("docs/formats.md", "## status.json") == {field.name for field in dataclasses.fields(Status)}


def test_every_format_of_exports_is_told():
    rows_told = [line for line in prose("docs/exports.md").splitlines() if re.match(r"\| `[\w-]+` \|", line)]
    assert {line.split("`")[1] for line in rows_told} >= set(FORMATS)
