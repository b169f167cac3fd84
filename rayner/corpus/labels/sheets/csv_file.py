"""Read a spreadsheet in CSV (RFC 4180), with commas, semicolons or tabs between the cells."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from rayner.corpus.labels.labelled_texts import BOM, LabelledTexts
from rayner.corpus.labels.sheets.rows import HEADER_HELP, ColumnPositions, SheetRow, find_columns, read_rows
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n")  # Excel writes and reads it before the header


def is_csv_with_header(path: str, content: str) -> bool:
    """Whether the first row names columns that `read_csv` needs."""
    return _find_header(path, content) is not None


def read_csv(path: str, content: str) -> LabelledTexts:
    """Read a CSV file. The header tells the delimiter. Cells with a delimiter or a line break are in double quotes."""
    bom = content.startswith(BOM)
    found = _find_header(path, content)
    if found is None:
        first_line = next(iter(content.removeprefix(BOM).splitlines()), "")
        raise DataError(f"{path}:1: expected {HEADER_HELP}, found {shorten_repr(first_line)}")
    columns, delimiter = found
    header, *rows = _read_rows(path, content, delimiter)
    texts = read_rows(columns, header, rows, f"a spreadsheet (CSV, {_DELIMITERS[delimiter]})")
    return LabelledTexts(texts.texts, texts.read_as, {**texts.faults, "bom": int(bom)})


def _find_header(path: str, content: str) -> tuple[ColumnPositions, str] | None:
    """Return the columns and the delimiter of a file whose first row names the columns, otherwise None."""
    for delimiter in _DELIMITERS:
        try:
            header = _read_rows(path, content, delimiter, 1)
        except DataError:
            continue
        columns = find_columns(header[0]) if header else None
        if columns:
            return columns, delimiter
    return None


def _read_rows(path: str, content: str, delimiter: str, n_rows: int | None = None) -> list[SheetRow]:
    """Return the first rows, or all rows if `n_rows` is None."""
    content = content.removeprefix(BOM)
    separator_line = _SEPARATOR_LINE.match(content)
    n_lines_before = 1 if separator_line else 0
    rows: list[SheetRow] = []
    first_line = 1 + n_lines_before
    with _unlimited_cells(len(content)):
        stream = io.StringIO(content[separator_line.end() :] if separator_line else content, newline="")
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            for cells in islice(reader, n_rows):
                rows.append(SheetRow(f"{path}:{first_line}", cells))
                first_line = reader.line_num + 1 + n_lines_before
        except csv.Error as error:
            raise DataError(
                f"{path}:{first_line}: expected cells of a CSV file, found: {error}; a cell with double quotes needs "
                'quotes around it, and each quote inside it twice ("")'
            ) from None
    return rows


@contextmanager
def _unlimited_cells(n_chars: int) -> Iterator[None]:
    """Let the csv module read a cell as long as the file. Its limit is one for the whole process."""
    limit = csv.field_size_limit()
    csv.field_size_limit(max(n_chars, limit))
    try:
        yield
    finally:
        csv.field_size_limit(limit)
