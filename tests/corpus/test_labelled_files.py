import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.exports import format_evahan_lines
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.text_files import TextFile, read_utf8
from rayner.corpus.text_listing import list_text_files
from rayner.errors import DataError
from rayner.text.spans import Span


@pytest.fixture
def write(tmp_path):
    def _write(content: str | bytes, name: str = "gold.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def nonzero(faults):
    return {name: n for name, n in faults.items() if n}


def message(call, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


# ---- evahan


def test_a_clean_file(write):
    path = write("楚\tS-NG\n懷\tB-NR\n王\tE-NR\n。\tO\n")
    read = read_labelled_file(path)
    assert read.path == str(path)
    assert read.text == "楚懷王。"
    assert read.spans == (Span(0, 1, "NG"), Span(1, 3, "NR"))
    assert read.blank_line_offsets == ()
    assert set(read.faults) == {
        *("no_begin", "no_end", "blank_lines", "private_use", "beyond_bmp"),
        *("crlf", "bom", "line_separators", "docstart", "escapes", "empty_texts"),
    }
    assert not any(read.faults.values())


def test_the_last_line_needs_no_end(write):
    assert read_labelled_file(write("楚\tO\n王\tO")) == read_labelled_file(write("楚\tO\n王\tO\n"))


def test_blank_lines_break_no_entity_and_are_kept(write):
    read = read_labelled_file(write("\n懷\tB-NR\n\n\n王\tE-NR\n\n"))
    assert (read.text, read.spans) == ("懷王", (Span(0, 2, "NR"),))
    assert read.blank_line_offsets == (0, 1, 1, 2)
    assert nonzero(read.faults) == {"blank_lines": 4}


@pytest.mark.parametrize("layout", ["evahan", "conll"])
def test_crlf_and_bom(write, layout):
    read = read_labelled_file(write("\ufeff懷\tB-NR\r\n\r\n王\tE-NR\r\n"), layout=layout)
    assert (read.text, read.spans, read.blank_line_offsets) == ("懷王", (Span(0, 2, "NR"),), (1,))
    assert nonzero(read.faults) == {"crlf": 3, "bom": 1, "blank_lines": 1}


def test_crlf_on_some_lines_only(write):
    assert read_labelled_file(write("懷\tO\r\n王\tO\n")).faults["crlf"] == 1


@pytest.mark.parametrize(
    "char", ["\t", " ", "\u3000", "\r", "\u2028", "\x85", "\x0b", "\x1c", "𠀀", "\ue1e0", "<", "\0"]
)
def test_any_code_point_may_be_a_character(write, char):
    read = read_labelled_file(write(f"{char}\tS-NR\n{char}\tO\r\n"))
    assert (read.text, read.spans) == (char * 2, (Span(0, 1, "NR"),))


def test_odd_characters_are_counted(write):
    chars = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\ue1e0\U00020000\U00100000"
    read = read_labelled_file(write("".join(f"{char}\tO\n" for char in chars)))
    assert read.text == chars
    assert nonzero(read.faults) == {"line_separators": 8, "private_use": 2, "beyond_bmp": 2}


def test_a_bom_that_is_a_character(write):
    read = read_labelled_file(write("\ufeff\tO\n王\tO\n"))
    assert (read.text, read.faults["bom"]) == ("\ufeff王", 0)
    read = read_labelled_file(write("\ufeff\t\tO\n王\tO\n"))
    assert (read.text, read.faults["bom"]) == ("\t王", 1)
    read = read_labelled_file(write("\ufeff\n\ufeff\tO\n"))
    assert (read.text, read.blank_line_offsets, read.faults["bom"]) == ("\ufeff", (0,), 1)


def test_irregular_tags_are_mended_and_counted(write):
    read = read_labelled_file(write("甲\tB-ZF\n乙\tO\n丙\tE-ZD\n丁\tM-ZD\n戊\tE-ZD\n己\tS-ZD\n"))
    assert read.spans == (Span(0, 1, "ZF"), Span(2, 3, "ZD"), Span(3, 5, "ZD"), Span(5, 6, "ZD"))
    assert nonzero(read.faults) == {"no_begin": 2, "no_end": 1}


def test_bio_marks_no_ends(write):
    read = read_labelled_file(write("甲\tB-NR\n乙\tI-NR\n丙\tB-NR\n丁\tO\n"))
    assert read.spans == (Span(0, 2, "NR"), Span(2, 3, "NR"))
    assert nonzero(read.faults) == {}


@pytest.mark.parametrize("tags", ["B I E S", "B M E S", "B I L U", "B M E W"])
def test_spellings(write, tags):
    content = "".join(f"甲\t{tag}-NR\n" for tag in tags.split())
    assert read_labelled_file(write(content)).spans == (Span(0, 3, "NR"), Span(3, 4, "NR"))


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        ("甲\tO\n乙 O\n", 2, "expected char<TAB>tag, found no tab in '乙 O'"),
        ("甲\tO\n \n", 2, "expected char<TAB>tag, found no tab in ' '"),
        ("甲\tO\n\n乙\tO\tx\r\n", 3, "expected char<TAB>tag, found 3 columns in '乙\\tO\\tx'"),
        ("甲乙\tO\n", 1, "expected one character before the tab, found 2 in '甲乙\\tO'"),
        ("e\u0301\tO\n", 1, "expected one character before the tab, found 2"),
        ("甲\tO\n\tO\n", 2, "expected one character before the tab, found none in '\\tO'"),
        ("甲\tO\n乙\tX-NR\n", 2, "expected O or PREFIX-TYPE with a prefix of BMIELSUW, found 'X-NR'"),
        ("甲\tO\n乙\t\n", 2, "expected O or PREFIX-TYPE with a prefix of BMIELSUW, found ''"),
        ("甲\tO\n乙\tO \n", 2, "found 'O '"),
        ("甲\tO\n乙\tO\r", 2, "found 'O\\r'"),
        ("甲\tS-NR \n", 1, "expected a type without white space, <, >, / and &, found 'NR '"),
        ("甲\tS-N<\n", 1, "expected a type without white space, <, >, / and &, found 'N<'"),
        (b"\xe7\x94\xb2\tO\n\n\xb0\xa1\tO\n", 3, "expected UTF-8, found byte 0xb0 (invalid start byte)"),
        (b"\xe7\x94\xb2\tO\n\xe7\x94", 2, "expected UTF-8, found byte 0xe7 (unexpected end of data)"),
        (b"\xff\xfe2u\t\0O\0\n\0", 1, "expected UTF-8, found byte 0xff (invalid start byte)"),
        ("x" * 10_000, 1, "expected char<TAB>tag, found no tab in '" + "x" * 40 + "'..."),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, content, line, expected):
    path = write(content)
    found = message(read_labelled_file, path, layout="evahan")
    assert found.startswith(f"{path}:{line}: ")
    assert expected in found
    assert len(found) < len(str(path)) + 150


@pytest.mark.parametrize("content", ["", "\n", "\r\n\n", "\ufeff", "\ufeff\n"])
@pytest.mark.parametrize("layout", ["evahan", "conll"])
def test_no_characters(write, content, layout):
    path = write(content)
    expected = f"{path}: expected at least one labelled character, found none"
    assert message(read_labelled_file, path, layout=layout) == expected


def test_unknown_type(write):
    path = write("甲\tO\n乙\tS-ZD\n")
    assert message(read_labelled_file, path, types=["T", "NR"]) == f"{path}:2: expected a type of NR, T, found 'ZD'"
    assert read_labelled_file(path, types={"ZD", "NR"}).spans == (Span(1, 2, "ZD"),)


def test_unknown_layout(write):
    with pytest.raises(ValueError, match=r"expected a layout of auto, evahan, conll, .*, found 'iob'"):
        read_labelled_file(write("甲\tO\n"), layout="iob")


@pytest.mark.parametrize("call", [read_labelled_file, read_utf8])
def test_no_file_to_read(tmp_path, call):
    gone = tmp_path / "gone.txt"
    assert message(call, gone) == f"{gone}: expected a file, found nothing of that name"
    assert message(call, str(tmp_path)) == f"{tmp_path}: expected a file, found a folder"
    (tmp_path / "plain").write_text("")
    below = tmp_path / "plain" / "x.txt"
    assert message(call, below) == f"{below}: expected a file that can be read, found: Not a directory"


# ---- conll


def test_conll(write):
    read = read_labelled_file(
        write("-DOCSTART- -X- O\n\n漢書 n B-NB\n曰  v\tO \n\n-DOCSTART- -X- O\n太史公 n S-NR\n　 x O\n"), layout="conll"
    )
    assert read.text == "漢書曰太史公　"
    assert read.spans == (Span(0, 2, "NB"), Span(3, 6, "NR"))
    assert read.blank_line_offsets == (0, 3)
    assert nonzero(read.faults) == {"blank_lines": 2, "docstart": 2, "no_end": 1}


def test_conll_bio_of_words(write):
    read = read_labelled_file(write("漢 B-NB\n書志 I-NB\n孟堅 B-NR\n曰 O\n"), layout="conll")
    assert read.spans == (Span(0, 3, "NB"), Span(3, 5, "NR"))
    assert nonzero(read.faults) == {}


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        ("甲 n O\n乙 O\n", 2, "expected 3 columns, as in the lines before, found 2 in '乙 O'"),
        ("\n甲\n", 2, "expected a token and its tag, found 1 in '甲'"),
        ("甲 O\n乙 Q-NR\n", 2, "found 'Q-NR'"),
        ("甲 O\n乙 S-N/R\n", 2, "expected a type without white space, <, >, / and &, found 'N/R'"),
    ],
)
def test_conll_errors(write, content, line, expected):
    path = write(content)
    found = message(read_labelled_file, path, layout="conll")
    assert found.startswith(f"{path}:{line}: ")
    assert expected in found


def test_conll_types(write):
    path = write("甲 O\n\n乙 S-ZD\n")
    found = message(read_labelled_file, path, layout="conll", types=["NR"])
    assert found == f"{path}:3: expected a type of NR, found 'ZD'"


# ---- properties

TAGS = st.sampled_from(["O", *(f"{prefix}-{entity_type}" for prefix in "BMES" for entity_type in ("NR", "T"))])
CHARS = st.one_of(
    st.sampled_from("\t \r\u2028\ufeff\ue000<&𠀀甲"), st.characters(exclude_characters="\n", codec="utf-8")
)


@given(st.lists(st.one_of(st.none(), st.tuples(CHARS, TAGS)), min_size=1).filter(any), st.sampled_from(["\n", "\r\n"]))
def test_no_character_is_lost(tmp_path_factory, lines, end):
    path = tmp_path_factory.mktemp("any") / "f.txt"
    path.write_bytes("".join(("\t".join(line) if line else "") + end for line in lines).encode())
    read = read_labelled_file(path)
    assert read.text == "".join(line[0] for line in lines if line)
    assert len(read.blank_line_offsets) == sum(line is None for line in lines)
    labelled = {i for span in read.spans for i in range(span.start, span.end)}
    assert labelled == {i for i, line in enumerate(filter(None, lines)) if line[1] != "O"}


@given(st.text(st.characters(codec="utf-8")))
def test_text_is_never_changed(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "f.txt"
    path.write_bytes(text.encode())
    assert read_utf8(path) == text


# ---- plain texts


def test_read_text_keeps_bom_and_line_ends(write):
    assert read_utf8(write("\ufeff甲\r\n乙\r丙\n")) == "\ufeff甲\r\n乙\r丙\n"
    assert read_utf8(write("")) == ""


def test_read_text_names_the_line_of_the_first_bad_byte(write):
    path = write(b"a\nb\n\x80")
    assert message(read_utf8, path) == f"{path}:3: expected UTF-8, found byte 0x80 (invalid start byte)"


def listed(source):
    return [*list_text_files(source)]


def test_list_texts(tmp_path, write):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "deep").mkdir()
    for name in ("c.txt", "b/2.txt", "b/10.txt", "b/deep/x.y.txt", "b.txt", "note.md", "b/.txt", "史.txt"):
        write("甲", name)
    texts = [*list_text_files(tmp_path)]
    assert [text.doc_id for text in texts] == ["b", "b/10", "b/2", "b/deep/x.y", "c", "史"]
    assert all(text.path == str(tmp_path / f"{text.doc_id}.txt") for text in texts)
    assert texts == [*list_text_files(str(tmp_path))]


def test_list_a_single_file(write):
    path = write("甲", "史記.utf8")
    assert [*list_text_files(path)] == [TextFile("史記", str(path))]


def test_nothing_to_list(tmp_path, write):
    write("甲", "note.md")
    found = message(listed, tmp_path)
    assert found == f"{tmp_path}: expected files ending in .txt, found none; ignored: 1 .md (note.md)"
    gone = tmp_path / "gone"
    assert message(listed, gone) == f"{gone}: expected a folder or a file, found nothing of that name"


def test_links_that_leave_the_folder_are_named_and_not_followed(tmp_path, write):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    secret = write("甲", "secret.txt")
    link, folder_link = corpus / "a.txt", corpus / "sub"
    link.symlink_to(secret)
    folder_link.symlink_to(tmp_path)
    write("乙", "corpus/b.txt")
    assert {text.path: text.problem for text in list_text_files(corpus)} == {
        str(link): f"{link}: expected texts inside {corpus}, found a link to {secret}; copy it there to tag it",
        str(corpus / "b.txt"): None,
        str(folder_link): f"{folder_link}: expected texts inside {corpus}, found a link to {tmp_path}; "
        "copy it there to tag it",
    }


def test_links_inside_the_folder(tmp_path):
    corpus = tmp_path / "corpus"
    (corpus / "a").mkdir(parents=True)
    (corpus / "a" / "x.txt").write_text("甲")
    (corpus / "b").symlink_to(corpus / "a")
    (corpus / "y.txt").symlink_to("a/x.txt")
    (tmp_path / "door").symlink_to(corpus)
    assert [text.doc_id for text in list_text_files(tmp_path / "door")] == ["a/x", "y"]
    dead = corpus / "z.txt"
    dead.symlink_to("nowhere.txt")
    (corpus / "x.txt").mkdir()
    (corpus / "x.txt" / "in.txt").write_text("甲")
    faults = {text.doc_id: text.problem for text in list_text_files(corpus)}
    assert faults == {
        "a/x": None,
        "x": f"{corpus / 'x.txt'}: expected a file, found a folder",
        "x.txt/in": None,
        "y": None,
        "z": f"{dead}: expected a file, found a link to nothing",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_is_not_utf8(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("甲")
    path = rf"{tmp_path}/\xff.txt"
    problem = f"{path}: expected a file name in UTF-8, found other bytes; rename it"
    assert listed(tmp_path) == [TextFile(r"\xff", path, problem)]


# ---- the real files

DATA = os.environ.get("RAYNER_DATA")
FAULTS = {
    "A": (143_462, 15_449, {"private_use": 1}),
    "B": (82_766, 8_595, {"blank_lines": 3121}),
    "C": (109_558, 8_821, {"blank_lines": 44, "no_begin": 2}),
}


@pytest.mark.skipif(not DATA, reason="RAYNER_DATA does not name the folder that holds evahan2025/")
@pytest.mark.parametrize("name", FAULTS)
def test_real_files(name):
    path = Path(DATA or "", "evahan2025", f"{name}.txt")
    read = read_labelled_file(path)
    assert (len(read.text), len(read.spans), nonzero(read.faults)) == FAULTS[name]
    lines = path.read_bytes().decode().split("\n")
    assert read.text == "".join(line[0] for line in lines if line)
    written = [*format_evahan_lines(read.text, read.spans, read.blank_line_offsets), ""]
    changed = [(old, new) for old, new in zip(lines, written, strict=True) if old != new]
    assert changed == ([("疔\tM-ZD", "疔\tB-ZD"), ("乳\tM-ZF", "乳\tB-ZF")] if name == "C" else [])


def test_a_name_that_was_mistyped_is_told_with_the_one_that_was_meant(write, tmp_path):
    write("懷\tO\n", "labelled.txt")
    assert message(read_utf8, tmp_path / "labeled.txt").endswith(f"; did you mean {tmp_path / 'labelled.txt'}?")
    assert message(lambda: list(list_text_files(tmp_path / "labelled.tx"))).endswith(f"{tmp_path / 'labelled.txt'}?")
    assert message(read_utf8, tmp_path / "else").endswith("found nothing of that name")
