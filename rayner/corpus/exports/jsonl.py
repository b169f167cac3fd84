"""JSON lines: a line a document, with its entities by offsets in code points.

Many documents lie in a file, as readers of the format stream; but not all in one, so that an export that was
interrupted goes on where it stopped. `cat` makes one of them.
"""

from rayner.corpus.exports.export_format import (
    CHARS_PER_FILE,
    ExportFormat,
    ExportOptions,
    format_json_line,
    make_text_writer,
    shorten_float32,
)
from rayner.corpus.tables import TaggedDocument


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    entities = [
        {
            "start": row["start"],
            "end": row["end"],
            "type": row["type"],
            "score": shorten_float32(row["score"]),
            "decided_by": row["decided_by"],
        }
        for row in document.entities
    ]
    return format_json_line({"doc_id": document.doc_id, "text": document.text, "entities": entities}) + "\n"


JSONL = ExportFormat({".jsonl": make_text_writer(_render)}, chars_per_file=CHARS_PER_FILE)
