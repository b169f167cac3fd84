"""Find out the layout of a labelled file by its content."""

import re

from rayner.corpus.labels.foreign_formats import refuse_binary_formats, refuse_text_formats
from rayner.corpus.labels.json_records import iter_records
from rayner.corpus.labels.labelled_texts import BOM
from rayner.corpus.labels.sheets.csv_file import is_csv_with_header
from rayner.corpus.labels.sheets.rows import HEADER_HELP
from rayner.corpus.labels.tagged_lines import has_bom_before_char_tag
from rayner.corpus.labels.zip_archive import ZIP_SIGNATURE
from rayner.corpus.text_files import decode_utf8
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

_TAG = r"(?:O|[BMIELSUW]-[^\s<>/&]+)"
_CHAR_TAG_LINE = re.compile(rf"(?s:.)\t{_TAG}")
_COLUMNS_LINE = re.compile(rf"[ \t]*[^ \t]+[ \t](?:.*[ \t])?{_TAG}[ \t]*")
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")
_BEFORE_ROOT = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>)", re.DOTALL)
_TEI_ROOT = re.compile(r"\s*<(?:\w+:)?(?:TEI(?:\.2)?|teiCorpus)\b")
_REMEDY = "docs/labels.md shows each layout; layout= names one"
_XML = re.compile(r"\s*<\?xml\b")
_MARKUP = re.compile(r"<([^<>/&\s]+)>[^<]+</\1>")


def recognise_layout(path: str, data: bytes) -> str:
    """Return the layout of a labelled file (one of `rayner.config.settings.LAYOUTS`).

    Raises:
        DataError: The file has no layout that is read. The message says what it looks like and what to do.

    """
    refuse_binary_formats(path, data)
    if data.startswith(ZIP_SIGNATURE):  # and not refused
        return "xlsx"
    content = decode_utf8(path, data)
    if not content.removeprefix(BOM).strip():
        raise DataError(f"{path}: expected at least one labelled character, found none")
    layout = _recognise_tagged_lines(content[has_bom_before_char_tag(content) :])
    if layout:
        return layout
    content = content.removeprefix(BOM)
    refuse_text_formats(path, content)
    has_markup = bool(_MARKUP.search(content))
    if _JSON.match(content):
        try:
            return _recognise_json(path, content)
        except DataError:
            if not has_markup:
                raise
    if _is_tei(content):
        return "tei"
    if _XML.match(content):
        raise DataError(f"{path}: expected labelled text, found XML that is not TEI: {_REMEDY}")
    if is_csv_with_header(path, content):
        return "csv"
    if has_markup:
        return "markup"
    raise _unknown_layout_error(path, content)


def _recognise_tagged_lines(content: str) -> str | None:
    """Return `evahan` or `conll` if most lines end in a tag, otherwise None."""
    lines = [line for line in content.split("\n") if line.strip("\r")]
    lines = [line.removesuffix("\r") for line in lines]
    n_char_tag = sum(bool(_CHAR_TAG_LINE.fullmatch(line)) for line in lines)
    n_columns = sum(bool(_COLUMNS_LINE.fullmatch(line)) for line in lines)
    if 2 * max(n_char_tag, n_columns) < len(lines):
        return None
    return "evahan" if n_char_tag >= n_columns else "conll"


def _is_tei(content: str) -> bool:
    """Whether the first element of an XML file is one of TEI."""
    position = 0
    while match := _BEFORE_ROOT.match(content, position):
        position = match.end()
    return bool(_TEI_ROOT.match(content, position))


def _recognise_json(path: str, content: str) -> str:
    """Return `label-studio` for a list of tasks, otherwise `jsonl`. Raises DataError if the first record is no JSON."""
    first = next((record for _, record in iter_records(path, content)), None)
    is_task = isinstance(first, dict) and isinstance(first.get("data"), dict)
    return "label-studio" if is_task else "jsonl"


def _unknown_layout_error(path: str, content: str) -> DataError:
    first_line = content.strip().split("\n", 1)[0]
    expected = f"labelled text: tags, JSON, TEI, markup such as <NR>屈原</NR>, or a spreadsheet with {HEADER_HELP}"
    return DataError(f"{path}: expected {expected}; found text that begins {shorten_repr(first_line)}; {_REMEDY}")
