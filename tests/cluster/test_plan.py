"""A corpus becomes units by its texts alone; nothing of it is lost, doubled or cut inside a sentence."""

import os
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.parquet_files import read_table
from rayner.corpus.reading import CorpusSurvey, map_in_threads, read_documents, sha256_of_text
from rayner.corpus.tables import DOCUMENT_SCHEMA
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import file_sha256
from rayner.runs.storage import atomic_writer, storage_path
from rayner.steps.tag import plan as plans
from rayner.steps.tag.plan import (
    PlanSummary,
    describe_changed_files_by_path,
    iter_plan_parts,
    plan_units,
    read_unit_plan,
    write_plan_and_documents,
)
from rayner.text.segmentation import find_seams, split_segments, split_sentences
from tests.folders import flip
from tests.strategies import texts

# Often several sentences, so that documents longer than a unit are cut.
documents = st.lists(st.one_of(texts(60), st.text("楚王。\n", max_size=60)), min_size=1, max_size=6)
sizes = st.integers(1, 50)


def write_corpus(folder, contents):
    """A folder of texts `00.txt`, `01.txt` ..."""
    shutil.rmtree(folder, ignore_errors=True)
    for i, text in enumerate(contents):
        path = folder / f"{i:02d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@dataclass
class Plan:
    """A planned corpus: the slices of each unit, and what was found."""

    units: list
    survey: CorpusSurvey


def plan(corpus, size, limit=None):
    survey = CorpusSurvey()
    return Plan([unit.slices for unit in plan_units(read_documents(corpus, survey), size, limit)], survey)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plan") / "corpus"


def slices_by_document(planned):
    slices = {}
    for unit in planned.units:
        for part in unit:
            slices.setdefault(part.doc_id, []).append(part)
    return slices


@given(contents=documents, size=sizes, limit=sizes)
def test_units_partition_every_document_at_ends_of_sentences_and_at_cuts(folder, contents, size, limit):
    planned = plan(write_corpus(folder, contents), size, limit)
    slices = slices_by_document(planned)
    assert list(slices) == [f"{i:02d}" for i in range(len(contents))]
    for i, text in enumerate(contents):
        parts = slices[f"{i:02d}"]
        assert "".join(text[part.start : part.end] for part in parts) == text
        assert parts[0].start == 0
        assert parts[-1].end == len(text)
        assert [a.end for a in parts[:-1]] == [b.start for b in parts[1:]]
        segments = list(split_segments(text, min(size, limit)))
        assert [bounds for p in parts for bounds in p.segment_bounds()] == [(s.start, s.end) for s in segments]
        for p in parts:
            assert p.seams == tuple(seam for seam in find_seams(segments) if p.start <= seam.cut <= p.end)
        ends = {end for _, end in split_sentences(text)}
        assert ends <= {end for p in parts for end in p.segment_ends}, "every sentence end is a segment end"
        assert {(p.sha256, p.n_chars) for p in parts} == {(file_sha256(parts[0].path), len(text))}
    assert planned.survey.documents == len(contents)
    assert planned.survey.characters == sum(map(len, contents))
    assert planned.survey.unread == {}


@given(contents=documents, size=sizes, limit=sizes)
def test_no_unit_is_longer_than_asked_for_and_no_segment_than_both_limits(folder, contents, size, limit):
    for unit in plan(write_corpus(folder, contents), size, limit).units:
        assert sum(part.end - part.start for part in unit) <= size
        assert all(end - start <= min(size, limit) for part in unit for start, end in part.segment_bounds())


@given(contents=documents, size=sizes)
def test_without_cuts_the_plan_has_no_seams_and_cuts_at_ends_of_sentences_only(folder, contents, size):
    longest = max((b - a for text in contents for a, b in split_sentences(text)), default=1)
    planned = plan(write_corpus(folder, contents), max(size, longest), 50 + longest)
    for i, parts in enumerate(slices_by_document(planned).values()):
        assert [b for p in parts for b in p.segment_bounds()] == split_sentences(contents[i])
        assert all(p.seams == () for p in parts)


@given(contents=documents, size=sizes)
def test_two_units_in_a_row_would_not_fit_into_one_together(folder, contents, size):
    units = plan(write_corpus(folder, contents), size).units
    assert all(units)
    lengths = [[part.end - part.start for part in unit] for unit in units]
    assert all(sum(a) + b[0] > size for a, b in pairwise(lengths))


def test_the_plan_does_not_depend_on_place_times_or_the_order_of_writing(tmp_path):
    contents = ["楚王曰。秦王曰。", "", "齊。" * 9, "趙"]
    here = plan(write_corpus(tmp_path / "here", contents), 10)
    there = tmp_path / "there"
    there.mkdir()
    for i in reversed(range(len(contents))):
        (there / f"{i:02d}.txt").write_text(contents[i], encoding="utf-8")
        os.utime(there / f"{i:02d}.txt", (i, i))
    (there / "notes.md").write_text("not a text")
    other = plan(str(there), 10)
    assert other.survey.digest == here.survey.digest
    assert [[(p.doc_id, p.start, p.end) for p in u] for u in other.units] == [
        [(p.doc_id, p.start, p.end) for p in u] for u in here.units
    ]


@pytest.mark.parametrize(
    "contents",
    [
        ["楚王曰。", "秦王白。"],  # a text
        ["楚王曰。", "秦王曰。", "趙"],  # one more
        ["楚王曰。"],  # one fewer
        ["秦王曰。", "楚王曰。"],  # the other way round
    ],
)
def test_the_digest_changes_with_texts_and_names(tmp_path, contents):
    before = plan(write_corpus(tmp_path / "a", ["楚王曰。", "秦王曰。"]), 10).survey
    assert plan(write_corpus(tmp_path / "b", contents), 10).survey.digest != before.digest


def test_the_digest_changes_when_a_file_is_renamed(tmp_path):
    source = write_corpus(tmp_path / "a", ["楚王曰。"])
    before = plan(source, 10).survey.digest
    (tmp_path / "a" / "00.txt").rename(tmp_path / "a" / "0.txt")
    assert plan(source, 10).survey.digest != before


def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path):
    source = write_corpus(tmp_path / "a", ["楚王曰。", "秦\n王".encode() + b"\xff", "趙"])
    planned = plan(source, 10)
    bad = str(tmp_path / "a" / "01.txt")
    assert list(planned.survey.unread) == [bad]
    assert planned.survey.unread[bad].startswith(f"{bad}:2: expected UTF-8")
    assert list(slices_by_document(planned)) == ["00", "02"]


def test_a_corpus_of_which_nothing_can_be_read_is_an_error_naming_a_file(tmp_path):
    source = write_corpus(tmp_path / "a", [b"\xff", b"\xfe"])
    with pytest.raises(DataError) as caught:
        plan(source, 10)
    assert source in str(caught.value)
    assert str(tmp_path / "a" / "00.txt") in str(caught.value)


def test_a_corpus_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="none"):
        plan(str(tmp_path / "none"), 10)


def test_an_empty_document_is_a_document(tmp_path):
    planned = plan(write_corpus(tmp_path / "a", [""]), 10)
    assert (planned.survey.documents, planned.survey.characters, len(planned.units)) == (1, 0, 1)
    assert planned.survey.empty == [str(tmp_path / "a" / "00.txt")]


def test_subfolders_and_a_single_file_are_named_by_their_paths(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "史記.txt").write_text("楚", encoding="utf-8")
    assert list(slices_by_document(plan(str(tmp_path / "a"), 10))) == ["b/史記"]
    assert list(slices_by_document(plan(str(tmp_path / "a" / "b" / "史記.txt"), 10))) == ["史記"]


def test_the_digest_of_a_text_is_that_of_its_file(tmp_path):
    path = Path(tmp_path / "a.txt")
    path.write_bytes("楚\r\n\ue000".encode())
    assert sha256_of_text("楚\r\n\ue000") == file_sha256(path)


@given(contents=documents, size=sizes, limit=sizes)
def test_what_is_kept_is_what_was_planned(folder, contents, size, limit):
    source, out = write_corpus(folder, contents), folder.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    survey = write_plan_and_documents(source, size, out, limit)
    kept = [unit for part in iter_plan_parts(out, survey.plan_parts) for unit in part]
    planned = plan(source, size, limit)
    assert [unit.slices for unit in kept] == planned.units
    assert [unit.number for unit in kept] == list(range(survey.units))
    texts = {}
    for unit in kept:
        rows = read_table(out / "documents" / f"{unit.name}.parquet", DOCUMENT_SCHEMA).to_pylist()
        texts |= {row["doc_id"]: (row["text"], unit.number, row["sha256"]) for row in rows}
    assert [text for text, _, _ in texts.values()] == contents
    assert all(texts[p.doc_id][1:] == (p.documents_unit, p.sha256) for unit in kept for p in unit.slices)
    assert (survey.documents, survey.characters, survey.digest) == (
        len(contents),
        sum(map(len, contents)),
        planned.survey.digest,
    )
    assert all(unit.documents_sha256 == file_sha256(out / "documents" / f"{unit.name}.parquet") for unit in kept)
    assert describe_changed_files_by_path(source, out, survey.plan_parts) == {}


def test_parts_of_a_plan_follow_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "UNITS_PER_PART", 3)
    source = write_corpus(tmp_path / "a", ["楚王曰。"] * 8)
    parts = write_plan_and_documents(source, 4, tmp_path / "out").plan_parts
    assert [[unit.number for unit in part] for part in iter_plan_parts(tmp_path / "out", parts)] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7],
    ]


@pytest.mark.parametrize("damage", ["flip", "missing"])
def test_a_damaged_part_of_a_plan_is_refused(tmp_path, damage):
    parts = write_plan_and_documents(write_corpus(tmp_path / "a", ["楚王曰。"]), 4, tmp_path / "out").plan_parts
    path = tmp_path / "out" / "plan" / "part-000000.parquet"
    if damage == "flip":
        flip(path)
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"plan/part-000000\.parquet: expected"):
        list(iter_plan_parts(tmp_path / "out", parts))
    with pytest.raises(DataError, match=r"plan/part-000000\.parquet: expected"):
        read_unit_plan("unit-000000", tmp_path / "out", parts)


def test_a_plan_that_was_interrupted_leaves_nothing_in_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "UNITS_PER_PART", 2)
    source = write_corpus(tmp_path / "a", ["楚王曰。"] * 4)
    write_plan_and_documents(source, 4, tmp_path / "out")
    (tmp_path / "out" / "plan" / ".0123.tmp").write_bytes(b"PAR1")  # which a kill cut off
    parts = write_plan_and_documents(source, 8, tmp_path / "out").plan_parts
    assert sorted(os.listdir(tmp_path / "out" / "documents")) == ["unit-000000.parquet", "unit-000001.parquet"]
    assert [[unit.number for unit in part] for part in iter_plan_parts(tmp_path / "out", parts)] == [[0, 1]]


def test_what_differs_from_the_plan_is_named(tmp_path):
    source = write_corpus(tmp_path / "a", [f"楚{i}" for i in range(6)])
    parts = write_plan_and_documents(source, 10, tmp_path / "out").plan_parts
    path = {i: tmp_path / "a" / f"{i:02d}.txt" for i in range(6)}
    path[0].unlink()
    path[2].write_text("齊")
    path[4].write_bytes(b"\xff")
    (tmp_path / "a" / "03a.txt").write_text("燕")
    (tmp_path / "a" / "99.txt").write_text("")
    assert describe_changed_files_by_path(source, tmp_path / "out", parts) == {
        str(path[0]): "can no longer be read",
        str(path[2]): "has another text",
        str(tmp_path / "a" / "03a.txt"): "is new",
        str(path[4]): "can no longer be read",
        str(tmp_path / "a" / "99.txt"): "is new",
    }


def test_a_corpus_in_an_object_store_is_planned_as_the_same_in_a_folder(tmp_path):
    contents = ["楚王曰。秦王曰。", "", "齊。" * 9, "趙"]
    here, there = write_corpus(tmp_path / "a", contents), storage_path("memory://plans/corpus")
    for i, text in enumerate(contents):
        with atomic_writer(there / "書" / f"{i:02d}.txt") as stream:
            stream.write(text.encode())
    for name in ("00.txt", "01.txt", "02.txt", "03.txt"):
        (tmp_path / "b" / "書").mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(here) / name, tmp_path / "b" / "書" / name)
    out = storage_path("memory://plans/out")
    survey = write_plan_and_documents(str(there), 10, out)
    assert survey.digest == plan(str(tmp_path / "b"), 10).survey.digest
    assert describe_changed_files_by_path(str(there), out, survey.plan_parts) == {}
    slices = [part for units in iter_plan_parts(out, survey.plan_parts) for unit in units for part in unit.slices]
    assert [part.doc_id for part in slices if part.start == 0] == [f"書/{i:02d}" for i in range(4)]
    assert slices[0].path == "memory://plans/corpus/書/00.txt"


@given(st.lists(st.integers(), max_size=60))
def test_threads_keep_the_order(items):
    assert list(map_in_threads(lambda item: item * 2, items)) == [item * 2 for item in items]


def test_what_a_thread_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda item: 1 // item, [1, 0]))


def test_the_summary_of_a_plan_reads_back_and_another_version_is_refused():
    summary = PlanSummary("digest", 1, 9, 1, {"a.txt": "no UTF-8"}, [], 0.5, {"part-000000.parquet": "0" * 64})
    content = {**summary.to_json(), "seconds": 1.0}
    assert PlanSummary.from_json(content, "out") == summary
    with pytest.raises(ConfigError, match="out: expected format_version 2, found"):
        PlanSummary.from_json({**content, "format_version": 99}, "out")
