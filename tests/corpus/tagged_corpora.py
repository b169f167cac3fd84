"""Small tagged corpora to read from."""

import hashlib

import pyarrow as pa

from rayner.corpus.parquet_files import write_table
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, TABLE_NAMES

SCHEMAS = dict(zip(TABLE_NAMES, (DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA), strict=True))


def document(doc_id, text):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"doc_id": doc_id, "path": f"in/{doc_id}.txt", "text": text, "sha256": digest, "n_chars": len(text)}


def entity(doc_id, start, text, entity_type="NR"):
    row = dict.fromkeys(ENTITY_SCHEMA.names)
    return row | {
        "doc_id": doc_id,
        "start": start,
        "end": start + len(text),
        "text": text,
        "type": entity_type,
        "decided_by": "slm",
    }


def write_unit(tagged, name, documents=(), entities=(), segments=()):
    for table, rows in zip(TABLE_NAMES, (documents, entities, segments), strict=True):
        write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[table]), tagged / table / name)
