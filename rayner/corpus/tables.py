"""The canonical tagged corpus as Parquet: what every exporter and page reads.

    OUT/documents/*.parquet  OUT/entities/*.parquet  OUT/segments/*.parquet

The three folders hold files of the same names; sorted by name they are in corpus order. A document's row is in the
file where it begins; the entities and segments of a long one may go on over the files that follow. All offsets are
code points, half-open, into the document's unchanged text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.errors import DataError
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names

TABLE_NAMES = ("documents", "entities", "segments")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


DOCUMENT_SCHEMA = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("path", pa.string()),
        _required("text", pa.large_string()),
        _required("sha256", pa.string()),  # of the text in UTF-8, hexadecimal
        _required("n_chars", pa.int64()),
    ]
)
ENTITY_SCHEMA = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("start", pa.int64()),
        _required("end", pa.int64()),
        _required("text", pa.string()),
        _required("type", pa.string()),
        pa.field("score", pa.float32()),  # calibrated; null where nothing is known to calibrate by
        _required("decided_by", pa.string()),  # agree, slm or llm
        pa.field("slm_type", pa.string()),
        pa.field("slm_entropy", pa.float32()),  # nats
        pa.field("llm_type", pa.string()),
        pa.field("llm_category_prob", pa.float32()),
        pa.field("llm_boundary_prob", pa.float32()),
    ]
)
SEGMENT_SCHEMA = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("start", pa.int64()),
        _required("end", pa.int64()),
        _required("gated", pa.bool_()),  # the LLM was skipped
        _required("passes", pa.int32()),  # forward passes of the LLM
        pa.field("error", pa.string()),  # why the segment was set aside, else null
    ]
)


@dataclass(frozen=True)
class TaggedDocument:
    """A document of a tagged corpus; its entities are rows of ENTITIES, in order of start, free of overlaps."""

    doc_id: str
    path: str
    text: str
    entities: list[dict[str, Any]]


def write_table(table: pa.Table, path: StoragePath) -> None:
    """Write Parquet so that `path` is either whole or not there; folders above it are made.

    Raises OSError, and pyarrow.ArrowException for a null where the table's schema forbids it.
    """
    with atomic_writer(path) as stream:
        pq.write_table(table, stream, compression="zstd")


def read_table(path: StoragePath, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` of a Parquet file. Raises DataError, naming the file, if it is not such a table."""
    try:
        # Not pq.read_table, which makes columns of folders named `a=b`.
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            missing = [name for name in schema.names if name not in file.schema_arrow.names]
            table = file.read(columns=[name for name in schema.names if name not in missing])
        table.validate(full=True)  # text that is not UTF-8, in a damaged file
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file, found: {str(error).partition(chr(10))[0]}") from None
    if missing:
        raise DataError(f"{path}: expected a column {missing[0]}, found none")
    for name in schema.names:
        expected, found = schema.field(name).type, table.schema.field(name).type
        if found != expected:
            raise DataError(f"{path}: expected column {name} to be {expected}, found {found}")
    return table.select(schema.names)


def iter_documents(tagged: StoragePath) -> Iterator[TaggedDocument]:
    """The documents of a tagged corpus, in order, with one file and one document in memory at a time.

    Raises DataError at once if the folder is not a tagged corpus, and on the way if its tables contradict each other.
    """
    return _join_documents(tagged, _unit_names(tagged))


def _unit_names(tagged: StoragePath) -> list[str]:
    """The file names that the three folders share, in corpus order."""
    names = {}
    for table in TABLE_NAMES:
        if not (tagged / table).is_dir():
            raise DataError(f"{tagged}: expected a tagged corpus (folders {', '.join(TABLE_NAMES)}), found no {table}")
        names[table] = set(list_file_names(tagged / table, "", ".parquet"))
    every = sorted(set().union(*names.values()))
    if not every:
        raise DataError(f"{tagged}: expected a tagged corpus, found no Parquet files in it")
    for name in every:
        for table in TABLE_NAMES:
            if name not in names[table]:
                raise DataError(f"{tagged / table / name}: expected a file, as its counterparts exist, found none")
    return every


def _join_documents(tagged: StoragePath, names: Sequence[str]) -> Iterator[TaggedDocument]:
    under_way: TaggedDocument | None = None  # the last document begun: its entities may go on in the next file
    for name in names:
        entities = _group_by_document(read_table(tagged / "entities" / name, ENTITY_SCHEMA))
        if under_way is not None:
            under_way.entities.extend(entities.pop(under_way.doc_id, []))
        for row in read_table(tagged / "documents" / name, DOCUMENT_SCHEMA).to_pylist():
            if under_way is not None:
                yield _check_entities(under_way, tagged)
            doc_id = row["doc_id"]
            under_way = TaggedDocument(doc_id, row["path"], row["text"], entities.pop(doc_id, []))
        _check_all_rows_used(entities, tagged / "entities" / name)
    if under_way is not None:
        yield _check_entities(under_way, tagged)


def _group_by_document(rows: pa.Table) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        out.setdefault(row["doc_id"], []).append(row)
    return out


def _check_entities(document: TaggedDocument, tagged: StoragePath) -> TaggedDocument:
    """The document with its entities in order. Raises DataError if they overlap or are not what its text holds."""
    rows = sorted(document.entities, key=lambda row: (row["start"], row["end"]))
    where = f"{tagged}: document {document.doc_id!r}"
    for row in rows:
        start, end = row["start"], row["end"]
        held = document.text[start:end] if 0 <= start < end else ""
        if not held or held != row["text"]:
            raise DataError(f"{where}: expected entity {row['text']!r} at [{start}, {end}), found {held!r}")
    for a, b in pairwise(rows):
        if b["start"] < a["end"]:
            places = f"[{a['start']}, {a['end']}) and [{b['start']}, {b['end']})"
            raise DataError(f"{where}: expected entities without overlaps, found {places}")
    document.entities[:] = rows
    return document


def iter_segment_rows(tagged: StoragePath) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """For each document, in the order of `iter_documents`: its doc_id and its rows of SEGMENTS, which may be none.

    Raises DataError as `iter_documents` does.
    """
    return _join_segments(tagged, _unit_names(tagged))


def _join_segments(tagged: StoragePath, names: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    only_id = pa.schema([DOCUMENT_SCHEMA.field("doc_id")])
    under_way: tuple[str, list[dict[str, Any]]] | None = None  # as in `_stream`
    for name in names:
        segments = _group_by_document(read_table(tagged / "segments" / name, SEGMENT_SCHEMA))
        if under_way is not None:
            under_way[1].extend(segments.pop(under_way[0], []))
        for doc_id in read_table(tagged / "documents" / name, only_id)["doc_id"].to_pylist():
            if under_way is not None:
                yield under_way
            under_way = doc_id, segments.pop(doc_id, [])
        _check_all_rows_used(segments, tagged / "segments" / name)
    if under_way is not None:
        yield under_way


def _check_all_rows_used(rows: dict[str, list[dict[str, Any]]], path: StoragePath) -> None:
    """Raise DataError if a table has rows left that belong to no document under way."""
    if rows:
        found = f"{path.parent.name} of {next(iter(rows))!r}, which neither begins here nor goes on from before"
        raise DataError(f"{path}: expected {path.parent.name} of its documents, found {found}")
