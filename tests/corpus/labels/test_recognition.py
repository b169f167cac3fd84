"""A file is recognised by its content, whatever its name, or refused with the way on."""

import gzip
import io
import json
import zipfile

import pytest

from rayner.corpus.labelled_files import read_labelled_file
from rayner.errors import DataError
from tests.corpus.labels.xlsx_writer import xlsx_bytes

FILES = {
    "evahan": "懷\tB-NR\n王\tE-NR\n。\tO\n",
    "conll": "懷王 n B-NR\n。 w O\n",
    "csv": "text,entities\n懷王。,懷王/NR\n",
    "xlsx": xlsx_bytes({"甲": [["text", "entities"], ["懷王。", "懷王/NR"]]}),
    "jsonl": '{"text": "懷王。", "label": [[0, 2, "NR"]]}\n',
    "label-studio": json.dumps([{
        "data": {"text": "懷王。"},
        "annotations": [{"result": [{"type": "labels", "value": {"start": 0, "end": 2, "labels": ["NR"]}}]}],
    }]),
    "markup": "<NR>懷王</NR>。",
    "tei": "<TEI><text><p><persName>懷王</persName>。</p></text></TEI>",
}  # fmt: skip


def zip_with(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "甲")
    return stream.getvalue()


def encode(content):
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("layout", FILES)
@pytest.mark.parametrize("name", ["labels", "labels.txt", "labels.csv", "labels.xml"])
def test_the_name_of_a_file_does_not_matter(tmp_path, layout, name):
    path = tmp_path / name
    path.write_bytes(encode(FILES[layout]))
    labelled = read_labelled_file(path)
    assert labelled.layout == layout
    assert labelled == read_labelled_file(path, layout=layout)
    assert [(labelled.text[s.start : s.end], s.type) for s in labelled.spans] == [("懷王", "NR")]


@pytest.mark.parametrize("layout", FILES)
@pytest.mark.parametrize("named", [name for name in FILES if name != "markup"])  # any text without < is markup
def test_another_layout_is_suggested(tmp_path, layout, named):
    """Where the layout that the user named can be read, it is."""
    path = tmp_path / "labels"
    path.write_bytes(encode(FILES[layout]))
    if named in (layout, {"evahan": "conll"}.get(layout)):
        assert read_labelled_file(path, layout=named).spans
        return
    with pytest.raises(DataError, match=rf"; use layout={layout} \(rayner eval: --layout {layout}\)$"):
        read_labelled_file(path, layout=named)


@pytest.mark.parametrize(("content", "expected"), [
    (zip_with("word/document.xml"), "found what looks like a Word document: save it as plain text with markup"),
    (zip_with("content.xml"), "found what looks like an OpenDocument file: save a spreadsheet as .xlsx"),
    (zip_with("ppt/presentation.xml"), "found what looks like a PowerPoint document"),
    (zip_with("甲.txt"), "found what looks like a ZIP archive: unpack it and name the files in it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "found what looks like an old Excel or Word document (.xls, .doc), or"),
    (b"%PDF-1.7", "found what looks like a PDF document"),
    (rb"{\rtf1\ansi}", "found what looks like a Word document (RTF)"),
    (gzip.compress(b"x", mtime=0), "found what looks like a file packed by gzip: unpack it"),
    (b"PAR1\x15\x04", "found what looks like a Parquet file: export JSON lines (`--to jsonl`)"),
    ("#FORMAT=WebAnno TSV 3.3\n\n", "found what looks like WebAnno TSV: export CoNLL columns from INCEpTION"),
    ("T1\tNR 0 2\t懷王\n", "found what looks like brat's standoff annotations (.ann): write the text and its entities"),
    ('<?xml version="1.0"?>\n<xmi:XMI xmlns:xmi="x">', "found what looks like UIMA CAS (XMI)"),
    ('<div class="doc" markup="x">', "found what looks like MARKUS (HTML): export TEI from MARKUS"),
    ('<?xml version="1.0"?>\n<ThdlPrototypeExport>', "found what looks like DocuXml of DocuSky: write TEI"),
    ("<!DOCTYPE html>\n<p>", "found what looks like HTML: save it as TEI"),
    ("<View>\n<Text/></View>", "found what looks like the labelling configuration of Label Studio: export the"),
    ("1\t懷王\t懷王\tNOUN\tn\t_\t0\troot\t_\t_\n", "found what looks like CoNLL-U: write columns with the token first"),
    ('<?xml version="1.0"?>\n<doc>甲</doc>', "found XML that is not TEI: docs/labels.md shows each layout"),
    ("懷王入秦。\n", "spreadsheet with a header that names the columns: text and entities, or text, start, end"),
    ("懷王入秦。,懷王/NR\n", "found text that begins '懷王入秦。,懷王/NR'; docs/labels.md shows each layout"),
    ("懷王入秦，屈原諫之。\n".encode("gb18030"), "looks like GB18030: convert it with iconv -f GB18030 -t UTF-8"),
    ("懷王入秦，屈原諫之。\n".encode("big5"), "looks like BIG5: convert it with iconv -f BIG5 -t UTF-8"),
    ("怀王入秦，屈原谏之。\n".encode("gb18030"), "looks like GB18030: convert it with iconv -f GB18030 -t UTF-8"),
    ("懷\tO\n".encode("utf-16"), "looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
    (b"\xe7\x94\xb2\tO\n\x80\x81\xff", "labels:2: expected UTF-8, found byte 0x80 (invalid start byte)"),
    ("<NR>懷王</NR>入<NR>秦\n", "labels:1: expected markup such as <NR>屈原</NR>, found a fault: <NR> is never closed"),
    ("甲\n乙<NR>懷王</NR>入 & 秦\n", "labels:2: expected markup"),
    ("甲\tB_NR\n乙\tO\n", "labels:1: expected O or PREFIX-TYPE"),
    (" \n\n", "labels: expected at least one labelled character, found none"),
])  # fmt: skip
def test_what_is_not_read_is_named_with_the_way_on(refusal, content, expected):
    assert expected in refusal(content)


def test_binary_formats_are_named_even_if_a_layout_is_given(refusal):
    assert "a Word document" in refusal(zip_with("word/document.xml"), "evahan")
    assert "looks like GB18030" in refusal("懷王入秦，屈原諫之。\n".encode("gb18030"), "conll")


def test_a_csv_with_markup_in_its_texts_is_a_csv(read):
    assert read("text,entities\n<NR>懷王</NR>,懷王/NR\n") == [("<NR>懷王</NR>", [("懷王", "NR")])]
