"""The tagged corpus as Parquet tables, which every exporter, report and site reads.

    OUT/documents/*.parquet  OUT/entities/*.parquet  OUT/segments/*.parquet  OUT/units/*.json

The folders contain files with the same names, one file for each unit of work. The files sorted by name are in corpus
order. `units` holds the digests of the other files (`unit_records.py`). A file is read only if it has the recorded
digest, so damage is never passed on. A long document may extend over several files: its row in `documents` is in the
first of these files, and its entities and segments may continue in the next files. All offsets count code points in
the document's unchanged text; `start` is included, `end` is not.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.corpus.unit_records import RECORD_FOLDER, read_unit_record
from rayner.errors import DataError, JobError
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names
from rayner.text.messages import shorten_repr

TABLE_NAMES = ("documents", "entities", "segments")


def _required(name: str, data_type: pa.DataType) -> pa.Field:
    return pa.field(name, data_type, nullable=False)


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
        pa.field("score", pa.float32()),  # calibrated probability; null if no calibration was fitted
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
        _required("gated", pa.bool_()),  # the gate decided not to ask the LLM
        _required("passes", pa.int32()),  # forward passes of the LLM
        pa.field("error", pa.string()),  # why the segment failed, else null
    ]
)


class EntityRow(TypedDict):
    """A row of the table `entities`; see `ENTITY_SCHEMA`."""

    doc_id: str
    start: int
    end: int
    text: str
    type: str
    score: float | None
    decided_by: str
    slm_type: str | None
    slm_entropy: float | None
    llm_type: str | None
    llm_category_prob: float | None
    llm_boundary_prob: float | None


class SegmentRow(TypedDict):
    """A row of the table `segments`; see `SEGMENT_SCHEMA`."""

    doc_id: str
    start: int
    end: int
    gated: bool
    passes: int
    error: str | None


@dataclass(frozen=True)
class TaggedDocument:
    """A document of a tagged corpus. Its entities are sorted by start and do not overlap."""

    doc_id: str
    path: str
    text: str
    entities: list[EntityRow]


def write_table(table: pa.Table, path: StoragePath) -> str:
    """Write a Parquet file atomically and return the SHA-256 of its bytes. Create its folder if necessary.

    Raises OSError, or pyarrow.ArrowException if the table has a null where its schema forbids nulls.
    """
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    content = buffer.getvalue()
    with atomic_writer(path) as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def read_table(path: StoragePath, schema: pa.Schema, sha256: str | None = None) -> pa.Table:
    """Read the columns of `schema` from a Parquet file.

    Args:
        path: The file.
        schema: The columns to read.
        sha256: The SHA-256 that the file must have; None if it is not known.

    Raises:
        DataError: The message names the file. It is missing or has another digest, or a column is missing or has
            another type.
        JobError: The file cannot be read now, which says nothing about its content.

    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{path}: expected a Parquet file, found: {error.strerror or error}") from None
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror or error}; try again") from None
    if sha256 is not None:
        _require_digest(path, content, sha256)
    try:
        # pq.read_table would add a column for each folder in the path that is named like `a=b`.
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            missing = [name for name in schema.names if name not in file.schema_arrow.names]
            table = file.read(columns=[name for name in schema.names if name not in missing])
        table.validate(full=True)  # finds text that is not UTF-8, in a damaged file
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file, found: {str(error).partition(chr(10))[0]}") from None
    if missing:
        raise DataError(f"{path}: expected a column {missing[0]}, found none")
    for name in schema.names:
        expected, found = schema.field(name).type, table.schema.field(name).type
        if found != expected:
            raise DataError(f"{path}: expected column {name} to be {expected}, found {found}")
    return table.select(schema.names)


def list_readable_tables(folder: StoragePath, schema: pa.Schema) -> set[str]:
    """Return the names of the Parquet files in a folder that can be read. The log names the others."""
    names = set()
    for name in list_file_names(folder, "", ".parquet"):
        try:
            read_table(folder / name, schema)
        except DataError as error:
            log.warning("%s: it is written again", error)
        else:
            names.add(name)
    return names


def iter_documents(tagged: StoragePath) -> Iterator[TaggedDocument]:
    """Read the documents of a tagged corpus in order. Only one file and one document are in memory at a time.

    Raises DataError immediately if the folder is not a tagged corpus, and during iteration if its tables are
    inconsistent.
    """
    documents = _join_rows_to_documents(
        tagged, "entities", ENTITY_SCHEMA, DOCUMENT_SCHEMA, _check_and_list_units(tagged)
    )
    return (
        _sort_and_check_entities(TaggedDocument(row["doc_id"], row["path"], row["text"], entities), tagged)
        for row, entities in documents
    )


def iter_segment_rows_by_document(tagged: StoragePath) -> Iterator[tuple[str, list[SegmentRow]]]:
    """Read the doc_id and the segments of each document, in the same order as `iter_documents`.

    An empty document has no segments. Raises DataError in the same cases as `iter_documents`.
    """
    only_id = pa.schema([DOCUMENT_SCHEMA.field("doc_id")])
    documents = _join_rows_to_documents(tagged, "segments", SEGMENT_SCHEMA, only_id, _check_and_list_units(tagged))
    return ((row["doc_id"], segments) for row, segments in documents)


def read_unit_table(tagged: StoragePath, table: str, unit: str, schema: pa.Schema) -> pa.Table:
    """Read the file of a unit in a table, and check its digest.

    Raises DataError as `read_table` does, and if the record of the unit is missing or damaged. A corpus without any
    records was not written by this version: its files are read unchecked.
    """
    has_records = (tagged / RECORD_FOLDER).is_dir()
    sha256 = read_unit_record(tagged, unit).files.get(table, "") if has_records else None
    return read_table(tagged / table / f"{unit}.parquet", schema, sha256)


def _check_digests(tagged: StoragePath, unit: str, tables: Iterable[str]) -> None:
    """Check the files of a unit in tables that are not read, so that no part of a damaged corpus is passed on.

    Raises DataError, which names the file, if it has another digest than the recorded one.
    """
    if not (tagged / RECORD_FOLDER).is_dir():
        return
    files = read_unit_record(tagged, unit).files
    for table in tables:
        path = tagged / table / f"{unit}.parquet"
        _require_digest(path, path.read_bytes(), files.get(table, ""))


def _require_digest(path: StoragePath, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{path}: expected the file that was written, found another content: it was damaged or changed. Run the "
            "tagging job again to restore it"
        )


def _check_and_list_units(tagged: StoragePath) -> list[str]:
    """Return the names of the units, in corpus order.

    Raises DataError if a folder is missing, if there are no files, or if a file is missing in one of the folders.
    """
    names = {}
    for table in TABLE_NAMES:
        if not (tagged / table).is_dir():
            raise DataError(f"{tagged}: expected a tagged corpus (folders {', '.join(TABLE_NAMES)}), found no {table}")
        names[table] = set(list_file_names(tagged / table, "", ".parquet"))
    all_names = sorted(set().union(*names.values()))
    if not all_names:
        raise DataError(f"{tagged}: expected a tagged corpus, found no Parquet files in it")
    for name in all_names:
        for table in TABLE_NAMES:
            if name not in names[table]:
                raise DataError(f"{tagged / table / name}: expected a file, as its counterparts exist, found none")
    if not (tagged / RECORD_FOLDER).is_dir():
        log.warning(
            "%s: expected digests in %s, found none: damage to the tables would not be noticed", tagged, RECORD_FOLDER
        )
    return [name.removesuffix(".parquet") for name in all_names]


def _join_rows_to_documents(
    tagged: StoragePath, table: str, schema: pa.Schema, document_schema: pa.Schema, units: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield the row of each document together with the document's rows in another table.

    A row of the other table must belong to a document that begins in the same file, or to the last document of the
    previous file. Otherwise, DataError is raised.
    """
    current: tuple[dict[str, Any], list[Any]] | None = None  # its rows may continue in the next file
    for unit in units:
        _check_digests(tagged, unit, set(TABLE_NAMES) - {table, "documents"})
        rows = _group_by_document(read_unit_table(tagged, table, unit, schema))
        if current is not None:
            current[1].extend(rows.pop(current[0]["doc_id"], []))
        for document in read_unit_table(tagged, "documents", unit, document_schema).to_pylist():
            if current is not None:
                yield current
            current = document, rows.pop(document["doc_id"], [])
        if rows:
            raise DataError(
                f"{tagged / table / unit}.parquet: expected {table} of its documents, found {table} of "
                f"{shorten_repr(next(iter(rows)))}, which neither begins here nor goes on from before"
            )
    if current is not None:
        yield current


def _group_by_document(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault(row["doc_id"], []).append(row)
    return groups


def _sort_and_check_entities(document: TaggedDocument, tagged: StoragePath) -> TaggedDocument:
    """Sort the entities of a document. Raises DataError if they overlap or do not match the document's text."""
    entities = sorted(document.entities, key=lambda entity: (entity["start"], entity["end"]))
    where = f"{tagged}: document {shorten_repr(document.doc_id)}"
    for entity in entities:
        start, end = entity["start"], entity["end"]
        text = document.text[start:end] if 0 <= start < end else ""
        if not text or text != entity["text"]:
            raise DataError(
                f"{where}: expected entity {shorten_repr(entity['text'])} at [{start}, {end}), "
                f"found {shorten_repr(text)}"
            )
    for a, b in pairwise(entities):
        if b["start"] < a["end"]:
            places = f"[{a['start']}, {a['end']}) and [{b['start']}, {b['end']})"
            raise DataError(f"{where}: expected entities without overlaps, found {places}")
    document.entities[:] = entities
    return document
