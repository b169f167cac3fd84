"""Nothing of the user's is overwritten: each command writes only into folders that are new, empty or its own."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rayner.cli import main
from rayner.corpus.exports import EXPORT_FORMATS, export_corpus
from rayner.errors import ConfigError
from rayner.runs import output_folder
from rayner.runs.output_folder import MARKER_FILE, check_output_folder, mark_output_folder_as_ours, write_folder_marker
from rayner.runs.storage import list_folder, storage_path
from rayner.text.spans import Span
from tests.corpus import export_readers
from tests.corpus.difficult_texts import write_corpus
from tests.folders import put, snapshot

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tagged(tmp_path):
    write_corpus(tmp_path / "tagged", {"a": ("楚懷王", [Span(1, 3, "NR")]), "b/c": ("蘇秦", [])})
    return tmp_path / "tagged"


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    return tmp_path / "folder" if request.param == "local" else storage_path(f"memory://{tmp_path.name}/folder")


# ---- the mechanism


def test_a_new_folder_is_marked_and_is_ours_from_then_on(folder):
    assert check_output_folder(folder, "export tei") == {}
    assert not folder.exists()
    mark_output_folder_as_ours(folder, "export tei")
    assert [entry.name for entry in list_folder(folder)] == [MARKER_FILE]
    put(folder / "notes.txt")
    mark_output_folder_as_ours(folder, "export tei")
    with pytest.raises(ConfigError, match=r"found a folder that rayner wrote for another purpose \(export tei\)"):
        mark_output_folder_as_ours(folder, "export brat")


def test_a_folder_with_files_is_refused_and_stays_as_it_was(folder):
    put(folder / "a.txt")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"did not mark as its own, such as 'a.txt': name another folder"):
            mark_output_folder_as_ours(folder, "export evahan")
    assert [entry.name for entry in list_folder(folder)] == ["a.txt"]


def test_a_folder_that_another_job_marks_while_it_is_checked_is_ours(folder, monkeypatch):
    """Once, the second of two jobs took the marker, which it had not found a moment before, for a damaged one."""
    real = output_folder.list_other_names

    def mark_and_list(checked):
        write_folder_marker(checked, "run", {})
        put(checked / "lock.json")
        return real(checked)

    monkeypatch.setattr(output_folder, "list_other_names", mark_and_list)
    assert check_output_folder(folder, "run") == {}


@pytest.mark.parametrize("name", [".hidden", ".rayner-output.old", "folder/a.txt", "steps/plan.json", "a.txt"])
def test_whatever_a_folder_holds(folder, name):
    put(folder / name)
    with pytest.raises(ConfigError, match="such as"):
        mark_output_folder_as_ours(folder, "export evahan")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\0" * 9, b"\xff", b'"export tei"', b'{"purpose": "export tei"}',
        b'{"format_version": 1, "purpose": "export tei", "files": []}',
        b'{"format_version": 2, "purpose": "export tei", "files": {}}',
        b'{"format_version": 1, "purpose": 1, "files": {}}',
        b'{"format_version": 1, "purpose": "export tei", "files": {"a": 1}}',
        b'{"format_version": 1, "purpose": "export tei", "files": {"../thesis.txt": "0"}}',
        b'{"format_version": 1, "purpose": "export tei", "files": {"/etc/passwd": "0"}}',
        b'{"format_version": 1, "purpose": "export tei", "files": {"a//b": "0"}}',
    ],
)  # fmt: skip
def test_a_marker_that_is_none_makes_no_folder_ours(folder, content):
    put(folder / MARKER_FILE, content)
    with pytest.raises(ConfigError, match="found a damaged one: move the folder away"):
        mark_output_folder_as_ours(folder, "export tei")
    assert (folder / MARKER_FILE).read_bytes() == content


def test_a_file_is_no_folder(folder):
    put(folder)
    with pytest.raises(ConfigError, match="expected a folder, found a file"):
        mark_output_folder_as_ours(folder, "run")


def test_a_link_to_a_folder_of_the_users_is_that_folder(tmp_path):
    put(tmp_path / "mine" / "a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"such as 'a.txt'"):
        mark_output_folder_as_ours(tmp_path / "link", "export evahan")
    assert snapshot(tmp_path / "mine") == {"a.txt": b"mine"}


# ---- rayner export


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_an_export_never_overwrites_the_source_texts(tmp_path, tagged, name, capsys):
    """The corpus that was tagged holds files with the very names that the export writes."""
    corpus = tmp_path / "my_corpus"
    export_corpus(tagged, corpus, EXPORT_FORMATS[name])
    (corpus / MARKER_FILE).unlink()
    for path in corpus.rglob("*"):
        if path.is_file():
            path.write_bytes(b"the only copy")
    before = snapshot(corpus)
    for options in ((), ("--keep",)):
        assert main(["export", str(tagged), "--to", name, str(corpus), *options]) == 2
    assert snapshot(corpus) == before
    err = capsys.readouterr().err
    assert err.count("error:") == 2
    assert f"{corpus}: expected a new folder, an empty one, or one that rayner wrote before (export {name}), " in err


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_file_that_a_person_corrected_is_never_replaced(tmp_path, tagged, name):
    """Annotators work on exported files in place, in brat and MARKUS for example."""
    out = tmp_path / "out"
    export_corpus(tagged, out, EXPORT_FORMATS[name])
    for path in sorted(export_readers.read_files(out)):
        original = (out / path).read_bytes()
        (out / path).write_bytes(original + b"corrected")
        before = snapshot(out)
        with pytest.raises(ConfigError, match="expected the file that rayner wrote, found one that was changed"):
            export_corpus(tagged, out, EXPORT_FORMATS[name])
        assert snapshot(out) == before
        (out / path).write_bytes(original)
    export_corpus(tagged, out, EXPORT_FORMATS[name])
    assert snapshot(out) == before | {path: original}


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_what_the_user_adds_to_our_folder_stays(tmp_path, tagged, name):
    out, form = tmp_path / "out", EXPORT_FORMATS[name]
    if form.chars_per_file:
        form = replace(form, chars_per_file=1)
    export_corpus(tagged, out, form)
    suffix = next(iter(form.writers))
    parts = [f"part-00007{suffix}", f"data/part-00007{suffix}", f"z{suffix}"]
    mine = ["notes.md", f".{'0' * 32}.tmp", "b/mine", "lock.json", *parts]
    for path in mine:
        put(out / path)
    write_corpus(tagged, {"d": ("", [])})
    export_corpus(tagged, out, form)
    after = snapshot(out)
    assert {path: after[path] for path in mine} == dict.fromkeys(mine, b"mine")
    ours = {path for path in after if after[path] is not False} - {*mine, MARKER_FILE}
    assert ours == set(json.loads(after[MARKER_FILE])["files"])
    assert not {Path(path).stem for path in ours} & {"a", "c"}  # what was there before is gone


def test_a_file_of_the_users_where_a_document_would_go(tmp_path, tagged):
    out = tmp_path / "out"
    export_corpus(tagged, out, EXPORT_FORMATS["evahan"])
    write_corpus(tagged, {"a": ("楚", []), "new": ("王", [])})
    put(out / "new.txt")
    for keep in (False, True):
        with pytest.raises(ConfigError, match=r"new.txt: expected no file of this name, or one that rayner wrote"):
            export_corpus(tagged, out, EXPORT_FORMATS["evahan"], keep_existing=keep)
        assert (out / "new.txt").read_bytes() == b"mine"
    (out / "new.txt").unlink()
    (out / "new.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"new.txt: expected no file of this name"):
        export_corpus(tagged, out, EXPORT_FORMATS["evahan"])
    assert (out / "new.txt").is_symlink()


def test_files_that_differ_only_in_case_on_a_file_system_that_ignores_it(tmp_path, tagged):
    """Such a file system shows the first file under the second name, as this link does."""
    out = tmp_path / "out"
    write_corpus(tagged, {"a": ("楚", [])})
    export_corpus(tagged, out, EXPORT_FORMATS["evahan"])
    (out / "A.txt").symlink_to(out / "a.txt")
    write_corpus(tagged, {"A": ("秦", []), "a": ("楚", [])})
    with pytest.raises(ConfigError, match=r"A.txt: expected no file of this name"):
        export_corpus(tagged, out, EXPORT_FORMATS["evahan"])
    assert (out / "a.txt").read_text() == "楚\tO\n"


def test_an_export_that_was_killed_before_it_listed_its_files_is_done_again(tmp_path, tagged):
    out = tmp_path / "out"
    export_corpus(tagged, out, EXPORT_FORMATS["tei"])
    whole = snapshot(out)
    write_folder_marker(out, "export tei", {})  # as a kill leaves it
    (out / "b" / "c.xml").unlink()
    export_corpus(tagged, out, EXPORT_FORMATS["tei"])
    assert snapshot(out) == whole


def test_a_killed_export_leaves_a_folder_that_the_next_one_finishes(tmp_path, tagged):
    write_corpus(tagged, {f"{i:04}": ("楚懷王" * 50, []) for i in range(400)})
    command = [sys.executable, "-m", "rayner", "export", str(tagged), "--to", "tei", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not (tmp_path / "out" / "0099.xml").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    assert not (tmp_path / "out" / "0399.xml").exists()
    for options in (["--keep"], []):
        assert (
            subprocess.run([*command, *options], env=environment, stdout=subprocess.DEVNULL, check=False).returncode
            == 0
        )
        export_corpus(tagged, tmp_path / "whole", EXPORT_FORMATS["tei"])
        assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_two_formats_do_not_share_a_folder(tmp_path, tagged):
    export_corpus(tagged, tmp_path / "out", EXPORT_FORMATS["evahan"])
    before = snapshot(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"another purpose \(export evahan\)"):
        export_corpus(tagged, tmp_path / "out", EXPORT_FORMATS["markup"])
    assert snapshot(tmp_path / "out") == before


def test_a_tagged_corpus_is_no_place_for_an_export(tagged, capsys):
    before = snapshot(tagged)
    assert main(["export", str(tagged), "--to", "hf", str(tagged)]) == 2
    assert main(["export", str(tagged), "--to", "hf", str(tagged / "documents")]) == 2
    assert snapshot(tagged) == before
