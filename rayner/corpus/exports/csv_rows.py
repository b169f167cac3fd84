"""CSV format (RFC 4180): a row for each entity, with the text to its left and right.

In the text to the left and right, a sign stands for each line break, so that a row is one line unless a name itself
holds a line break.

A file contains many documents, so that users can sort and filter all of them. The size is limited so that a spreadsheet
can open the file.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import BinaryIO

from rayner.corpus.exports.export_format import CHARS_PER_FILE, ExportFormat, ExportOptions, shorten_float32
from rayner.corpus.tables import TaggedDocument

_COLUMNS = ("doc_id", "start", "end", "type", "text", "score", "decided_by", "left", "right")
_CONTEXT_CHARS = 20  # characters on each side
_LINE_BREAK, _LINE_BREAK_SIGN = re.compile("\r\n|[\n-\r\x1c-\x1e\x85\u2028\u2029]"), "↵"


def _write_entity_rows(stream: BinaryIO, documents: Iterable[TaggedDocument], options: ExportOptions) -> None:
    encoding = "utf-8-sig" if options.bom else "utf-8"
    text_stream = io.TextIOWrapper(stream, encoding, newline="", write_through=True)
    rows = csv.writer(text_stream)
    rows.writerow(_COLUMNS)
    for document in documents:
        text = document.text
        for entity in document.entities:
            start, end = entity["start"], entity["end"]
            left = _show_line_breaks(text[max(0, start - _CONTEXT_CHARS) : start])
            right = _show_line_breaks(text[end : end + _CONTEXT_CHARS])
            score = shorten_float32(entity["score"])
            rows.writerow(
                (document.doc_id, start, end, entity["type"], entity["text"], score, entity["decided_by"], left, right)
            )
    text_stream.detach()  # otherwise the caller's stream would be closed


def _show_line_breaks(text: str) -> str:
    return _LINE_BREAK.sub(_LINE_BREAK_SIGN, text)


CSV = ExportFormat(
    {".csv": _write_entity_rows},
    chars_per_file=CHARS_PER_FILE,
    count_exported=lambda document: (0, len(document.entities)),
    options=("bom",),
)
