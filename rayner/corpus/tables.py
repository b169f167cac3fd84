"""The tagged corpus as Parquet tables, which every exporter, report and site reads.

    OUT/documents/*.parquet  OUT/entities/*.parquet  OUT/segments/*.parquet  OUT/units/*.json

The folders contain files with the same names, one file for each unit of work. The files sorted by name are in corpus
order. `units` holds the digests of the other files (`unit_records.py`). A file is read only if it has the recorded
digest, so damage is never passed on. A long document may extend over several files: its row in `documents` is in the
first of these files, and its entities and segments may continue in the next files. All offsets count code points in
the document's unchanged text; `start` is included, `end` is not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

import pyarrow as pa

from rayner.corpus.parquet_files import read_bytes_with_digest, read_table
from rayner.corpus.text_files import format_similar_name_hint
from rayner.corpus.unit_records import RECORD_FOLDER, UnitCounts, UnitRecord, read_unit_record
from rayner.errors import DataError
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath, list_file_names
from rayner.text.finite_predictions import is_not_finite_reason
from rayner.text.messages import shorten_repr

TABLE_NAMES = ("documents", "entities", "segments")
REPLACED_TABLE = "replaced"  # entities that corrections replaced; only units with such entities have a file
PERSON = "person"  # in the column `decided_by`: an entity of `corrections.jsonl`


def _required(name: str, data_type: pa.DataType) -> pa.Field:
    return pa.field(name, data_type, nullable=False)


DOCUMENT_SCHEMA = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("path", pa.string()),
        _required("text", pa.large_string()),
        _required("sha256", pa.string()),  # of the file, hexadecimal: of the text in its encoding
        _required("n_chars", pa.int64()),
        pa.field("encoding", pa.string()),  # of the file; null, in tables of earlier versions, is UTF-8
    ]
)
OPTIONAL_COLUMNS = ("encoding",)  # that tables of earlier versions do not have
ENTITY_SCHEMA = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("start", pa.int64()),
        _required("end", pa.int64()),
        _required("text", pa.string()),
        _required("type", pa.string()),
        pa.field("score", pa.float32()),  # calibrated probability; null if no calibration was fitted
        _required("decided_by", pa.string()),  # agree, slm, llm or person
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


def book_of(doc_id: str) -> str:
    """Return the book of a document: its doc_id up to the last `/`, or nothing if it has none."""
    return doc_id.rpartition("/")[0]


def find_tagged_folder(folder: StoragePath) -> StoragePath:
    """Return the folder of a tagged corpus: `folder` itself or, if it is a run folder, the folder `tagged` in it."""
    if (folder / "documents").is_dir() or not (folder / "tagged").is_dir():
        return folder
    return folder / "tagged"


def require_tables(tagged: StoragePath) -> None:
    """Raise DataError if a folder does not hold the tables of a tagged corpus."""
    for table in TABLE_NAMES:
        if (tagged / table).is_dir():
            continue
        found = f"no {table}"
        if not tagged.exists():
            found = f"nothing of that name{format_similar_name_hint(tagged)}"
        elif (tagged / "steps").is_dir() and (tagged / "data").is_dir():
            found += ": it is a run folder without a tagged corpus; tag one, or name the folder that was out="
        raise DataError(f"{tagged}: expected a tagged corpus (folders {', '.join(TABLE_NAMES)}), found {found}")


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


def read_unit_tables(
    tagged: StoragePath, unit: str, schemas: Mapping[str, pa.Schema], record: UnitRecord | None
) -> dict[str, pa.Table]:
    """Read the files of a unit in some tables. Check all its files, so that no part of a damaged corpus is passed on.

    Args:
        tagged: The folder of the tagged corpus.
        unit: The name of the unit.
        schemas: The columns to read, by table.
        record: The record of the unit, with the digests. If None, nothing is checked.

    Raises DataError and JobError as `read_table` does.

    """
    tables = {}
    has_replaced = record is not None and REPLACED_TABLE in record.files
    for table in (*TABLE_NAMES, REPLACED_TABLE) if has_replaced else TABLE_NAMES:
        path = tagged / table / f"{unit}.parquet"
        sha256 = None if record is None else record.files.get(table, "")
        if table in schemas:
            tables[table] = read_table(path, schemas[table], sha256, optional=OPTIONAL_COLUMNS)
        elif sha256 is not None:
            read_bytes_with_digest(path, sha256)
    return tables


def count_unit_rows(segments: Sequence[SegmentRow], entities: Sequence[EntityRow]) -> UnitCounts:
    """Return the counts of a unit, from its rows in the tables."""
    return UnitCounts(
        segments=len(segments),
        characters=sum(row["end"] - row["start"] for row in segments),
        gated=sum(row["gated"] for row in segments),
        set_aside=sum(row["error"] is not None for row in segments),
        passes=sum(row["passes"] for row in segments),
        decided_by=count_entities_by_decider(entities),
        not_finite=sum(is_not_finite_reason(row["error"]) for row in segments),
    )


def count_entities_by_decider(entities: Sequence[EntityRow]) -> dict[str, int]:
    """Return the number of entities for each value of `decided_by`."""
    return dict(sorted(Counter(row["decided_by"] for row in entities).items()))


def _check_and_list_units(tagged: StoragePath) -> list[str]:
    """Return the names of the units, in corpus order.

    Raises DataError if a folder is missing, if there are no files, or if a file is missing in one of the folders.
    """
    require_tables(tagged)
    names = {table: set(list_file_names(tagged / table, "", ".parquet")) for table in TABLE_NAMES}
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
    # A corpus without any records was not written by this version.
    has_records = (tagged / RECORD_FOLDER).is_dir()
    for unit in units:
        record = read_unit_record(tagged, unit) if has_records else None
        tables = read_unit_tables(tagged, unit, {table: schema, "documents": document_schema}, record)
        rows = _group_by_document(tables[table])
        if current is not None:
            current[1].extend(rows.pop(current[0]["doc_id"], []))
        for document in tables["documents"].to_pylist():
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
