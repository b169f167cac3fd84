"""Hugging Face dataset format: Parquet files and a README with the columns, for `datasets.load_dataset(folder)`."""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.corpus.exports.export import group_documents
from rayner.corpus.exports.export_format import CHARS_PER_FILE, ExportFormat, ExportOptions
from rayner.corpus.tables import TaggedDocument

_ENTITY_TYPE = pa.struct(
    [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("type", pa.string()),
        ("score", pa.float32()),
        ("decided_by", pa.string()),
    ]
)
SCHEMA = pa.schema([("doc_id", pa.string()), ("text", pa.string()), ("entities", pa.list_(_ENTITY_TYPE))])
_ROW_GROUP_CHARS = 250_000
_FOLDER = "data/"
_DTYPES = {pa.int64(): "int64", pa.string(): "string", pa.float32(): "float32"}


def _write_parquet_file(stream: BinaryIO, documents: Iterable[TaggedDocument], options: ExportOptions) -> None:
    with pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for group in group_documents(iter(documents), _ROW_GROUP_CHARS):
            rows = [{"doc_id": d.doc_id, "text": d.text, "entities": d.entities} for d in group]
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))


def _build_readme(types: Sequence[str]) -> dict[str, bytes]:
    fields = "\n".join(f"    - name: {field.name}\n      dtype: {_DTYPES[field.type]}" for field in _ENTITY_TYPE)
    return {"README.md": _README.format(fields=fields, folder=_FOLDER, types=", ".join(types)).encode()}


_README = """---
language:
- zh
task_categories:
- token-classification
configs:
- config_name: default
  data_files:
  - split: train
    path: {folder}*.parquet
dataset_info:
  features:
  - name: doc_id
    dtype: string
  - name: text
    dtype: string
  - name: entities
    list:
{fields}
---

Documents with named entities, tagged by rayner. Types: {types}.

`start` and `end` count code points of `text`, the end not included. `score` is a calibrated probability, or null;
`decided_by` is `agree`, `slm`, `llm` or `person`.
"""

HF = ExportFormat(
    {".parquet": _write_parquet_file}, chars_per_file=CHARS_PER_FILE, folder=_FOLDER, extra_files=_build_readme
)
