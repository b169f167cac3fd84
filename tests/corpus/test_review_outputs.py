"""What a person corrected is never overwritten by `rayner review`, and no file of the user's by its output."""

import json

import pytest

from rayner.cli import main
from rayner.corpus.review.candidates import ReviewCandidate
from rayner.corpus.review.selection import ChosenSentences
from rayner.corpus.review.task_files import write_review_folder
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.folders import snapshot

TEXT = "懷王曰善。"
CORRECTED = "懷\tB-NR\n王\tE-NR\n曰\tO\n善\tO\n。\tO\n"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with two corrected files and the provenance of their review."""
    monkeypatch.chdir(tmp_path)
    write_review_folder(ChosenSentences([ReviewCandidate("d", 0, 5, TEXT, (), ())], ("NR",)), tmp_path / "r", "evahan")
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(CORRECTED, encoding="utf-8")
    return tmp_path


def run_import(*files):
    return main(["review", "import", *map(str, files), "--from", "r/provenance.json"])


def refused(work, capsys, *files):
    """Refused with exit code 2 and one line, and every file stays as it was; returns the line."""
    before = snapshot(work)
    assert run_import(*files) == 2
    assert snapshot(work) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_forgotten_out_does_not_overwrite_the_last_corrected_file(work, capsys):
    line = refused(work, capsys, "a.txt", "b.txt")
    assert f"{work}/b.txt: expected no file, or one that `rayner review import` wrote and nobody changed since" in line
    assert "OUT is the last of the files named" in line


@pytest.mark.parametrize(
    "out", ["b.txt", "./b.txt", "r/../b.txt", "r/sentences.txt", "r/provenance", "link.txt", "no.txt"]
)
def test_no_existing_file_is_overwritten(work, capsys, out):
    (work / "link.txt").symlink_to(work / "b.txt")
    (work / "no.txt").symlink_to(work / "nowhere")
    (work / "r" / "provenance").touch()
    refused(work, capsys, "a.txt", out)


def test_what_this_command_wrote_it_may_write_again(work, capsys):
    assert run_import("a.txt", "out.txt") == 0
    first = snapshot(work)
    assert run_import("a.txt", "out.txt") == 0
    assert snapshot(work) == first
    (work / "a.txt").write_text(CORRECTED.replace("B-NR", "S-NR").replace("E-NR", "O"), encoding="utf-8")
    assert run_import("a.txt", "out.txt") == 0
    assert "S-NR" in (work / "out.txt").read_text(encoding="utf-8")
    assert run_import("b.txt", "out.txt") == 0
    assert snapshot(work)["out.txt"] == first["out.txt"]


def test_a_labelled_file_that_was_changed_since_stays(work, capsys):
    assert run_import("a.txt", "out.txt") == 0
    (work / "out.txt").write_text(CORRECTED.replace("B-NR", "S-NR").replace("E-NR", "O"), encoding="utf-8")
    assert "nobody changed since" in refused(work, capsys, "a.txt", "out.txt")


def test_a_provenance_of_the_users_stays(work, capsys):
    (work / "out.provenance.json").write_text("{}")
    assert "out.provenance.json: expected no file" in refused(work, capsys, "a.txt", "out.txt")


@pytest.mark.parametrize("key", ["types", "sentences", "labelled_file", "digest"])
def test_a_provenance_that_was_changed_since_stays(work, capsys, key):
    assert run_import("a.txt", "out.txt") == 0
    path = work / "out.provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for changed in (content | {key: "mine"}, {name: value for name, value in content.items() if name != key}):
        path.write_text(json.dumps(changed), encoding="utf-8")
        assert "out.provenance.json: expected no file" in refused(work, capsys, "a.txt", "out.txt")


def test_two_labelled_files_do_not_share_a_provenance(work, capsys):
    assert run_import("a.txt", "out.txt") == 0
    assert "out.provenance.json: expected no file" in refused(work, capsys, "a.txt", "out.conll")


def test_the_provenance_that_is_read_is_not_replaced(work, capsys):
    assert run_import("a.txt", "out.txt") == 0
    before = snapshot(work)
    assert main(["review", "import", "a.txt", "out.txt", "--from", "r/../out.provenance.json"]) == 2
    assert "found one whose out.provenance.json is read" in capsys.readouterr().err
    assert snapshot(work) == before


@pytest.mark.parametrize("written_before", [False, True])
def test_a_kill_between_the_two_files_does_not_block_the_next_call(work, monkeypatch, written_before):
    if written_before:
        assert run_import("a.txt", "out.txt") == 0
        (work / "a.txt").write_text(CORRECTED.replace("B-NR", "S-NR").replace("E-NR", "O"), encoding="utf-8")

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rayner.corpus.review.labelled_output.write_utf8", stop)
        assert run_import("a.txt", "out.txt") == 130
    assert (work / "out.txt").exists() is written_before
    assert run_import("a.txt", "out.txt") == 0
    assert (work / "out.txt").read_bytes() == (work / "a.txt").read_bytes()


# ---- rayner review pick


@pytest.fixture
def tagged(work):
    segment = {"doc_id": "d", "start": 0, "end": 5, "gated": True, "passes": 0, "error": None}
    write_unit(work / "t", "0.parquet", [document("d", TEXT)], [entity("d", 0, "懷王")], [segment])
    return work / "t"


@pytest.mark.parametrize("to", ["label-studio", "evahan"])
@pytest.mark.parametrize("name", ["config.xml", "tasks.json", "sentences.txt", "provenance.json", "thesis.docx"])
def test_sentences_go_only_into_a_new_or_empty_folder(work, tagged, capsys, to, name):
    (work / "mine").mkdir()
    assert main(["review", "pick", str(tagged), "mine", "--to", to]) == 0
    capsys.readouterr()
    (work / "mine2").mkdir()
    (work / "mine2" / name).write_text("mine")
    before = snapshot(work)
    for folder in ("mine", "mine2"):
        assert main(["review", "pick", str(tagged), folder, "--to", to]) == 2
    assert snapshot(work) == before
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "without an earlier review" in lines[0]
    assert f"such as '{name}': name another folder" in lines[1]


# ---- rayner eval


@pytest.mark.parametrize("content", [None, "[]", "{}", '{"mine": 1}'])
def test_scores_do_not_overwrite_another_file(work, capsys, content):
    target = "a.txt" if content is None else "mine.json"
    if content is not None:
        (work / target).write_text(content)
    (work / "link").symlink_to(work / "nowhere")
    before = snapshot(work)
    assert main(["eval", "a.txt", "b.txt", "--json", "link"]) == 2
    assert main(["eval", "a.txt", "b.txt", "--json", target]) == 2
    assert (
        f"--json: expected a new file, or one with earlier scores, found another: {target}" in capsys.readouterr().err
    )
    assert snapshot(work) == before
    for _ in range(2):
        assert main(["eval", "a.txt", "b.txt", "--json", "scores.json"]) == 0
    assert "NR" in json.loads((work / "scores.json").read_text())["types"]
