"""`rayner tag` prints texts in colours or as JSON lines, as soon as they are tagged, and blames what is wrong."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

import rayner
from rayner.cli import main, tag_texts
from tests.tagging.small_run import ROOT

TEXT = "范增，曹之少府也。"


@pytest.fixture
def printed(run, capsys):
    """Runs `rayner tag` with the small run, and returns the JSON lines that it printed."""

    def call(*arguments, code=0):
        assert main(["tag", str(run), *arguments]) == code, capsys.readouterr().err
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def error_of(capsys, *arguments):
    assert main(["tag", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err[:7]) == ("", 1, "error: ")
    return err[7:-1]


def as_rows(document):
    return [
        {**{key: getattr(e, key) for key in ("start", "end", "text", "type")}, "score": round(e.score, 6),
         "decided_by": e.decided_by}
        for e in document.entities
    ]  # fmt: skip


def test_texts_become_json_lines_with_what_the_tagger_finds(printed, tagger):
    texts = [TEXT, "", "懷\0王\n入秦。"]
    lines = printed(*(part for text in texts for part in ("--text", text)))
    assert lines == [{"text": text, "entities": as_rows(tagger.tag(text))} for text in texts]
    assert lines[0]["entities"]


def test_settings_may_stand_anywhere(printed):
    expected = printed("--text", TEXT)
    assert printed("score.unit_chars=100", "--text", TEXT, "device=cpu") == expected
    assert printed("--no-llm", "--text", TEXT, "--json") == expected


@pytest.mark.parametrize(
    ("environment", "shown"),
    [({}, "范增"), ({"NO_COLOR": "1"}, "[范增 NR]，[曹 NG]之"), ({"TERM": "dumb"}, "[范增 NR]，[曹 NG]之")],
)
def test_a_terminal_gets_colours_unless_it_wants_none(run, capsys, monkeypatch, environment, shown):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["tag", str(run), "--text", TEXT]) == 0
    out = capsys.readouterr().out
    assert shown in out
    assert ("\x1b[" in out) == (environment == {})
    assert out.endswith("也。\n")
    assert main(["tag", str(run), "--text", TEXT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == TEXT


class SlowInput(io.RawIOBase):
    """A pipe whose writer sends each piece only after all lines of the pieces before were printed."""

    def __init__(self, pieces, count_printed_lines):
        self.pieces, self.count_printed_lines, self.sent = list(pieces), count_printed_lines, b""

    def read1(self, _):
        assert self.count_printed_lines() == self.sent.count(b"\n")
        piece = self.pieces.pop(0) if self.pieces else b""
        self.sent += piece
        return piece


def test_lines_of_the_standard_input_are_printed_as_they_come(run, capsys, monkeypatch, tagger):
    lines = [TEXT, "", "懷王入秦。", "楚使怒去"]
    data = "\n".join(lines).encode().replace("秦。\n".encode(), "秦。\r\n".encode())
    pieces = [data[:10], data[10:31], data[31:]]
    out = []
    monkeypatch.setattr(tag_texts, "print", lambda line, **_: out.append(line), raising=False)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SlowInput(pieces, lambda: len(out))))
    assert main(["tag", str(run), "--json", "-"]) == 0
    assert [json.loads(line) for line in out] == [
        {"text": line, "entities": as_rows(tagger.tag(line))} for line in lines
    ]


def test_a_line_that_is_not_utf8_is_named_after_those_before_it(run, capsys, monkeypatch):
    pieces = [f"{TEXT}\n懷王\n".encode(), "懷王\n范增\n".encode("gb18030")]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SlowInput(pieces, lambda: len(pieces) and 0)))
    monkeypatch.setattr(SlowInput, "read1", lambda self, _: self.pieces.pop(0) if self.pieces else b"")
    assert main(["tag", str(run), "-"]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["text"] for line in out.splitlines()] == [TEXT, "懷王"]
    assert err == (
        "error: standard input, line 3: expected UTF-8, found byte 0x91: convert the text, such as with iconv -f "
        "GB18030 -t UTF-8\n"
    )


def test_files_are_texts_with_their_names_and_what_is_left_out_is_told(printed, tagger, tmp_path, run, capsys):
    (tmp_path / "書").mkdir()
    (tmp_path / "書" / "一.txt").write_bytes(f"{TEXT}\r\n{TEXT}".encode())
    (tmp_path / "二.txt").write_bytes(b"")
    (tmp_path / "bad.txt").write_bytes(b"\xe6\xff")
    (tmp_path / "a.html").write_bytes(b"<p>")
    one = {"text": f"{TEXT}\r\n{TEXT}", "entities": as_rows(tagger.tag(f"{TEXT}\r\n{TEXT}"))}
    assert printed(str(tmp_path / "書" / "一.txt")) == [{"doc_id": "一", **one}]
    both = [str(tmp_path / "書" / "一.txt"), str(tmp_path / "二.txt")]
    assert printed(*both) == [{"doc_id": "一", **one}, {"doc_id": "二", "text": "", "entities": []}]
    assert main(["tag", str(run), str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"doc_id": "二", "text": "", "entities": []}, {"doc_id": "書/一", **one},
    ]  # fmt: skip
    assert "ignored, because only .txt files are read: 1 .html (a.html)\n" in err
    assert f"left out: 1 files that cannot be read; the first: {tmp_path / 'bad.txt'}" in err


def test_progress_of_long_inputs_is_told_where_the_output_is_no_terminal(run, capsys, monkeypatch):
    monkeypatch.setattr(tag_texts, "rate_limited", lambda print_line: print_line)
    assert main(["tag", str(run), "--text", TEXT, "--text", TEXT]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"tag: 1 texts, 9 characters \([\d,]+/s\)", first)
    assert second.startswith("tag: 2 texts, 18 characters (")


def test_what_fails_is_printed_with_its_reason_and_exit_code_3(printed, monkeypatch, tagger):
    def fail(texts):
        raise ValueError("no such state")

    slm = type(tagger.slm).__new__(type(tagger.slm))
    slm.attempts, slm.tagger = tagger.slm.attempts, SimpleNamespace(predict=fail)
    monkeypatch.setattr(tag_texts, "load_fusion_tagger", lambda _: replace(tagger, slm=slm))
    [line] = printed("--text", TEXT, code=3)
    assert line == {"text": TEXT, "entities": [], "errors": ["characters 0 to 9: slm: ValueError: no such state"]}


def test_wrong_arguments_are_one_line(run, capsys, tmp_path):
    (tmp_path / "corpus").mkdir()
    for arguments, message in (
        ((run,), "expected one of --text TEXT, files, a folder or - (the standard input), found none"),
        ((run, "a.txt", "--text", "楚"), "files, a folder or - (the standard input), found --text and a.txt"),
        ((run, "a.txt", "-"), "files, a folder or - (the standard input), found a.txt and -"),
        ((run, "a.txt", "b.txt", "--out", "o"), "--out: expected a file or folder to tag as a job, found a.txt and"),
        ((run, __file__, tmp_path / "none.txt"), f"{tmp_path / 'none.txt'}: expected"),
        ((run, "out=here", "a.txt"), "argument 'out=here': expected --out in place of out="),
        ((run, "--text", "楚", "--fresh"), "--fresh: expected --out beside it, because only a job can do this"),
        ((run, "--text", "楚", "--out", "o"), "--out: expected a file or folder to tag as a job, found --text: name"),
        ((run, "-", "--out", "o"), "--out: expected a file or folder to tag as a job, found -: name one"),
        ((run, "--text", "楚", "seeed=1"), "unknown key seeed; did you mean seed?"),
        ((run, tmp_path / "none.txt"), f"{tmp_path / 'none.txt'}: expected"),
        ((tmp_path / "corpus", run), f"but CORPUS, {run}, is one: write rayner tag {run} {tmp_path / 'corpus'}"),
        ((tmp_path / "corpus", run, "--out", "o"), f"RUN: expected a run folder, found {tmp_path / 'corpus'}, but"),
        ((tmp_path / "corpus", "--text", "楚"), f"{tmp_path / 'corpus'}: expected the folder of a trained run, found"),
    ):  # fmt: skip
        assert message in error_of(capsys, *arguments), arguments
    assert not [path for path in tmp_path.iterdir() if path.name == "o"]


def test_a_crf_tags_without_ray_and_torch_in_seconds(run):
    code = (
        "import resource, sys; from rayner.cli import main; code = main(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(code, used.ru_utime + used.ru_stime, "
        "*sorted({'ray', 'torch', 'transformers', 'faiss', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "tag", str(run), "--text", TEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, encoding="utf-8")
    line, told = done.stdout.splitlines()
    assert json.loads(line)["entities"]
    exit_code, seconds, *loaded = told.split()
    assert (exit_code, loaded, done.stderr) == ("0", [], "")
    assert float(seconds) < 5


def test_importing_rayner_imports_nothing_else_and_names_what_it_exports():
    code = "import sys, rayner; print(sorted(name for name in sys.modules if name.startswith(('rayner', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "['rayner']\n"
    assert sorted(rayner.__all__) == ["Document", "Entity", "FusionTagger", "load"]
    assert all(getattr(rayner, name).__module__.startswith("rayner.tagging.") for name in rayner.__all__)
    with pytest.raises(AttributeError, match="module 'rayner' has no attribute 'Loader'"):
        rayner.Loader  # noqa: B018 - the attribute is asked for
