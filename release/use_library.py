"""Use the library as a user's program does: `python use_library.py OUT` writes a gold file and a tagged corpus."""

import hashlib
import sys
from pathlib import Path

import pyarrow as pa

import rayner
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.parquet_files import write_table
from rayner.corpus.tables import DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA, TABLE_NAMES

TEXT = "楚懷王入秦。"
TAGS = ("B-NR", "M-NR", "E-NR", "O", "S-NS", "O")


def main(out: Path) -> None:
    """Write OUT/gold.txt and OUT/tagged, and print the folder of the package."""
    gold = out / "gold.txt"
    gold.write_text("".join(f"{char}\t{tag}\n" for char, tag in zip(TEXT, TAGS, strict=True)), encoding="utf-8")
    document = {"doc_id": "one", "path": "one.txt", "text": TEXT, "n_chars": len(TEXT)}
    segment = {"doc_id": "one", "start": 0, "end": len(TEXT), "gated": False, "passes": 1, "error": None}
    entities = [
        dict.fromkeys(ENTITY_SCHEMA.names)
        | {"doc_id": "one", "start": span.start, "end": span.end, "text": TEXT[span.start : span.end]}
        | {"type": span.type, "score": 0.9, "decided_by": "agree"}
        for span in read_labelled_file(str(gold)).spans
    ]
    tables = ([document | {"sha256": hashlib.sha256(TEXT.encode()).hexdigest()}], entities, [segment])
    for name, schema, rows in zip(TABLE_NAMES, (DOCUMENT_SCHEMA, ENTITY_SCHEMA, SEGMENT_SCHEMA), tables, strict=True):
        write_table(pa.Table.from_pylist(rows, schema=schema), out / "tagged" / name / "0.parquet")
    print(Path(rayner.__file__).parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
