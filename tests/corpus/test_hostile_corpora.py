"""Corpora as nobody wants them. Each text comes back byte for byte, or its file is named; nothing stops a job."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rayner.corpus.ignored_files import IgnoredFiles, IgnoredGroup
from rayner.corpus.reading import CorpusSurvey, read_document_or_problem, read_documents, read_unlabelled_texts
from rayner.corpus.text_listing import get_relative_path, list_text_files, make_doc_id
from rayner.errors import DataError
from rayner.steps.preflight import check_and_describe_corpus
from rayner.steps.tag.plan import describe_changed_files_by_path, survey_corpus, write_plan_and_documents
from tests.unprivileged import open_folder, run_unprivileged

GOOD = "楚懷王入秦。\n".encode()
ROOT = Path(__file__).parents[2]


@pytest.fixture
def corpus(tmp_path):
    """A corpus with one good text, inside a folder with a text that is none of the corpus."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "good.txt").write_bytes(GOOD)
    return tmp_path / "corpus"


def read(corpus):
    """The bytes of each text by doc_id, and the reasons by path inside the corpus."""
    survey = CorpusSurvey()
    texts = {document.doc_id: document.text.encode().hex() for document in read_documents(str(corpus), survey)}
    reasons = {path.removeprefix(f"{corpus}/"): reason for path, reason in survey.unread.items()}
    for path, reason in survey.unread.items():
        assert reason.startswith(path), "the reason begins with the path"
        assert "\n" not in reason
    return texts, reasons


def check(corpus, unread, texts=None):
    """Read the corpus: `good.txt` and `texts` come back, and each of `unread` is named with its reason."""
    found_texts, reasons = read(corpus)
    assert found_texts == {"good": GOOD.hex(), **{name: data.hex() for name, data in (texts or {}).items()}}
    assert list(reasons) == sorted(unread)
    for path, reason in unread.items():
        assert reason in reasons[path]


# ---- links


def make_link_to_itself(corpus):
    (corpus / "a.txt").symlink_to("a.txt")
    return {"a.txt": "a link that leads to itself"}


def make_folder_link_to_itself(corpus):
    (corpus / "loop").symlink_to("loop")
    return {"loop": "a link that leads to itself"}


def make_cycle_of_links(corpus):
    (corpus / "a.txt").symlink_to("b.txt")
    (corpus / "b.txt").symlink_to("a.txt")
    return {"a.txt": "a link that leads to itself", "b.txt": "a link that leads to itself"}


def make_cycle_of_folders(corpus):
    (corpus / "deep" / "er").mkdir(parents=True)
    (corpus / "deep" / "er" / "up").symlink_to("../..")
    (corpus / "deep" / "er" / "self").symlink_to(".")
    return {}


def make_link_to_nothing(corpus):
    (corpus / "a.txt").symlink_to("nothing.txt")
    return {"a.txt": "a link to nothing"}


def make_link_to_nothing_outside(corpus):
    (corpus / "a.txt").symlink_to("/nowhere/at/all.txt")
    return {"a.txt": "a link to nothing"}


def make_folder_link_to_nothing(corpus):
    (corpus / "volume 2").symlink_to("/mnt/not-mounted")
    return {"volume 2": "a link to nothing"}


def make_link_out(corpus):
    (corpus / "a.txt").symlink_to("../outside/secret.txt")
    return {"a.txt": f"found a link to {corpus.parent}/outside/secret.txt"}


def make_link_out_over_a_link_inside(corpus):
    (corpus / "a.txt").symlink_to("b.txt")
    (corpus / "b.txt").symlink_to(corpus.parent / "outside" / "secret.txt")
    return {"a.txt": "outside/secret.txt", "b.txt": "outside/secret.txt"}


def make_folder_link_out(corpus):
    (corpus / "sub").symlink_to("../outside")
    return {"sub": f"found a link to {corpus.parent}/outside"}


def make_folder_link_to_the_root(corpus):
    (corpus / "all").symlink_to("/")
    return {"all": "found a link to /"}


def make_link_through_a_file(corpus):
    (corpus / "a.txt").symlink_to("good.txt/x.txt")
    return {"a.txt": "a link to nothing"}


def make_link_to_a_pipe(corpus):
    os.mkfifo(corpus / "pipe")
    (corpus / "a.txt").symlink_to("pipe")
    return {"a.txt": "a link to a named pipe"}


def make_link_to_a_name_beside_the_corpus(corpus):
    """`corpus-2` begins with the name of the corpus, but lies outside."""
    (corpus.parent / "corpus-2").mkdir()
    (corpus.parent / "corpus-2" / "x.txt").write_bytes(b"secret")
    (corpus / "a.txt").symlink_to("../corpus-2/x.txt")
    return {"a.txt": "corpus-2/x.txt"}


LINKS = [value for name, value in sorted(globals().items()) if name.startswith("make_") and "link" in name + "cycle"]


@pytest.mark.parametrize("make", LINKS, ids=lambda make: make.__name__)
def test_links(corpus, make):
    check(corpus, make(corpus))


def test_links_inside_are_read_and_folders_are_read_once(corpus):
    (corpus / "sub").mkdir()
    (corpus / "sub" / "x.txt").write_bytes(b"x")
    (corpus / "again").symlink_to("sub")
    (corpus / "absolute.txt").symlink_to(corpus / "sub" / "x.txt")
    (corpus / "data.bin").write_bytes(b"y")
    (corpus / "y.txt").symlink_to("data.bin")
    check(corpus, {}, {"absolute": b"x", "sub/x": b"x", "y": b"y"})


def test_a_corpus_that_is_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "corpus").symlink_to("corpus")
    with pytest.raises(DataError, match=r"expected a folder or a file, found: Too many levels of symbolic links"):
        list(list_text_files(tmp_path / "corpus"))


def test_unlabelled_texts_that_cannot_be_read_are_left_out_with_a_warning(corpus, caplog):
    (corpus / "a.txt").symlink_to("../outside/secret.txt")
    (corpus / "b.txt").write_bytes(b"\xff")
    assert list(read_unlabelled_texts(str(corpus), CorpusSurvey())) == [GOOD.decode()]
    assert f"{corpus}: left out 2 files that cannot be read; the first: {corpus}/a.txt: expected texts" in caplog.text


# ---- special files


def make_pipe(corpus):
    os.mkfifo(corpus / "a.txt")
    return {"a.txt": "expected a file, found a named pipe"}


def make_socket(corpus):
    here = os.getcwd()
    os.chdir(corpus)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a.txt")
    os.chdir(here)
    return {"a.txt": "expected a file, found a socket"}


def make_device(corpus):
    try:
        os.mknod(corpus / "a.txt", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero never ends
    except PermissionError:
        pytest.skip("only root makes devices")
    return {"a.txt": "expected a file, found a device"}


def make_folder_named_as_a_text(corpus):
    (corpus / "a.txt").mkdir()
    return {"a.txt": "expected a file, found a folder"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "make", [make_pipe, make_socket, make_device, make_folder_named_as_a_text], ids=lambda make: make.__name__
)
def test_special_files(corpus, make):
    check(corpus, make(corpus))


@pytest.mark.timeout(60)
def test_a_pipe_that_took_the_place_of_a_listed_file_does_not_hang_the_job(corpus):
    (file,) = list_text_files(corpus)
    (corpus / "good.txt").unlink()
    os.mkfifo(corpus / "good.txt")
    assert read_document_or_problem(file)[1] == f"{file.path}: expected a file, found a named pipe"


def test_a_file_that_vanishes_after_it_was_listed_is_named(corpus):
    (file,) = list_text_files(corpus)
    (corpus / "good.txt").unlink()
    found = read_document_or_problem(file)[1]
    assert found == f"{file.path}: expected what was listed before, found nothing of that name"


def test_a_folder_that_vanishes_while_the_corpus_is_listed_is_named(corpus):
    (corpus / "sub").mkdir()
    files = list_text_files(corpus)
    assert next(files).doc_id == "good"
    (corpus / "sub").rmdir()
    (gone,) = files
    assert gone.path == str(corpus / "sub")
    assert "found nothing of that name" in (gone.problem or "")


def test_a_pipe_as_the_corpus_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="expected a folder or a file, found a named pipe"):
        list(list_text_files(tmp_path / "pipe.txt"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on open files")
def test_a_machine_without_free_file_handles_ends_the_job_and_leaves_no_text_out(corpus):
    """The text is readable. A job that went on would leave it untagged."""
    code = f"""
import resource
from rayner.corpus.reading import read_document_or_problem
from rayner.corpus.text_listing import list_text_files
(file,) = list_text_files({str(corpus)!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    print(read_document_or_problem(file))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert re.match(r"JobError .*good.txt: .*Too many open files.*; rerun the same command", done.stdout), done.stdout


# ---- permissions


def close_file(corpus):
    (corpus / "a.txt").write_bytes(b"a")
    (corpus / "a.txt").chmod(0)
    return {"a.txt": "Permission denied"}


def close_folder(corpus):
    (corpus / "sub").mkdir()
    (corpus / "sub" / "a.txt").write_bytes(b"a")
    (corpus / "sub").chmod(0)
    return {"sub": "Permission denied"}


def close_folder_to_listing(corpus):
    (corpus / "sub").mkdir()
    (corpus / "sub" / "a.txt").write_bytes(b"a")
    (corpus / "sub").chmod(0o311)
    return {"sub": "Permission denied"}


def close_folder_to_opening(corpus):
    (corpus / "sub" / "deep").mkdir(parents=True)
    (corpus / "sub" / "a.txt").write_bytes(b"a")
    (corpus / "sub").chmod(0o644)
    return {"sub/a.txt": "Permission denied", "sub/deep": "Permission denied"}


def link_into_a_closed_folder(corpus):
    (corpus / "a.txt").symlink_to("sub/a.txt")
    (corpus / "b").symlink_to("sub/deep")
    (corpus / "sub" / "deep").mkdir(parents=True)
    (corpus / "sub" / "a.txt").write_bytes(b"a")
    (corpus / "sub").chmod(0)
    place = "a link to a place that may not be read"
    return {"a.txt": place, "b": place, "sub": "Permission denied"}


def close_folder_named_as_a_text(corpus):
    (corpus / "x.txt").mkdir()
    (corpus / "x.txt").chmod(0)
    return {"x.txt": "Permission denied"}


@pytest.mark.parametrize(
    "close",
    [
        close_file,
        close_folder,
        close_folder_to_listing,
        close_folder_to_opening,
        link_into_a_closed_folder,
        close_folder_named_as_a_text,
    ],
    ids=lambda close: close.__name__,
)
def test_files_and_folders_without_permission(close):
    with open_folder() as folder:
        corpus = folder / "corpus"
        corpus.mkdir(0o755)
        (corpus / "good.txt").write_bytes(GOOD)
        unread = close(corpus)
        (corpus / "last.txt").write_bytes(b"last")  # a text after the closed one is read too
        texts, reasons = run_unprivileged(lambda: read(corpus))
        assert texts == {"good": GOOD.hex(), "last": b"last".hex()}
        assert list(reasons) == sorted(unread)
        for path, reason in unread.items():
            assert reason in reasons[path]


def test_a_corpus_without_permission_is_one_clear_error():
    def describe_error():
        try:
            list(list_text_files(corpus))
        except DataError as error:
            return str(error)

    with open_folder() as folder:
        corpus = folder / "corpus"
        corpus.mkdir(0)
        said = run_unprivileged(describe_error)
        assert said == f"{corpus}: expected a file or folder that can be read, found: Permission denied"


# ---- encodings

UNREADABLE = {
    "utf-16 without a mark": (
        "楚懷王入秦。".encode("utf-16-le"),
        "; looks like UTF-16LE: set corpus.encoding=utf-16-le",
    ),
    "utf-16 with half a character": (
        "楚懷王".encode("utf-16") + b"\0",
        "expected UTF-16-LE, found byte 0x00 (truncated",
    ),
    "utf-32 beyond Unicode": (b"\xff\xfe\0\0\0\0\0\1", "expected UTF-32-LE, found byte 0x00"),
    "gb18030": ("楚懷王入秦。".encode("gb18030"), "; looks like GB18030: set corpus.encoding=gb18030, or convert"),
    "big5": (
        "楚懷王入秦。".encode("big5"),
        "at offset 0; looks like BIG5: set corpus.encoding=big5, or convert it with",
    ),
    "a Word document": (b"PK\x03\x04\xff word/document.xml", "looks like a Word document: save it as plain text"),
    "a PDF file": (b"%PDF-1.7\n%\xe2\xe3", "looks like a PDF file: save it as plain text"),
    "lone continuation byte": (b"a\nb\x80c", ":2: expected UTF-8, found byte 0x80 (invalid start byte)"),
    "cut character": ("楚懷".encode()[:-1], "unexpected end of data"),
    "overlong slash": (b"\xc0\xaf", "byte 0xc0"),
    "overlong null": (b"\xe0\x80\x80", "byte 0xe0"),
    "surrogate": (b"\xed\xa0\x80", "byte 0xed"),
    "surrogate pair (CESU-8)": (b"\xed\xa1\x80\xed\xb0\x80", "byte 0xed"),
    "beyond U+10FFFF": (b"\xf4\x90\x80\x80", "byte 0xf4"),
    "five bytes": (b"\xf8\x88\x80\x80\x80", "byte 0xf8"),
    "latin-1": ("café".encode("latin-1"), "byte 0xe9"),
    "gzip": (b"\x1f\x8b\x08\x00", "byte 0x8b"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_other_encodings_are_named_as_unread(corpus, name):
    data, reason = UNREADABLE[name]
    (corpus / "a.txt").write_bytes(data)
    check(corpus, {"a.txt": reason})


READABLE = {
    "empty": "",
    "a mark": "\ufeff",
    "mark at the beginning": "\ufeff楚",
    "mark in the middle": "楚\ufeff懷",
    "CRLF": "楚。\r\n懷。\r\n",
    "CR": "楚。\r懷。\r",
    "NEL": "楚\x85懷",
    "line and paragraph separators": "楚\u2028懷\u2029王",
    "vertical tab and form feed": "楚\x0b懷\x0c王\x1c\x1d\x1e",
    "null characters": "楚\0\0懷\0",
    "null at the end": "楚\0",
    "utf-16 without a mark, of latin letters": "a\0b\0",
    "escape sequences": "\x1b[2J楚\x1b]0;title\x07",
    "private use": "\ue000\uf8ff\U000f0000\U0010fffd",
    "beyond the BMP": "𠀀𠂢𪚥\U0002ebf0",
    "combining": "e\u0301\u0301\u0301\u20dd",
    "not normalised": "é e\u0301 ﬁ Å \u212b 㒞 \uf900",
    "bidi controls": "\u202e楚\u202c\u2066懷\u2069\u200f",
    "zero width": "楚\u200b懷\u200d王\u2060",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001ffff\U0010ffff",
    "variation selectors": "楚\ufe00懷\U000e0100王\U000e01ef",
    "tag characters": "\U000e0001\U000e0041\U000e007f",
    "replacement character": "楚\ufffd懷",
    "soft hyphen and spaces": "\u00ad\u00a0\u3000\u1680\u2003",
    "deleted and C1": "\x7f\x80\x9f",
    "markup": "<NR>楚</NR>&amp;]]><!--",
    "ideographic description": "⿰木𣎳\u3013\u303e",
}


@pytest.mark.parametrize("name", READABLE)
def test_odd_characters_come_back_byte_for_byte(corpus, tmp_path, name):
    data = READABLE[name].encode()
    (corpus / "a.txt").write_bytes(data)
    check(corpus, {}, {"a": data})
    survey = write_plan_and_documents(str(corpus), 5, tmp_path / "out")
    assert survey.documents == 2
    assert describe_changed_files_by_path(str(corpus), tmp_path / "out", survey.plan_parts) == {}


# ---- names


@pytest.mark.parametrize(
    "name", ["a\nb.txt", "\x1b[2J.txt", " a .txt", "-rf.txt", "\u202etxt.a.txt", "𠀀\ue000.txt", "%s{0}.txt",
             "a\\b.txt", f"{'楚' * 83}ab.txt", "...txt", "a..txt", "nul.txt", "a\u0301.txt"],
)  # fmt: skip
def test_odd_names_are_texts(corpus, name):
    (corpus / name).write_bytes(b"odd")
    check(corpus, {}, {name.removesuffix(".txt"): b"odd"})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize("raw", [b"\xff.txt", b"\xb3\xfe.txt", b"a\xed\xa0\x80.txt", b"\xff/in.txt", b"\xc0\xae.txt"])
def test_a_name_that_is_not_utf8_is_named_with_escapes(corpus, raw):
    path = os.fsencode(corpus) + b"/" + raw
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"x")
    check(corpus, {raw.decode("ascii", "backslashreplace"): "expected a file name in UTF-8"})


def test_a_message_shows_no_control_character_of_a_name(corpus):
    (corpus / "a\x1b[2J\nb.txt").write_bytes(b"\xff")
    survey = CorpusSurvey()
    list(read_documents(str(corpus), survey))
    (reason,) = survey.unread.values()
    assert reason.startswith(rf"{corpus}/a\x1b[2J\x0ab.txt:1: expected UTF-8")


def test_folders_may_be_deeper_than_the_stack(corpus):
    here = os.getcwd()
    os.chdir(corpus)
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("x.txt").write_bytes(b"deep")
    finally:
        os.chdir(here)
    check(corpus, {}, {"d/" * 1500 + "x": b"deep"})
    subprocess.run(["rm", "-r", str(corpus / "d")], check=True)  # pytest's own removal is recursive


def test_a_text_with_capital_suffix_is_a_document_of_its_own(corpus, tmp_path):
    names = [
        "B.TXT",
        "B.txt",
        "B.Txt",
        "B.TXT.txt",
        "B.TXT.txt.txt",
        "B.txt.txt",
        "B.txt.TXT",
        "B.TXT-a.txt",
        "sub/C.TXT",
    ]
    for name in names:
        (corpus / name).parent.mkdir(exist_ok=True)
        (corpus / name).write_text(name, encoding="utf-8")
    doc_ids = {"B.TXT": "B.TXT", "B.txt": "B", "B.Txt": "B.Txt", "B.TXT.txt": "B.TXT.txt", "B.txt.txt": "B.txt",
               "B.TXT.txt.txt": "B.TXT.txt.txt", "B.txt.TXT": "B.txt.TXT", "B.TXT-a.txt": "B.TXT-a",
               "sub/C.TXT": "sub/C.TXT"}  # fmt: skip
    check(corpus, {}, {doc_ids[name]: name.encode() for name in names})
    survey = write_plan_and_documents(str(corpus), 5, tmp_path / "out")
    assert describe_changed_files_by_path(str(corpus), tmp_path / "out", survey.plan_parts) == {}
    (corpus / "B.TXT").unlink()
    (corpus / "B.TXT-b.TXT").write_bytes(b"new")
    assert describe_changed_files_by_path(str(corpus), tmp_path / "out", survey.plan_parts) == {
        str(corpus / "B.TXT"): "can no longer be read",
        str(corpus / "B.TXT-b.TXT"): "is new",
    }


def test_doc_ids_differ_and_give_back_the_path():
    suffixes = ["", ".txt", ".TXT", ".Txt"]
    paths = {f"{a}{b}{c}{d}" for a in ("B", "B.TXT/x", "") for b in suffixes for c in suffixes for d in suffixes[1:]}
    assert len({make_doc_id(path) for path in paths}) == len(paths)
    assert all(get_relative_path(make_doc_id(path)) == path for path in paths)


# ---- files that are not texts


def test_every_file_is_tagged_named_or_counted(corpus):
    for name in (".txt", ".TXT", ".DS_Store", "a.html", "b.HTML", "c.html", "d.html", "e.docx", "README", "sub/f.md"):
        (corpus / name).parent.mkdir(exist_ok=True)
        (corpus / name).write_bytes(b"x")
    os.mkfifo(corpus / "pipe")
    survey = survey_corpus(str(corpus), 100)
    assert survey.documents == 1
    assert survey.unread == {}
    assert survey.ignored.groups == {
        "hidden": IgnoredGroup(3, (".DS_Store", ".TXT", ".txt")),
        "no suffix": IgnoredGroup(2, ("README", "pipe")),
        ".html": IgnoredGroup(4, ("a.html", "b.HTML", "c.html")),
        ".docx": IgnoredGroup(1, ("e.docx",)),
        ".md": IgnoredGroup(1, ("sub/f.md",)),
    }


def test_the_dry_run_tells_what_is_left_out_and_ignored(corpus, default_config_of):
    (corpus / "a.html").write_bytes(b"x")
    (corpus / ".txt").write_bytes(b"x")
    (corpus / "b.txt").symlink_to("b.txt")
    lines = check_and_describe_corpus(default_config_of(corpus))
    assert lines == [
        f"{corpus}: 1 documents, 7 characters, 1 units",
        f"left out: {corpus}/b.txt: expected a file, found a link that leads to itself",
        "ignored: 1 .html (a.html), 1 hidden (.txt)",
    ]


def test_the_dry_run_lists_a_hundred_files_at_most(corpus, default_config_of):
    for i in range(130):
        (corpus / f"bad{i:03d}.txt").write_bytes(b"\xff")
    lines = check_and_describe_corpus(default_config_of(corpus))
    assert len(lines) == 102
    assert lines[-1] == "left out: 30 more; run.json of the tagged corpus lists all"


@pytest.fixture
def default_config_of():
    from rayner.config.corpus_settings import CorpusConfig
    from rayner.config.settings import Config

    return lambda corpus: Config(corpus=CorpusConfig(str(corpus)))


def test_ignored_files_take_bounded_memory():
    ignored = IgnoredFiles()
    for i in range(20_000):
        ignored.add(f"{'x' * 1000}{i}.{i}")
        ignored.add(f"name with a point. and {i} more words")
    assert sum(group.files for group in ignored.groups.values()) == 40_000
    assert len(ignored.groups) <= 51
    assert len(json.dumps({name: group.first for name, group in ignored.groups.items()})) < 40_000
