"""The audit accepts the tables that the plan expects and refuses missing, doubled and changed rows and files."""

import os
import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from rayner.corpus.parquet_files import read_table, write_table
from rayner.corpus.reading import sha256_of_text
from rayner.corpus.tables import TABLE_NAMES, iter_documents, iter_segment_rows_by_document
from rayner.corpus.unit_records import InputDigests, read_unit_record, record_path, write_unit_record
from rayner.errors import ConfigError, DataError
from rayner.fusion.calibration import Calibration
from rayner.fusion.region_rule import RegionRule
from rayner.runs.run_folder import file_sha256
from rayner.steps.tag.audit import CorpusVerifier, verify_tagged_corpus
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts, write_plan_and_documents
from rayner.steps.tag.scored_units import UnitFiles
from rayner.steps.tag.units import read_unit
from rayner.text.predictions import SlmPrediction
from rayner.text.spans import Span
from tests.corpus.tagged_corpora import SCHEMAS

TEXTS = {"一": "楚王曰。秦王曰。" * 3, "二": "", "三": "趙王白。\n"}


@pytest.fixture
def tagged(tmp_path):
    return tag(tmp_path, "utf-8")


def tag(tmp_path, encoding):
    """A small corpus whose small model tags the first two characters of each segment, and its plan."""
    for name, text in TEXTS.items():
        (tmp_path / "corpus").mkdir(exist_ok=True)
        (tmp_path / "corpus" / f"{name}.txt").write_bytes(text.encode(encoding))
    out = tmp_path / "out"
    survey = write_plan_and_documents(str(tmp_path / "corpus"), 10, out, encoding=encoding)
    inputs = InputDigests("tags", "scores")
    files = UnitFiles(out, survey.plan_parts, RegionRule(0.0), Calibration(), inputs, keep_scores=True)
    for unit in (unit for units in iter_plan_parts(out, survey.plan_parts) for unit in units):
        planned = read_unit(unit, out, survey.plan_parts)
        segments = []
        for segment in planned.segments:
            n = len(segment.text)
            slm = SlmPrediction((Span(0, min(2, n), "NR"),), np.zeros(n, dtype=np.float32))
            segments.append(replace(segment, slm=slm, gated=segment.start > 0))
        files.write(replace(planned, segments=segments))
    return out, PlanSummary(
        "digest", survey.documents, survey.characters, survey.units, {}, [], 0.25, survey.plan_parts
    )


def change_rows(out, table, change, unit="unit-000000"):
    """Change the rows of a file and record the new digest, as a wrong program would."""
    path = out / table / f"{unit}.parquet"
    rows = change(read_table(path, SCHEMAS[table]).to_pylist())
    digest = write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[table]), path)
    record = read_unit_record(out, unit)
    write_unit_record(out, replace(record, files={**record.files, table: digest}))


def edited(rows, **values):
    return [{**rows[0], **values}, *rows[1:]]


def test_tables_as_planned_are_counted(tagged):
    counts = verify_tagged_corpus(*tagged).corpus_counts()
    assert (counts.documents, counts.characters) == (3, sum(map(len, TEXTS.values())))
    assert (counts.segments, counts.passes, counts.gated) == (7, 0, 5)
    assert (counts.entities, counts.decided_by, counts.set_aside, counts.unknown_share) == (7, {"slm": 7}, 0, 0.25)


@pytest.mark.parametrize(
    ("table", "change", "found"),
    [
        ("segments", lambda rows: rows[:1], "expected 2 segments, found 1"),
        ("segments", lambda rows: rows[::-1], "expected segment"),
        ("segments", lambda rows: [rows[0], rows[0], rows[1]], "expected segment"),
        ("segments", lambda rows: edited(rows, error="set aside"), "expected the counts of its record"),
        ("segments", lambda rows: edited(rows, gated=True), "expected the counts of its record"),
        ("documents", lambda rows: edited(rows, text=rows[0]["text"].replace("楚", "齊")), "with the planned digest"),
        (
            "documents",
            lambda rows: edited(rows, text="齊", sha256=sha256_of_text("齊"), n_chars=1),
            "with the planned digest",
        ),
        ("documents", lambda rows: edited(rows, encoding="gb18030"), "with the planned digest"),
        ("documents", lambda rows: edited(rows, encoding="ascii"), "with the planned digest"),
        ("documents", lambda rows: edited(rows, encoding="no encoding"), "with the planned digest"),
        ("documents", lambda rows: [], "expected the planned documents, found others"),
        ("documents", lambda rows: edited(rows, n_chars=9), "expected 24 characters"),
        ("entities", lambda rows: [], "expected the counts of its record"),
        ("entities", lambda rows: edited(rows, text="齊王"), "as in the text, found entity"),
        ("entities", lambda rows: edited(rows, start=1), "as in the text, found entity"),
        ("entities", lambda rows: edited(rows, end=0), "as in the text, found entity"),
        ("entities", lambda rows: rows[::-1], "in order and without overlaps"),
        ("entities", lambda rows: [rows[0], *rows], "in order and without overlaps"),
        ("entities", lambda rows: edited(rows, doc_id="三"), "that begin in the unit"),
        ("entities", lambda rows: edited(rows, decided_by="llm"), "expected the counts of its record"),
    ],
)
def test_rows_that_a_wrong_program_wrote_are_refused(tagged, table, change, found):
    out, plan = tagged
    change_rows(out, table, change)
    problems = list(CorpusVerifier(out, plan).find_problems())
    assert any(found in problem for problem in problems), problems


def test_the_text_of_a_file_in_another_encoding_is_proved_against_its_bytes(tmp_path):
    out, plan = tag(tmp_path, "gb18030")
    verify_tagged_corpus(out, plan)
    rows = read_table(out / "documents" / "unit-000000.parquet", SCHEMAS["documents"]).to_pylist()
    assert rows[0]["sha256"] == file_sha256(tmp_path / "corpus" / "一.txt")
    assert rows[0]["encoding"] == "gb18030"
    change_rows(out, "documents", lambda rows: edited(rows, text=rows[0]["text"].replace("楚", "齊")))
    problems = list(CorpusVerifier(out, plan).find_problems())
    assert any("with the planned digest, found another text" in problem for problem in problems)


def test_tables_of_documents_without_the_column_of_encodings_are_read_as_before(tagged):
    out, plan = tagged
    for path in (out / "documents").iterdir():
        digest = write_table(read_table(path, SCHEMAS["documents"]).drop_columns("encoding"), path)
        record = read_unit_record(out, path.stem)
        write_unit_record(out, replace(record, files={**record.files, "documents": digest}))
    assert {document.doc_id: document.text for document in iter_documents(out)} == TEXTS
    # The plan has the digests of the files that it wrote.
    assert {p for p in CorpusVerifier(out, plan).find_problems() if "of the planned documents" not in p} == set()


def test_an_entity_that_overlaps_one_of_the_unit_before_is_refused(tagged):
    out, plan = tagged
    change_rows(out, "entities", lambda rows: [*rows[:-1], {**rows[-1], "end": 10, "text": TEXTS["一"][4:10]}])
    with pytest.raises(DataError, match="unit-000001: expected entities in order and without overlaps"):
        verify_tagged_corpus(out, plan)


def test_counts_other_than_the_plans_are_refused(tagged):
    out, plan = tagged
    with pytest.raises(DataError, match="expected 4 documents as planned, found 3"):
        verify_tagged_corpus(out, replace(plan, documents=4))


@pytest.mark.parametrize("table", [*TABLE_NAMES, "units"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "another unit", "one more"])
def test_each_damaged_file_is_named(tagged, table, damage):
    out, plan = tagged
    suffix = "json" if table == "units" else "parquet"
    path = out / table / f"unit-000001.{suffix}"
    content, other = path.read_bytes(), (out / table / f"unit-000000.{suffix}").read_bytes()
    path.write_bytes(
        {"half": content[: len(content) // 2], "another unit": other, "one more": content}.get(damage, b"")
    )
    if damage == "missing":
        path.unlink()
    if damage == "one more":
        path = out / table / f"unit-000009.{suffix}"
        path.write_bytes(content)
    problems = list(CorpusVerifier(out, plan).find_problems())
    assert any(f"{path}: expected" in problem for problem in problems), problems


@pytest.mark.parametrize("table", TABLE_NAMES)
def test_every_flipped_bit_is_found_by_each_reader(tagged, table):
    out, plan = tagged
    path, draw = out / table / "unit-000000.parquet", random.Random(13)
    content = path.read_bytes()
    for _ in range(int(os.environ.get("RAYNER_BIT_FLIPS", "40"))):
        bit = draw.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(DataError, match=re.escape(f"{path}: expected the file that was written")):
            verify_tagged_corpus(out, plan)
        with pytest.raises(DataError, match=re.escape(f"{path}: expected the file that was written")):
            list(iter_documents(out))
        with pytest.raises(DataError, match=re.escape(f"{path}: expected the file that was written")):
            list(iter_segment_rows_by_document(out))
    path.write_bytes(content)
    assert verify_tagged_corpus(out, plan).corpus_counts().documents == 3


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_every_flipped_bit_of_kept_predictions_is_found(tagged, suffix):
    out, plan = tagged
    path, draw = out / "scores" / f"unit-000000.{suffix}", random.Random(13)
    content = path.read_bytes()
    for _ in range(int(os.environ.get("RAYNER_BIT_FLIPS", "40"))):
        bit = draw.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert any(str(path) in problem for problem in CorpusVerifier(out, plan).find_problems())
    path.unlink()
    assert any("scores/unit-000000" in problem for problem in CorpusVerifier(out, plan).find_problems())


def test_a_record_with_another_name_or_type_is_refused(tagged):
    out, _ = tagged
    path = record_path(out, "unit-000000")
    for content in (b"", b"[]", b'{"format_version": 2, "unit": "unit-000000"}', path.read_bytes().replace(b"0", b"1")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"unit-000000\.json"):
            read_unit_record(out, "unit-000000")
    path.write_bytes(b'{"format_version": 9}')
    with pytest.raises(ConfigError, match=r"unit-000000\.json: expected format_version 2, found version 9"):
        read_unit_record(out, "unit-000000")
