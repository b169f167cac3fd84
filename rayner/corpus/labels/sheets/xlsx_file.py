"""Read a spreadsheet in XLSX (Office Open XML): the cells of its first sheet that has labels, as text.

An XLSX file is a ZIP archive of XML files. Only four kinds of them are read: the list of sheets and of their files, the
strings that cells share, and the cells.
"""

import re
from collections.abc import Mapping
from posixpath import join, normpath

from rayner.corpus.labels.labelled_texts import LabelledTexts
from rayner.corpus.labels.sheets.rows import HEADER_HELP, SheetRow, find_columns, read_rows
from rayner.corpus.labels.xml_events import XmlHandler, parse_xml
from rayner.corpus.labels.zip_archive import ZipArchiveError, list_archive, read_archived_file
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

WORKBOOK, _SHARED_STRINGS = "xl/workbook.xml", "xl/sharedStrings.xml"
MAX_PART_BYTES = 256 * 2**20  # of an unpacked XML file; a small archive may unpack to any size
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # Excel writes control characters and a literal `_x000D_` so
_MAX_COLUMNS = 16_384  # of Excel; a wrong reference must not make a row of millions of cells


def read_xlsx(path: str, data: bytes) -> LabelledTexts:
    """Read the sheet whose first row names the columns. Raises DataError if there is none, or more than one."""
    archive = _Archive(path, data)
    strings = _SharedStrings()
    if _SHARED_STRINGS in archive.names:
        archive.parse(_SHARED_STRINGS, strings)
    sheets = {name: _read_sheet(archive, name, part, strings.strings) for name, part in _list_sheets(archive)}
    headers = {name: find_columns(rows[0]) for name, rows in sheets.items() if rows}
    labelled = {name: columns for name, columns in headers.items() if columns}
    if not labelled:
        rows = next((rows for rows in sheets.values() if rows), None)
        found = ", ".join(map(shorten_repr, rows[0].cells[:8])) if rows else "no cells"
        raise DataError(f"{path}: expected in a sheet {HEADER_HELP}, found {found}")
    if len(labelled) > 1:
        raise DataError(f"{path}: expected one sheet with labels, found {', '.join(labelled)}; put them into one")
    [(name, columns)] = labelled.items()
    header, *rows = sheets[name]
    return read_rows(columns, header, rows, f"a spreadsheet (XLSX, sheet {name})")


class _Archive:
    """The XML files of a spreadsheet."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self._data = path, data
        try:
            self.names = list_archive(data)
        except ZipArchiveError as error:
            raise self._build_error(error) from None

    def parse(self, name: str, handler: XmlHandler) -> None:
        """Read an XML file. Raises DataError if it is missing, too large or faulty."""
        try:
            content = read_archived_file(self._data, name, MAX_PART_BYTES)
        except ZipArchiveError as error:
            raise self._build_error(error) from None
        parse_xml(content, f"{self.path}: {name}", handler)

    def _build_error(self, error: ZipArchiveError) -> DataError:
        return DataError(
            f"{self.path}: expected a spreadsheet (XLSX), found {error}; save it again, without a password, or as CSV"
        )


def _list_sheets(archive: _Archive) -> list[tuple[str, str]]:
    """Return the name and the XML file of each sheet, in order."""
    relations, sheets = _ElementAttributes("Relationship"), _ElementAttributes("sheet")
    archive.parse("xl/_rels/workbook.xml.rels", relations)
    archive.parse(WORKBOOK, sheets)
    relation_by_id = {relation.get("Id", ""): relation for relation in relations.found}
    parts = []
    for sheet in sheets.found:
        name, relation = sheet.get("name", ""), relation_by_id.get(sheet.get("id", ""))
        if relation is None:
            raise DataError(
                f"{archive.path}: expected the file of the sheet {name}, found none; save the spreadsheet again"
            )
        if relation.get("Type", "").endswith("/worksheet"):  # and not a sheet with a chart alone
            parts.append((name, normpath(join("/xl", relation.get("Target", ""))).lstrip("/")))
    return parts


def _read_sheet(archive: _Archive, name: str, part: str, strings: list[str]) -> list[SheetRow]:
    """Return the rows that have content. All have as many cells as the first of them, at least."""
    handler = _Sheet(strings, f"{archive.path}: sheet {name}")
    archive.parse(part, handler)
    numbers = [number for number, cells in handler.rows.items() if any(cell.strip() for cell in cells.values())]
    if not numbers:
        return []
    width = max(column for column, cell in handler.rows[numbers[0]].items() if cell.strip()) + 1
    rows = []
    for number in numbers:
        cells = handler.rows[number]
        row_width = max(width, 1 + max(column for column, cell in cells.items() if cell.strip()))
        location = f"{archive.path}: sheet {name}, row {number}"
        rows.append(SheetRow(location, [cells.get(column, "") for column in range(row_width)]))
    return rows


def _unescape(text: str) -> str:
    """Return a cell's text, in which Excel writes some characters as `_xHHHH_`."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


class _ElementAttributes:
    """The attributes of all elements of one name, in order."""

    def __init__(self, name: str) -> None:
        self.found: list[Mapping[str, str]] = []
        self._name = name

    def start_element(self, name: str, attributes: Mapping[str, str], location: str) -> None:
        if name == self._name:
            self.found.append(attributes)

    def end_element(self, name: str) -> None:
        pass

    def add_text(self, chars: str) -> None:
        pass


class _TextElements:
    """The text inside elements of some names. The reading aids of Japanese (`rPh`) are no text of a cell."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._pieces: list[str] = []
        self._is_taken = self._is_phonetic = False

    def start_element(self, name: str) -> None:
        self._is_phonetic = self._is_phonetic or name == "rPh"
        self._is_taken = name in self._names and not self._is_phonetic

    def end_element(self, name: str) -> None:
        self._is_phonetic = self._is_phonetic and name != "rPh"
        self._is_taken = False

    def add_text(self, chars: str) -> None:
        if self._is_taken:
            self._pieces.append(chars)

    def clear(self) -> None:
        self._pieces = []

    def join(self) -> str:
        return "".join(self._pieces)


class _SharedStrings:
    """The strings that cells share."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._text = _TextElements("t")
        self.add_text = self._text.add_text

    def start_element(self, name: str, attributes: Mapping[str, str], location: str) -> None:
        if name == "si":
            self._text.clear()
        self._text.start_element(name)

    def end_element(self, name: str) -> None:
        if name == "si":
            self.strings.append(_unescape(self._text.join()))
        self._text.end_element(name)


class _Sheet:
    """The cells of a sheet as text: for each row number, the cells by column (from 0)."""

    def __init__(self, strings: list[str], location: str) -> None:
        self.rows: dict[int, dict[int, str]] = {}
        self._strings, self._location = strings, location
        self._row = self._column = 0
        self._type = ""
        self._text = _TextElements("v", "t")
        self.add_text = self._text.add_text

    def start_element(self, name: str, attributes: Mapping[str, str], location: str) -> None:
        if name == "row":
            self._row = int(attributes["r"]) if attributes.get("r", "").isdecimal() else self._row + 1
            self._column = -1
        elif name == "c":
            self._place_cell(attributes.get("r"))
            self._type = attributes.get("t", "n")
            self._text.clear()
        self._text.start_element(name)

    def end_element(self, name: str) -> None:
        if name == "c":
            self.rows.setdefault(self._row, {})[self._column] = self._read_cell(self._text.join())
        self._text.end_element(name)

    def _place_cell(self, reference: str | None) -> None:
        """Set the row and the column of a cell. Without a reference, it follows the cell before."""
        self._column += 1
        if reference is None:
            return
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise DataError(f"{self._location}: expected cells such as B12, found {reference!r}; save it again")
        column = 0
        for letter in match[1]:
            column = column * 26 + ord(letter) - ord("A") + 1
        if column > _MAX_COLUMNS:
            raise DataError(f"{self._location}: expected at most {_MAX_COLUMNS:,} columns, found {reference}")
        self._row, self._column = int(match[2]), column - 1

    def _read_cell(self, value: str) -> str:
        if self._type == "e":
            raise DataError(f"{self._location}, row {self._row}: expected cells without errors, found {value}")
        if self._type != "s":
            return _unescape(value) if self._type in ("inlineStr", "str") else value
        if not (value.isdecimal() and int(value) < len(self._strings)):
            raise DataError(
                f"{self._location}, row {self._row}: expected a cell with a string of the spreadsheet, found "
                f"{value!r}; save it again"
            )
        return self._strings[int(value)]
