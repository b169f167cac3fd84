"""Name the files that are not read as labelled text, with the way on."""

import re

from rayner.corpus.labels.sheets.xlsx_file import WORKBOOK
from rayner.corpus.labels.zip_archive import ZIP_SIGNATURE, ZipArchiveError, list_archive
from rayner.errors import DataError

_AS_MARKUP = "plain text with markup such as <NR>屈原</NR>"
_AS_CONLL = "export CoNLL columns from INCEpTION (CoNLL 2002 or 2003)"
_AS_SHEET_OR_TEXT = "save a spreadsheet as .xlsx or CSV, a text as plain text"
# The first bytes of a file, what it looks like, and the way on.
_BINARY_FORMATS = (
    (b"%PDF", "a PDF document", "save its text as plain text and label that"),
    (b"{\\rtf", "a Word document (RTF)", f"save it as {_AS_MARKUP}"),
    (b"PAR1", "a Parquet file", "export JSON lines (`--to jsonl`)"),
    (b"\x1f\x8b", "a file packed by gzip", "unpack it: gunzip FILE"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and name the files in it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document (.xls, .doc), or one with a password", _AS_SHEET_OR_TEXT),
)
# A file in a ZIP archive, what the archive looks like, and the way on.
_ARCHIVES = (
    ("word/document.xml", "a Word document", f"save it as {_AS_MARKUP}, or put the labels into a spreadsheet"),
    ("ppt/presentation.xml", "a PowerPoint document", "put the labels into a spreadsheet"),
    ("content.xml", "an OpenDocument file", _AS_SHEET_OR_TEXT),
)
# The beginning of a text, what it looks like, and the way on.
_TEXT_FORMATS = (
    (r"#FORMAT=WebAnno TSV", "WebAnno TSV", _AS_CONLL),
    (
        r"T\d+\t\S+ \d+ \d+(?:;\d+ \d+)*\t",
        "brat's standoff annotations (.ann)",
        "write the text and its entities as JSON lines",
    ),
    (r"(?:<\?xml[^>]*>\s*)?<xmi:XMI", "UIMA CAS (XMI)", _AS_CONLL),
    (r"<div class=\"doc\"", "MARKUS (HTML)", "export TEI from MARKUS, or a spreadsheet with an entity a row"),
    (r"(?:<\?xml[^>]*>\s*)?<ThdlPrototypeExport", "DocuXml of DocuSky", f"write TEI, or {_AS_MARKUP}"),
    (r"\s*(?i:<!doctype html|<html)", "HTML", f"save it as TEI, or as {_AS_MARKUP}"),
    (r"<View>", "the labelling configuration of Label Studio", "export the labelled tasks as JSON"),
    (
        r"(?:#[^\n]*\n)*1\t[^\t\n]+(?:\t[^\t\n]*){8}\n",
        "CoNLL-U",
        "write columns with the token first and its tag last",
    ),
)


def refuse_binary_formats(path: str, data: bytes) -> None:
    """Raise DataError if the file is of a known format that is not text. XLSX is not refused."""
    for beginning, name, remedy in _BINARY_FORMATS:
        if data.startswith(beginning):
            raise _foreign_format_error(path, name, remedy)
    if data.startswith(ZIP_SIGNATURE):
        _refuse_archive(path, data)


def _refuse_archive(path: str, data: bytes) -> None:
    """Raise DataError for a ZIP archive, unless it is a spreadsheet in XLSX."""
    try:
        members = list_archive(data)
    except ZipArchiveError:
        raise _foreign_format_error(path, "a damaged ZIP archive or spreadsheet", "copy or save it again") from None
    if WORKBOOK in members:
        return
    for member, name, remedy in _ARCHIVES:
        if member in members:
            raise _foreign_format_error(path, name, remedy)
    raise _foreign_format_error(path, "a ZIP archive", "unpack it and name the files in it")


def refuse_text_formats(path: str, content: str) -> None:
    """Raise DataError if the text is of a known format that is not read."""
    for beginning, name, remedy in _TEXT_FORMATS:
        if re.match(beginning, content):
            raise _foreign_format_error(path, name, remedy)


def _foreign_format_error(path: str, name: str, remedy: str) -> DataError:
    return DataError(f"{path}: expected labelled text, found what looks like {name}: {remedy}")
