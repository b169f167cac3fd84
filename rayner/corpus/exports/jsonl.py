"""JSON lines format: a line for each document, with the entities and their offsets in code points.

A file contains many documents, because programs read the format as a stream. It does not contain all documents, so that
an interrupted export can be resumed. `cat` joins the files.
"""

from rayner.corpus.exports.export_format import (
    CHARS_PER_FILE,
    ExportFormat,
    ExportOptions,
    format_json_without_line_breaks,
    make_text_writer,
    shorten_float32,
)
from rayner.corpus.tables import TaggedDocument


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    entities = [
        {
            "start": entity["start"],
            "end": entity["end"],
            "type": entity["type"],
            "score": shorten_float32(entity["score"]),
            "decided_by": entity["decided_by"],
        }
        for entity in document.entities
    ]
    return (
        format_json_without_line_breaks({"doc_id": document.doc_id, "text": document.text, "entities": entities}) + "\n"
    )


JSONL = ExportFormat({".jsonl": make_text_writer(_render)}, chars_per_file=CHARS_PER_FILE)
