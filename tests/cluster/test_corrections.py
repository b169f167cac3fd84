"""Corrections of a tagged corpus: applied, undone, applied again by the next tagging, verified and exported."""

import csv
import io
import shutil
from dataclasses import replace

import pytest

from rayner.cli import main
from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.corrections.correction import CORRECTIONS_FILE, read_corrections_file, write_corrections_file
from rayner.corpus.exports import EXPORT_FORMATS, export_corpus
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.run_record import read_run_record
from rayner.corpus.tables import iter_documents
from rayner.corpus.unit_records import list_recorded_units, record_path
from rayner.errors import ConfigError
from rayner.steps import corrected_corpus
from rayner.steps.tag.corrected_units import describe_named_corrections
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import rows_of, with_settings

pytestmark = pytest.mark.slow
COLUMNS = ("doc_id", "start", "end", "text", "type", "scope")
CUT = "楚懷王入秦而張儀為相屈原諫之" * 8 + "。"


def files_of(folder):
    """All files of a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run(without_llm):
    return without_llm[1]


@pytest.fixture(scope="module")
def settings(without_llm, tmp_path_factory):
    """The settings of a corpus of many units, with a sentence that is cut."""
    folder, text = tmp_path_factory.mktemp("corpus"), read_labelled_file(without_llm[0].train[0]).text
    for i in range(4):
        part = text[i * 150 : (i + 1) * 150]
        (folder / f"{i}.txt").write_text(part + CUT * (i == 2), encoding="utf-8")
    made = with_settings(with_settings(without_llm[0], "score", unit_chars=60), "tag", max_segment_chars=50)
    return replace(made, corpus=CorpusConfig(str(folder)))


@pytest.fixture(scope="module")
def tagged(run, settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("tagged") / "out"
    tag_corpus(replace(settings, out=str(out)), run)
    return out


@pytest.fixture(scope="module")
def corrections(tagged, tmp_path_factory):
    """Corrections of each kind: another type, another extent, none, a missed name; here and everywhere."""
    documents = list(iter_documents(tagged))
    rows = []
    for document, scope in zip(documents, ("here", "document", "book", "corpus"), strict=True):
        entity = document.entities[len(document.entities) // 2]
        rows.append([document.doc_id, entity["start"], entity["end"], entity["text"], "NX", scope])
    first, taken = documents[0].entities[0], [(row["start"], row["end"]) for row in documents[1].entities]
    at = next(i for i in range(99) if not any(start < i + 2 and i < end for start, end in taken))
    rows.append(["0", first["start"], first["end"], first["text"], "", ""])
    rows.append(["1", at, at + 2, documents[1].text[at : at + 2], "NY", "here"])
    path = tmp_path_factory.mktemp("given") / "corrections.csv"
    stream = io.StringIO()
    csv.writer(stream).writerows([COLUMNS, *rows])
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corrected(tagged, corrections, tmp_path_factory):
    before, out = files_of(tagged), tmp_path_factory.mktemp("corrected") / "new"
    assert main(["review", "apply", str(corrections), str(tagged), "--out", str(out)]) == 0
    assert files_of(tagged) == before
    return out


def test_a_corrected_corpus_is_verified_and_says_who_decided(tagged, corrected, run):
    assert main(["verify", str(corrected), "--run", str(run.root)]) == 0
    record = read_run_record(corrected)
    by_person = [row for row in rows_of(corrected, "entities") if row["decided_by"] == "person"]
    assert record.counts.decided_by["person"] == len(by_person) >= 5
    assert {row["type"] for row in by_person} == {"NX", "NY"}
    assert record.corrections.total == len(read_corrections_file(corrected / CORRECTIONS_FILE)) == 6
    assert record.corrections.unmatched == ()
    for table in ("documents", "segments"):
        assert rows_of(corrected, table) == rows_of(tagged, table)


def test_without_out_the_changes_are_listed_and_nothing_is_written(tagged, corrections, corrected, capsys):
    before = files_of(tagged)
    assert main(["review", "apply", str(corrections), str(tagged)]) == 0
    lines = capsys.readouterr().out.splitlines()
    n_person = read_run_record(corrected).counts.decided_by["person"]
    assert len(lines) >= n_person + 1
    assert any(line.startswith("1\t") and line.endswith("-> NY") for line in lines)
    assert files_of(tagged) == before


def test_undone_corrections_leave_the_corpus_as_it_was(tagged, corrected, tmp_path):
    assert main(["review", "undo", str(corrected), "--out", str(tmp_path / "undone")]) == 0
    found, wanted = files_of(tmp_path / "undone"), files_of(tagged)
    same = [
        name for name in wanted if name.partition("/")[0] in ("documents", "entities", "segments", "units", "scores")
    ]
    assert len(same) > 20
    assert all(found[name] == wanted[name] for name in same)
    assert not any(name.startswith("replaced/") for name in found)
    assert main(["review", "undo", str(corrected), "--out", str(tmp_path / "four"), "--lines", "1", "3"]) == 0
    assert len(read_corrections_file(tmp_path / "four" / CORRECTIONS_FILE)) == 4
    assert main(["review", "undo", str(corrected), "--lines", "7"]) == 2


def test_the_next_tagging_applies_them_again(run, settings, corrected, tmp_path, monkeypatch):
    again = with_settings(replace(settings, out=str(tmp_path / "out")), "tag",
                          corrections=str(corrected / CORRECTIONS_FILE))  # fmt: skip
    tag_corpus(again, run)
    names = [f"{table}/{unit}.parquet" for table in ("entities", "replaced") for unit in list_recorded_units(corrected)]
    found, wanted = files_of(tmp_path / "out"), files_of(corrected)
    assert {name: found.get(name) for name in names} == {name: wanted.get(name) for name in names}
    assert main(["verify", str(tmp_path / "out"), "--run", str(run.root)]) == 0
    # A corpus that was corrected is finished, and tagging it in place changes nothing.
    copy = tmp_path / "copy"
    shutil.copytree(corrected, copy)
    monkeypatch.setattr("rayner.steps.tag.tag_corpus.predict_units", None)
    tag_corpus(with_settings(replace(settings, out=str(copy)), "tag", evahan=False), run)
    assert {name: content for name, content in files_of(copy).items() if name != "run.json"} == {
        name: content for name, content in wanted.items() if name != "run.json"
    }
    other = write_others(corrected, tmp_path / "other.jsonl")
    with pytest.raises(ConfigError, match=r"expected the corrections of tag\.corrections, found others"):
        tag_corpus(with_settings(replace(settings, out=str(copy)), "tag", corrections=str(other)), run)
    with pytest.raises(ConfigError, match=r"tag\.corrections: .*nothing\.jsonl: expected a file"):
        tag_corpus(
            with_settings(replace(settings, out=str(copy)), "tag", corrections=str(tmp_path / "nothing.jsonl")), run
        )


def test_a_dry_run_counts_them_or_names_the_file(settings, corrected, tmp_path):
    named = with_settings(settings, "tag", corrections=str(corrected / CORRECTIONS_FILE))
    assert describe_named_corrections(named) == [f"{corrected / CORRECTIONS_FILE}: 6 corrections"]
    with pytest.raises(ConfigError, match=r"tag\.corrections: .*nothing\.jsonl"):
        describe_named_corrections(with_settings(settings, "tag", corrections=str(tmp_path / "nothing.jsonl")))


def write_others(corrected, path):
    write_corrections_file(read_corrections_file(corrected / CORRECTIONS_FILE)[:2], path)
    return path


def test_corrections_follow_a_text_that_has_changed(run, settings, corrected, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(settings.corpus.path, corpus)
    for name in ("0", "1"):
        path = corpus / f"{name}.txt"
        path.write_text("序。" + path.read_text(encoding="utf-8"), encoding="utf-8")
    (corpus / "3.txt").unlink()
    out = tmp_path / "out"
    changed = with_settings(
        replace(settings, out=str(out), corpus=CorpusConfig(str(corpus))), "tag",
        corrections=str(corrected / CORRECTIONS_FILE),
    )  # fmt: skip
    tag_corpus(changed, run)
    record = read_run_record(out)
    given = read_corrections_file(out / CORRECTIONS_FILE)
    texts = {document.doc_id: document.text for document in iter_documents(out)}
    lost = [i for i, one in enumerate(given) if one.scope == "here"
            and texts[one.doc_id].count(one.before + one.text + one.after) != 1]  # fmt: skip
    assert len(record.corrections.unmatched) == len(lost) < 6
    assert bool(lost) == any("found no place" in warning for warning in record.warnings)
    assert main(["verify", str(out)]) == 0
    assert any(row["decided_by"] == "person" for row in rows_of(out, "entities"))


def test_a_killed_call_is_finished_by_the_next_one(tagged, corrections, corrected, tmp_path, monkeypatch):
    out, real, written = tmp_path / "new", corrected_corpus.write_unit_record, []

    def write(*args):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(real(*args))

    with monkeypatch.context() as patch:
        patch.setattr(corrected_corpus, "write_unit_record", write)
        with pytest.raises(KeyboardInterrupt):
            corrected_corpus.write_corrected_corpus(
                corrected_corpus.FinishedCorpus(tagged), read_corrections_file(corrected / CORRECTIONS_FILE), out
            )
    assert len(written) == 3
    (out / "entities" / f".rayner-{'0' * 32}.tmp").touch()  # as a kill leaves it
    assert not (out / "run.json").exists()
    assert main(["review", "apply", str(corrections), str(tagged), "--out", str(out)]) == 0
    found, wanted = files_of(out), files_of(corrected)
    assert found.keys() == wanted.keys()
    assert all(found[name] == wanted[name] for name in found if name not in ("run.json", "steps/tag_corpus.json"))


def test_a_folder_of_the_users_and_an_unfinished_corpus_are_refused(tagged, corrections, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "mine", tagged, tagged / "inside"):
        assert main(["review", "apply", str(corrections), str(tagged), "--out", str(out)]) == 2
    assert (tmp_path / "mine" / "notes.txt").read_text(encoding="utf-8") == "mine"
    copy = tmp_path / "copy"
    shutil.copytree(tagged, copy)
    (copy / "run.json").unlink()
    assert main(["review", "apply", str(corrections), str(copy), "--out", str(tmp_path / "new")]) == 2
    assert "finish it first" in capsys.readouterr().err


def test_a_correction_of_another_corpus_is_told_and_left_out(tagged, tmp_path, capsys):
    path = tmp_path / "c.csv"
    path.write_text("doc_id,start,end,text,type\nnowhere,0,1,王,NR\n0,1,3,貓貓,NR\n", encoding="utf-8")
    assert main(["review", "apply", str(path), str(tagged), "--out", str(tmp_path / "new")]) == 2
    errors = capsys.readouterr().err
    assert errors.count("no place:") == 2
    assert "0 that say what the corpus says already and 2 without a place" in errors
    assert not (tmp_path / "new").exists()


def test_corrections_that_the_corpus_has_are_not_applied_twice(corrected, corrections, tmp_path, capsys):
    assert main(["review", "apply", str(corrections), str(corrected), "--out", str(tmp_path / "new")]) == 2
    assert "found 6 that say what the corpus says already and 0 without a place" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_other_mentions_are_listed_and_applied(tagged, corrections, tmp_path, capsys):
    more = tmp_path / "more.csv"
    assert (
        main(["review", "apply", str(corrections), str(tagged), "--propagate", str(more), "--out", str(tmp_path / "a")])
        == 0
    )
    with more.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    assert {row["type"] for row in rows} <= {"NX", "NY", ""}
    assert main(["review", "apply", str(more), str(tmp_path / "a"), "--out", str(tmp_path / "b")]) == 0
    n_persons = [read_run_record(tmp_path / name).counts.decided_by["person"] for name in ("a", "b")]
    assert n_persons[1] == n_persons[0] + sum(row["type"] != "" for row in rows)
    assert main(["review", "apply", str(more), str(tmp_path / "a"), "--propagate", str(more)]) == 2


@pytest.mark.parametrize("name", sorted(EXPORT_FORMATS))
def test_every_format_holds_the_corrected_entities(corrected, tmp_path, name):
    counts = export_corpus(corrected, tmp_path / "export", EXPORT_FORMATS[name])
    assert counts.entities == read_run_record(corrected).counts.entities
    content = b"".join(files_of(tmp_path / "export").values())
    assert b"NX" in content
    assert b"NY" in content


def test_verify_sees_a_correction_that_was_not_applied(tagged, corrected, tmp_path, capsys):
    for change in ("more", "fewer", "damaged"):
        copy = tmp_path / change
        shutil.copytree(corrected, copy)
        kept = read_corrections_file(copy / CORRECTIONS_FILE)
        if change == "damaged":
            unit = next(path for path in sorted((copy / "replaced").iterdir()))
            unit.write_bytes(unit.read_bytes()[:-1])
        else:
            write_corrections_file(kept[:-1] if change == "fewer" else [*kept, replace(kept[0], type="NZ")],
                                   copy / CORRECTIONS_FILE)  # fmt: skip
        assert main(["verify", str(copy)]) == 2
        assert ("replaced" if change == "damaged" else CORRECTIONS_FILE) in capsys.readouterr().err
    assert record_path(corrected, "unit-000000").exists()
