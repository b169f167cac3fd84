"""JSON lines: a line a document, with its entities by offsets in code points.

Many documents lie in a file, as readers of the format stream; but not all in one, so that an export that was
interrupted goes on where it stopped. `cat` makes one of them.
"""

from rayner.corpus.exports.shape import SHARD, Choices, Format, each, json_line, short
from rayner.corpus.tables import TaggedDocument


def _render(document: TaggedDocument, choices: Choices) -> str:
    entities = [
        {
            "start": row["start"],
            "end": row["end"],
            "type": row["type"],
            "score": short(row["score"]),
            "decided_by": row["decided_by"],
        }
        for row in document.entities
    ]
    return json_line({"doc_id": document.doc_id, "text": document.text, "entities": entities}) + "\n"


JSONL = Format({".jsonl": each(_render)}, shard=SHARD)
