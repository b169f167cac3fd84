from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayner.corpus.parquet_files import list_readable_tables, read_table, write_table
from rayner.corpus.tables import (
    DOCUMENT_SCHEMA,
    ENTITY_SCHEMA,
    SEGMENT_SCHEMA,
    TABLE_NAMES,
    TaggedDocument,
    iter_documents,
    iter_segment_rows_by_document,
)
from rayner.errors import DataError
from tests.corpus.tagged_corpora import document, entity, write_unit


def message(call, *args) -> str:
    with pytest.raises(DataError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def drain(tagged):
    return list(iter_documents(tagged))


def test_schemas_are_as_promised():
    assert DOCUMENT_SCHEMA.names == ["doc_id", "path", "text", "sha256", "n_chars", "encoding"]
    assert ENTITY_SCHEMA.names == [
        *("doc_id", "start", "end", "text", "type", "score", "decided_by"),
        *("slm_type", "slm_entropy", "llm_type", "llm_category_prob", "llm_boundary_prob"),
    ]
    assert SEGMENT_SCHEMA.names == ["doc_id", "start", "end", "gated", "passes", "error"]
    assert DOCUMENT_SCHEMA.field("text").type == pa.large_string()
    assert ENTITY_SCHEMA.field("score").type == pa.float32()
    assert SEGMENT_SCHEMA.field("passes").type == pa.int32()


def test_what_is_written_is_read(tmp_path):
    table = pa.Table.from_pylist([document("史/1", "甲\r\n\ufeff\0𠀀\ue1e0")], schema=DOCUMENT_SCHEMA)
    path = tmp_path / "a=b" / "unit.parquet"
    write_table(table, path)
    assert read_table(path, DOCUMENT_SCHEMA) == table
    assert read_table(path, DOCUMENT_SCHEMA).schema == DOCUMENT_SCHEMA
    assert [p.name for p in path.parent.iterdir()] == ["unit.parquet"]


def test_a_second_writing_replaces_the_first(tmp_path):
    path = tmp_path / "unit.parquet"
    for text in ("甲", "乙"):
        write_table(pa.Table.from_pylist([document("d", text)], schema=DOCUMENT_SCHEMA), path)
    assert read_table(path, DOCUMENT_SCHEMA)["text"].to_pylist() == ["乙"]


def test_a_failed_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "unit.parquet"
    write_table(pa.Table.from_pylist([document("d", "甲")], schema=DOCUMENT_SCHEMA), path)
    before = path.read_bytes()
    with pytest.raises(pa.ArrowException):
        write_table(pa.Table.from_pylist([{"doc_id": "d"}], schema=DOCUMENT_SCHEMA), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["unit.parquet"]


def test_a_failed_rename_leaves_no_other_file(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_table(pa.table({"a": [1]}), tmp_path / "unit.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_have_the_longest_name(tmp_path):
    write_table(pa.table({"a": [1]}), tmp_path / ("x" * 247 + ".parquet"))


def test_documents_in_corpus_order(tmp_path):
    write_unit(tmp_path, "1.parquet", [document("b", "楚懷王"), document("a", "")], [entity("b", 0, "楚", "NG")])
    write_unit(tmp_path, "0.parquet", [document("z", "甲乙")], [entity("z", 1, "乙"), entity("z", 0, "甲")])
    write_unit(tmp_path, "2.parquet")
    assert drain(tmp_path) == [
        TaggedDocument("z", "in/z.txt", "甲乙", [entity("z", 0, "甲"), entity("z", 1, "乙")]),
        TaggedDocument("b", "in/b.txt", "楚懷王", [entity("b", 0, "楚", "NG")]),
        TaggedDocument("a", "in/a.txt", "", []),
    ]


def test_a_long_document_goes_on_over_files(tmp_path):
    text = "甲乙丙丁"
    write_unit(tmp_path, "0.parquet", [document("s", "子"), document("l", text)], [entity("l", 0, "甲")])
    write_unit(tmp_path, "1.parquet", [], [entity("l", 1, "乙")])
    write_unit(tmp_path, "2.parquet")
    write_unit(tmp_path, "3.parquet", [document("t", "丑")], [entity("t", 0, "丑"), entity("l", 3, "丁")])
    found = {doc.doc_id: [row["start"] for row in doc.entities] for doc in iter_documents(tmp_path)}
    assert found == {"s": [], "l": [0, 1, 3], "t": [0]}


def test_one_file_at_a_time(tmp_path):
    for i in range(3):
        write_unit(tmp_path, f"{i}.parquet", [document(f"a{i}", "甲"), document(f"b{i}", "乙")])
    documents = iter_documents(tmp_path)
    assert next(documents).doc_id == "a0"
    (tmp_path / "documents" / "2.parquet").write_bytes(b"")
    assert [next(documents).doc_id for _ in range(2)] == ["b0", "a1"]
    with pytest.raises(DataError, match=r"2\.parquet: expected a Parquet file"):
        next(documents)


# ---- not a tagged corpus


def test_not_a_tagged_corpus(tmp_path):
    expected = f"{tmp_path}: expected a tagged corpus (folders documents, entities, segments), found no documents"
    assert message(iter_documents, tmp_path) == expected
    for table in TABLE_NAMES:
        (tmp_path / table).mkdir()
    assert message(iter_documents, tmp_path) == f"{tmp_path}: expected a tagged corpus, found no Parquet files in it"


def test_files_without_counterparts(tmp_path):
    write_unit(tmp_path, "0.parquet", [document("d", "甲")])
    write_unit(tmp_path, "1.parquet", [document("e", "甲")])
    gone = tmp_path / "segments" / "1.parquet"
    gone.unlink()
    assert message(iter_documents, tmp_path) == f"{gone}: expected a file, as its counterparts exist, found none"


def test_files_that_are_no_such_table(tmp_path):
    write_unit(tmp_path, "0.parquet", [document("d", "甲")])
    path = tmp_path / "entities" / "0.parquet"
    pq.write_table(pa.table({"doc_id": ["d"]}), path)
    assert message(drain, tmp_path) == f"{path}: expected a column start, found none"
    table = pa.Table.from_pylist([entity("d", 0, "甲")], schema=ENTITY_SCHEMA)
    pq.write_table(table.set_column(1, "start", pa.array(["0"])), path)
    assert message(drain, tmp_path) == f"{path}: expected column start to be int64, found string"
    path.write_bytes(b"not parquet at all")
    assert message(drain, tmp_path).startswith(f"{path}: expected a Parquet file, found: ")


@pytest.mark.parametrize("name", ["甲乙", "doc_id"])  # in a value, in the name of a column
def test_a_damaged_file_with_text_that_is_not_utf8(tmp_path, name):
    write_unit(tmp_path, "0.parquet", [document("d", "甲")])
    path = tmp_path / "documents" / "0.parquet"
    table = pa.Table.from_pylist([document("d", "甲乙")], schema=DOCUMENT_SCHEMA)
    pq.write_table(table, path, compression="none", use_dictionary=False)
    whole, broken = path.read_bytes(), b"\xff" + name.encode()[1:]
    path.write_bytes(whole.replace(name.encode(), broken))
    assert path.read_bytes() != whole
    assert message(drain, tmp_path).startswith(f"{path}: expected a ")


def test_entities_of_no_document(tmp_path):
    write_unit(tmp_path, "0.parquet", [document("d", "甲")], [entity("x", 0, "甲")])
    found = message(drain, tmp_path)
    assert found.startswith(f"{tmp_path / 'entities' / '0.parquet'}: expected entities of its documents, found ")
    assert "'x'" in found


@pytest.mark.parametrize("row", [entity("d", 1, "甲"), entity("d", 1, "丙"), entity("d", -1, "乙"), entity("d", 1, "")])
def test_entities_that_are_not_in_the_text(tmp_path, row):
    write_unit(tmp_path, "0.parquet", [document("d", "甲乙")], [row])
    found = message(drain, tmp_path)
    assert found.startswith(f"{tmp_path}: document 'd': expected entity {row['text']!r} at [{row['start']}, ")


def test_entities_that_overlap(tmp_path):
    write_unit(tmp_path, "0.parquet", [document("d", "甲乙丙")], [entity("d", 0, "甲乙"), entity("d", 1, "乙丙")])
    expected = f"{tmp_path}: document 'd': expected entities without overlaps, found [0, 2) and [1, 3)"
    assert message(drain, tmp_path) == expected


def test_segments_go_with_their_documents_over_the_ends_of_files(tmp_path):
    def segment(doc_id, start, end):
        return {"doc_id": doc_id, "start": start, "end": end, "gated": False, "passes": 1, "error": None}

    first, second, last = segment("a", 0, 1), segment("a", 1, 2), segment("c", 0, 1)
    write_unit(tmp_path, "u-0.parquet", [document("a", "王王")], segments=[first])
    write_unit(tmp_path, "u-1.parquet", [document("b", ""), document("c", "王")], segments=[last, second])
    assert list(iter_segment_rows_by_document(tmp_path)) == [("a", [first, second]), ("b", []), ("c", [last])]
    with pytest.raises(DataError, match="expected a tagged corpus"):
        iter_segment_rows_by_document(tmp_path / "none")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 50])
def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path, caplog, content):
    for i in range(3):
        write_table(SEGMENT_SCHEMA.empty_table(), tmp_path / f"{i}.parquet")
    (tmp_path / "1.parquet").write_bytes(content)
    assert list_readable_tables(tmp_path, SEGMENT_SCHEMA) == {"0.parquet", "2.parquet"}
    assert f"{tmp_path / '1.parquet'}: expected a Parquet file" in caplog.text


def test_a_page_whose_checksum_is_wrong_is_refused(tmp_path):
    rows = [{"doc_id": f"{i}", "start": 0, "end": 1, "gated": True, "passes": 0, "error": None} for i in range(2000)]
    write_table(pa.Table.from_pylist(rows, schema=SEGMENT_SCHEMA), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[200] ^= 1
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: expected a Parquet file, found: .*CRC"):
        read_table(tmp_path / "a.parquet", SEGMENT_SCHEMA)
