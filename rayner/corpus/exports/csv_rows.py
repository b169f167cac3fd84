"""CSV: a row an entity, with the text to its left and right, as RFC 4180 has it.

Many documents lie in a file, as people sort and filter over all of them; but no more than a spreadsheet takes.
"""

import csv
import io
from collections.abc import Iterable
from typing import BinaryIO

from rayner.corpus.exports.export_format import CHARS_PER_FILE, ExportFormat, ExportOptions, shorten_float32
from rayner.corpus.tables import TaggedDocument

COLUMNS = ("doc_id", "start", "end", "type", "text", "score", "decided_by", "left", "right")
CONTEXT_CHARS = 20  # characters to each side


def _write(stream: BinaryIO, documents: Iterable[TaggedDocument], choices: ExportOptions) -> None:
    text = io.TextIOWrapper(stream, "utf-8-sig" if choices.bom else "utf-8", newline="", write_through=True)
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for document in documents:
        whole = document.text
        for row in document.entities:
            start, end = row["start"], row["end"]
            context = whole[max(0, start - CONTEXT_CHARS) : start], whole[end : end + CONTEXT_CHARS]
            score = shorten_float32(row["score"])
            rows.writerow((document.doc_id, start, end, row["type"], row["text"], score, row["decided_by"], *context))
    text.detach()  # the stream is not ours to close


CSV = ExportFormat(
    {".csv": _write},
    chars_per_file=CHARS_PER_FILE,
    count_exported=lambda document: (0, len(document.entities)),
    options=("bom",),
)
