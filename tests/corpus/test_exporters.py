import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.exporters import ExportCounts, evahan_lines, export_evahan
from rayner.corpus.readers import read_labelled
from rayner.errors import DataError
from rayner.ner.spans import Span
from tests.corpus.units import document, entity, write_unit
from tests.strategies import spans_in

CHARS = st.one_of(st.sampled_from("\n\r\t <&\u2028\x85\ufeff\ue1e0𠀀甲。"), st.characters(codec="utf-8"))


@st.composite
def tagged_texts(draw):
    text = draw(st.text(CHARS, max_size=30))
    return text, draw(spans_in(len(text)))


def without_breaks(text, spans):
    """What a format without line breaks can hold, worked out one character at a time."""
    broken = {i for match in re.finditer(r"\r?\n", text) for i in range(*match.span())}
    kept = [i for i in range(len(text)) if i not in broken]
    place = {i: n for n, i in enumerate(kept)}
    held = [([place[i] for i in range(s.start, s.end) if i in place], s.type) for s in spans]
    return "".join(text[i] for i in kept), tuple(Span(at[0], at[-1] + 1, kind) for at, kind in held if at)


@given(tagged_texts())
def test_what_is_exported_is_read_back(tmp_path_factory, tagged):
    text, spans = tagged
    expected_text, expected_spans = without_breaks(text, spans)
    folder = tmp_path_factory.mktemp("any")
    rows = [entity("d", s.start, text[s.start : s.end], s.type) for s in spans]
    write_unit(folder / "tagged", "0.parquet", [document("d", text)], rows)
    counts = export_evahan(folder / "tagged", folder / "out")
    assert counts == ExportCounts(1, len(expected_text), len(expected_spans))
    path = folder / "out" / "d.txt"
    if not expected_text:
        assert not path.read_bytes().strip(b"\n")
        return
    read = read_labelled(path)
    assert (read.text, read.spans) == (expected_text, expected_spans)
    assert len(read.blanks) == text.count("\n")
    assert not any(read.faults[name] for name in ("no_begin", "no_end", "bom", "crlf"))


@given(tagged_texts(), st.data())
def test_blank_lines_are_put_back(tmp_path_factory, tagged, data):
    text, spans = without_breaks(*tagged)
    blanks = data.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    path = tmp_path_factory.mktemp("any") / "f.txt"
    lines = list(evahan_lines(text, spans, blanks))
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    if text:
        read = read_labelled(path)
        assert (read.text, read.spans, list(read.blanks)) == (text, spans, blanks)
        assert list(evahan_lines(read.text, read.spans, read.blanks)) == lines


def test_lines():
    text = "楚\n懷\r\n王\r。\n"
    spans = [Span(0, 1, "NG"), Span(2, 6, "NR")]
    expected = ["楚\tS-NG", "", "懷\tB-NR", "", "王\tE-NR", "\r\tO", "。\tO", ""]
    assert list(evahan_lines(text, spans)) == expected
    assert list(evahan_lines("", [])) == []
    assert list(evahan_lines("", [], [0, 0])) == ["", ""]


def test_an_entity_of_line_breaks_alone_is_left_out():
    assert list(evahan_lines("甲\n乙", [Span(0, 1, "NR"), Span(1, 2, "T")])) == ["甲\tS-NR", "", "乙\tO"]


@pytest.mark.parametrize("spans", [[Span(0, 2, "NR"), Span(1, 3, "T")], [Span(2, 4, "T")]])
def test_spans_that_cannot_be(spans):
    with pytest.raises(ValueError, match="overlaps the one before or leaves the text"):
        list(evahan_lines("甲乙丙", spans))


def test_one_file_a_document(tmp_path):
    tagged, out = tmp_path / "tagged", tmp_path / "out"
    write_unit(
        tagged, "0.parquet", [document("史/本紀/1", "楚王"), document("史/2", "")], [entity("史/本紀/1", 0, "楚")]
    )
    write_unit(tagged, "1.parquet", [document("漢", "甲\n")])
    assert export_evahan(tagged, out) == ExportCounts(documents=3, characters=3, entities=1)
    files = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert files == {"史/本紀/1.txt": "楚\tS-NR\n王\tO\n", "史/2.txt": "", "漢.txt": "甲\tO\n\n"}
    assert export_evahan(tagged, out).documents == 3  # again, over what is there


@pytest.mark.parametrize("doc_id", ["../x", "/x", "a/../../x", "a/../b", "..", "", "a//b", "./a", "a\0b"])
def test_a_doc_id_that_would_escape(tmp_path, doc_id):
    out = tmp_path / "out"
    write_unit(tmp_path / "tagged", "0.parquet", [document(doc_id, "甲")])
    with pytest.raises(DataError) as caught:
        export_evahan(tmp_path / "tagged", out)
    expected = f"{out}: expected a doc_id that names a file below this folder, found {doc_id!r}"
    assert str(caught.value) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"tagged"}


def test_a_link_that_would_let_a_doc_id_escape(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path)
    write_unit(tmp_path / "tagged", "0.parquet", [document("a/x", "甲")])
    with pytest.raises(DataError, match="found 'a/x'"):
        export_evahan(tmp_path / "tagged", tmp_path / "out")
    assert not (tmp_path / "x.txt").exists()


def test_a_folder_that_is_no_corpus(tmp_path):
    with pytest.raises(DataError, match="expected a tagged corpus"):
        export_evahan(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
