"""Names of documents that a file system or a reader may take for something else: every format writes each of them."""

import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html

from rayner.corpus.exports import EXPORT_FORMATS, export_corpus
from rayner.corpus.exports.document_paths import MAX_NAME_BYTES, build_document_path
from rayner.corpus.reading import CorpusSurvey, read_documents
from rayner.errors import DataError
from rayner.runs.storage import storage_path
from rayner.text.spans import Span
from tests.corpus import export_readers
from tests.corpus.difficult_texts import write_corpus
from tests.corpus.tagged_corpora import document, write_unit

FORMATS_WITH_A_FILE_A_DOCUMENT = [name for name, form in EXPORT_FORMATS.items() if not form.chars_per_file]
TEXT = ("楚懷王曰善。\n", [Span(1, 3, "NR")])

# Names that a file may have on Linux or in an object store.
FILE_NAMES = {
    "one dot": ".",
    "two dots": "..",
    "three dots": "...",
    "hidden": ".hidden",
    "dot at the end": "a.",
    "space at the end": "a ",
    "one space": " ",
    "two suffixes": "a.txt",
    "percent": "100%25%2e%2e%2f",
    "hash and question mark": "a?b#c",
    "quotes": "it's \"quoted\" `cmd` $(cmd)",
    "newline": "a\nb\r\nc",
    "tab and bell": "a\tb\x07",
    "backslash": "..\\..\\a",
    "right to left": "a\u202etxt.exe",
    "zero width": "a\u200b\u2060\ufeff",
    "combining": "e\u0301",
    "composed": "\u00e9",
    "emoji": "🀄👨‍👩‍👧",
    "beyond the BMP": "𠀀𪜶",
    "private use": "\ue000",
    "noncharacter": "\ufffe",
    "Windows device": "CON",
    "Windows stream": "a:b",
    "URL": "s3:/bucket/key",
    "glob": "[a-z]*{1,2}",
    "option": "--keep",
    "formula": "=HYPERLINK(\"x\")",
    "tilde": "~root",
    "markup": "<script>alert(1)</script>",
    "markup in an attribute": "\"><img src=x onerror=alert(1)>",
    "our temporary file": ".rayner-" + "0" * 32,
    "our marker": ".rayner-output",
    "255 bytes with .txt": "a" * 251,
    "255 bytes in Chinese": "史" * 83 + "ab",
    "a folder of 255 bytes": "書" * 85 + "/" + "卷" * 83,
    "deep": "/".join(["d"] * 300),
    "longer than an object store allows": "/".join(["卷" * 30] * 12),
    "already shortened": "a~" + "0" * 32,
    "folder like a file": "a.txt/b",
    "folder like a file of another format": "a.conll/a.xml/a.html/a.tsv/a.ann/b",
    "folder with a tilde": "a.txt~/b",
}  # fmt: skip
# Names that only tables made elsewhere, or an object store, can hold.
TABLE_NAMES = {
    "nothing": "",
    "up": "../x",
    "far up": "a/../../../x",
    "absolute": "/etc/passwd",
    "empty folder": "a//b",
    "folder dot": "./a",
    "slash at the end": "a/",
    "NUL": "a\0b",
    "only NUL": "\0",
    "a name of 5,000 bytes": "a" * 5000,
    "a thousand folders up": "../" * 1000 + "x",
}
NAMES = FILE_NAMES | TABLE_NAMES


@pytest.mark.parametrize("name", FORMATS_WITH_A_FILE_A_DOCUMENT)
def test_every_name_at_once_gets_its_own_file_below_the_folder(tmp_path, name):
    write_corpus(tmp_path / "in" / "tagged", dict.fromkeys(NAMES.values(), TEXT))
    out = tmp_path / "in" / "out"
    assert export_corpus(tmp_path / "in" / "tagged", out, EXPORT_FORMATS[name]).documents == len(NAMES)
    files = export_readers.read_files(out)
    for suffix in EXPORT_FORMATS[name].writers:
        assert len(export_readers.select_by_suffix(files, suffix)) == len(NAMES)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"tagged", "out"}


@pytest.mark.parametrize("doc_id", NAMES.values(), ids=NAMES)
def test_each_name_alone_in_the_format_with_the_longest_suffix(tmp_path, doc_id):
    write_corpus(tmp_path / "tagged", {doc_id: TEXT})
    export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS["conll"])
    ((path, content),) = export_readers.read_files(tmp_path / "out").items()
    ((_, (text, spans)),) = export_readers.read_conll({path: content}).items()
    assert (text, spans) == TEXT
    assert path.endswith(".conll")
    assert all(len(part.encode()) <= 255 for part in path.split("/"))


@pytest.mark.parametrize("doc_id", NAMES.values(), ids=NAMES)
def test_each_name_at_a_url(tmp_path, doc_id):
    write_corpus(tmp_path / "tagged", {doc_id: TEXT})
    export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS["evahan"])
    far = storage_path(f"memory://{tmp_path.name}-{abs(hash(doc_id))}")
    export_corpus(tmp_path / "tagged", far, EXPORT_FORMATS["evahan"])
    assert export_readers.read_files_at_url(far) == export_readers.read_files(tmp_path / "out")


@pytest.mark.parametrize("doc_id", NAMES.values(), ids=NAMES)
def test_a_name_is_written_whole_inside_the_files(tmp_path, doc_id):
    write_corpus(tmp_path / "tagged", {doc_id: TEXT})
    read = {}
    for name in ("jsonl", "tei", "docusky", "hf", "label-studio"):
        export_corpus(tmp_path / "tagged", tmp_path / name, EXPORT_FORMATS[name])
        read[name] = export_readers.read_files(tmp_path / name)
    assert json.loads(read["jsonl"]["part-00000.jsonl"])["doc_id"] == doc_id
    assert json.loads(read["label-studio"]["part-00000.json"])[0]["data"]["doc_id"] == doc_id
    assert pq.read_table(io.BytesIO(read["hf"]["data/part-00000.parquet"]))["doc_id"].to_pylist() == [doc_id]
    (tei,) = read["tei"].values()
    assert list(export_readers.read_tei(read["tei"]).values()) == [TEXT]
    root = etree.fromstring(tei)
    assert {element.tag.rpartition("}")[2] for element in root.iter("*")} <= {
        "TEI", "teiHeader", "fileDesc", "titleStmt", "title", "respStmt", "resp", "name", "publicationStmt", "p", "g",
        "sourceDesc", "encodingDesc", "editorialDecl", "charDecl", "char", "mapping", "text", "body", "ab", "lb",
        "persName",
    }  # fmt: skip
    docusky = etree.fromstring(read["docusky"]["part-00000.xml"])
    assert len(docusky.findall(".//document")) == 1
    assert {element.tag for element in docusky.iter("*")} <= {
        "ThdlPrototypeExport", "documents", "document", "corpus", "title", "doc_content", "Paragraph", "PersonName",
    }  # fmt: skip


def test_ordinary_names_are_unchanged():
    ordinary = [
        "史記/卷一", "a b/c (1)", "100%", "~x", "a~b", "x.txt", "a.b/c", ".hidden", "e\u0301", "a" * MAX_NAME_BYTES,
        "folder.txt.old/a", *(FILE_NAMES[name] for name in ("quotes", "newline", "emoji", "URL", "glob", "deep")),
    ]  # fmt: skip
    for doc_id in ordinary:
        assert build_document_path(doc_id, ".txt", (".txt",)) == f"{doc_id}.txt"


def test_the_paths_of_names_are_stable():
    """A later version must find the files of an earlier export by the same paths."""
    suffixes = (".txt", ".ann")
    assert build_document_path(".", ".txt", suffixes) == "..txt"
    assert build_document_path("../a", ".txt", suffixes) == "..~5ec1f7e700f37c3d0b2981d04855fc34/a.txt"
    assert build_document_path("a\0b", ".ann", suffixes) == "a_b~59b271ae1bbcb1d31d41929817f4b16f.ann"
    assert build_document_path("卷" * 99, ".txt", suffixes) == f"{'卷' * 53}~7ef69d40a248dc03043c2f96d81fffc4.txt"
    assert build_document_path("a.TXT/b.ann~/c", ".ann", suffixes) == "a.TXT~/b.ann~~/c.ann"


pieces = st.sampled_from(["a", "A", "~", ".", "..", "", "/", ".txt", ".ann", "\0", "0" * 32, "~" + "0" * 32, "史" * 80])


@given(st.lists(st.lists(pieces, max_size=6).map("".join), max_size=8, unique=True))
def test_no_two_names_share_a_path_and_no_path_is_a_folder_of_another(doc_ids):
    suffixes = (".txt", ".ann")
    paths = [build_document_path(doc_id, suffix, suffixes) for doc_id in doc_ids for suffix in suffixes]
    assert len(set(paths)) == len(paths)
    folders = {path[:i] for path in paths for i, char in enumerate(path) if char == "/"}
    assert not folders & set(paths)
    for path in paths:
        assert all(len(part.encode()) <= 255 for part in path.split("/"))
        assert not any(part in ("", ".", "..") or "\0" in part for part in path.split("/"))


def test_a_shortened_name_has_the_same_path_whatever_was_done_to_it_before():
    name = "a" * 500
    once = build_document_path(name, ".txt", (".txt",)).removesuffix(".txt")
    twice = build_document_path(once, ".txt", (".txt",)).removesuffix(".txt")
    assert len({name, once, twice}) == 3
    assert once.startswith("aaaa")
    assert len(once) < MAX_NAME_BYTES


@pytest.mark.parametrize("name", FORMATS_WITH_A_FILE_A_DOCUMENT)
def test_two_documents_of_one_name_are_an_error_and_nothing_is_lost(tmp_path, name):
    write_unit(tmp_path / "tagged", "0.parquet", [document("a", "甲"), document("a", "乙")])
    with pytest.raises(DataError, match="expected a file of its own for each document, found two for 'a"):
        export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS[name])


def test_files_with_these_names_are_read_and_exported(tmp_path):
    """The whole way, from files on the disk: a name that can be read can be exported."""
    corpus = tmp_path / "corpus"
    for doc_id in FILE_NAMES.values():
        path = corpus / f"{doc_id}.txt"
        if any(len(part.encode()) > 255 for part in f"{doc_id}.txt".split("/")):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("甲")
    documents = [document(d.doc_id, d.text) for d in read_documents(str(corpus), CorpusSurvey())]
    assert len(documents) >= len(FILE_NAMES) - 2
    write_unit(tmp_path / "tagged", "0.parquet", documents)
    for name, form in EXPORT_FORMATS.items():
        assert export_corpus(tmp_path / "tagged", tmp_path / name, form).documents == len(documents)


# ---- texts that a reader may take for code

PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "CDATA": "]]><![CDATA[<x>",
    "doctype": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;',
    "comment": "--><!-- <x/> -->",
    "entity reference": "&lt;b&gt;&#60;script&#62;&amp;",
    "processing instruction": "?><?xml-stylesheet href='x'?>",
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}${7*7}",
    "end of the element": "</ab></Paragraph></pre></div></span>",
    "control characters": "\x00\x01\x1b[31m\u2028\ufffe",
}


@pytest.mark.parametrize("place", ["name", "text", "entity"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_payload_becomes_markup(tmp_path, payload, place):
    text = f"甲{payload}乙"
    spans = [Span(1, 1 + len(payload), "NR")] if place == "entity" else []
    doc_id, content = (payload, ("甲乙", [])) if place == "name" else ("d", (text, spans))
    write_corpus(tmp_path / "tagged", {doc_id: content})
    read = {}
    for name in ("tei", "docusky", "markus"):
        export_corpus(tmp_path / "tagged", tmp_path / name, EXPORT_FORMATS[name])
        ((_, data),) = export_readers.read_files(tmp_path / name).items()
        read[name] = data
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False))
        assert not [e for e in root.iter() if not isinstance(e.tag, str)]  # comments, instructions, entities
        assert root.getroottree().docinfo.internalDTD is None
    assert {e.tag for e in html.fromstring(read["markus"].decode()).iter()} <= {"div", "pre", "span"}
    for element in html.fromstring(read["markus"].decode()).iter():
        assert not [key for key, _ in element.items() if key.startswith("on") or key in ("src", "href")]
    readers = {"tei": export_readers.read_tei, "docusky": export_readers.read_docusky}
    for name, reader in readers.items():
        assert list(reader(export_readers.read_files(tmp_path / name)).values()) == [content]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_payload_in_a_text_changes_what_the_other_formats_hold(tmp_path, payload):
    text = f"甲{payload}乙"
    content = (text, [Span(1, 1 + len(payload), "NR")])
    write_corpus(tmp_path / "tagged", {"d": content})
    readers = {
        "jsonl": export_readers.read_jsonl, "label-studio": export_readers.read_label_studio,
        "markup": export_readers.read_markup, "conll": export_readers.read_conll,
        "webanno": export_readers.read_webanno,
    }  # fmt: skip
    for name, reader in readers.items():
        export_corpus(tmp_path / "tagged", tmp_path / name, EXPORT_FORMATS[name])
        assert reader(export_readers.read_files(tmp_path / name)) == {"d": content}
