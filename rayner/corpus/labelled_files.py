"""Read labelled files without losing or changing a character.

Real files have irregularities (method, section 1). If an irregularity has only one possible meaning, the file is read
and the irregularity is counted in `LabelledFile.faults`. Any other irregularity raises a DataError with a message of
one line: `FILE:LINE: expected ..., found ...`.
"""

import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.config.settings import LAYOUTS
from rayner.corpus.text_files import read_bytes, read_utf8
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.labelled_text import LabelledFile
from rayner.text.markup import is_markup_type
from rayner.text.messages import shorten_repr
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.subtoken_labels import expand_label
from rayner.text.tags import scheme_marks_ends, split_tag, tags_to_spans

BOM = "\ufeff"
# Python's str.splitlines and many editors break lines at these characters. Here they are ordinary characters.
LINE_SEPARATORS = frozenset("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
_DOCSTART = "-DOCSTART-"
_COLUMN_GAP = re.compile(r"[ \t]+")  # not \s: an ideographic space (U+3000) may be a token


def read_labelled_file(
    path: str | StoragePath, *, layout: str = "evahan", types: Collection[str] | None = None
) -> LabelledFile:
    r"""Read the characters and entities of a labelled file.

    Lines end with `\n` or `\r\n`. Tags may have any spelling that `tags.split_tag` knows.

    Args:
        path: The file.
        layout: One of LAYOUTS, or `module:name` for a user's own reader (see `read_with_custom_reader`).
            "evahan": Each line is `char<TAB>tag`. The character is one code point, which may be a tab or a space.
            "conll": Columns are separated by spaces or tabs, and all lines have the same number of columns. The first
            column is a token, the last column is the token's tag. If a token has several characters,
            `subtoken_labels.expand_label` gives each character a tag. Lines that begin with `-DOCSTART-` are skipped.
        types: The entity types that may occur. None allows all types.

    Raises:
        DataError: The file cannot be read in this layout, or it contains no characters. The message names the file and
            the line.
        ValueError: The layout is unknown.

    """
    if is_plugin_name(layout):
        return read_with_custom_reader(path, layout, types)
    if layout not in LAYOUTS:
        raise ValueError(f"expected a layout of {', '.join(LAYOUTS)}, found {layout!r}")
    content = read_utf8(path)
    bom = _has_bom(content, layout)
    lines, n_crlf = _split_lines_and_count_crlf(content[bom:])
    tagged = _parse_evahan(lines, path, types) if layout == "evahan" else _parse_conll(lines, path, types)
    if not tagged.chars:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    text = "".join(tagged.chars)
    decoded = tags_to_spans(tagged.tags, ends_marked=scheme_marks_ends(tagged.tags))
    faults = {
        "no_begin": decoded.no_begin,
        "no_end": decoded.no_end,
        "blank_lines": len(tagged.blank_line_offsets),
        **_count_odd_characters_by_group(text),
        "crlf": n_crlf,
        "bom": int(bom),
        "docstart": tagged.n_docstart,
    }
    return LabelledFile(str(path), text, decoded.spans, tuple(tagged.blank_line_offsets), faults)


def read_with_custom_reader(path: str | StoragePath, reader: str, types: Collection[str] | None = None) -> LabelledFile:
    """Read a labelled file with a user's own function.

    Args:
        path: The file.
        reader: The function, as `module:name`. It takes the bytes of the file. It returns the text and, for each
            entity, (start, end, type) with offsets in code points. It raises ValueError or LookupError if the file is
            faulty.
        types: The entity types that may occur. None allows all types.

    Raises:
        ConfigError: The function does not exist.
        DataError: The function rejected the file or returned an unexpected value. Or an entity is empty, overlaps
            another entity or exceeds the text. Or the text is empty. Or a type is not in `types`, or the LLM's markup
            cannot represent it.

    """
    read = load_plugin("layout", reader, Callable, "a function of a file's bytes")
    data = read_bytes(path)
    try:
        answer = read(data)
    except (ValueError, LookupError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{reader} met {type(error).__name__}: {error}"
        raise DataError(f"{path}: {' '.join(reason.split())}") from error
    try:
        text, entities = answer
        if not isinstance(text, str):
            raise TypeError(f"a text that is {type(text).__name__}")
        text.encode()
        spans = sort_and_check_spans(
            (Span(operator.index(start), operator.index(end), str(name)) for start, end, name in entities), len(text)
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: expected of {reader} the text and (start, end, type)s, found: {error}") from error
    if not text:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    for entity_type in sorted({span.type for span in spans}):
        _check_type(str(path), entity_type, types)
    return LabelledFile(str(path), text, spans, (), _count_odd_characters_by_group(text))


# ---- layouts


@dataclass
class _TaggedCharacters:
    """The content of a file's lines: the characters, one tag for each character, and where the blank lines were."""

    chars: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    blank_line_offsets: list[int] = field(default_factory=list)
    n_docstart: int = 0


def _has_bom(content: str, layout: str) -> bool:
    r"""Whether the file begins with a byte order mark (BOM), rather than with U+FEFF as its first character.

    In the line `\ufeff\tO`, U+FEFF is the character; if it were the BOM, the line would have no character. In
    `\ufeff\t\tO`, U+FEFF is the BOM; if it were the character, the line would have three columns. So any exported text
    can be read back.
    """
    if layout == "evahan" and content.startswith(f"{BOM}\t"):
        return content.startswith(f"{BOM}\t\t")
    return content.startswith(BOM)


def _split_lines_and_count_crlf(content: str) -> tuple[list[str], int]:
    r"""Return the lines, and the number of lines that ended in `\r\n` instead of `\n`."""
    *lines, last_line = content.split("\n")
    n_crlf = sum(line.endswith("\r") for line in lines)
    if n_crlf:
        lines = [line.removesuffix("\r") for line in lines]
    return ([*lines, last_line] if last_line else lines), n_crlf


def _parse_evahan(lines: Sequence[str], path: str | StoragePath, types: Collection[str] | None) -> _TaggedCharacters:
    tagged = _TaggedCharacters()
    checked_tags: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line:
            tagged.blank_line_offsets.append(len(tagged.chars))
            continue
        char, tag = line[0], line[2:]
        if line[1:2] != "\t" or "\t" in tag:
            _raise_column_error(f"{path}:{number}", line)
        if tag not in checked_tags:
            _check_tag(f"{path}:{number}", tag, types)
            checked_tags.add(tag)
        tagged.chars.append(char)
        tagged.tags.append(tag)
    return tagged


def _raise_column_error(location: str, line: str) -> NoReturn:
    """Raise DataError for a line that is not `char<TAB>tag`."""
    before, tab, tag = line.partition("\t")
    if not tab:
        expected, found = "char<TAB>tag", "no tab"
    elif "\t" in tag:
        expected, found = "char<TAB>tag", f"{line.count(tab) + 1} columns"
    else:
        expected, found = "one character before the tab", f"{len(before) or 'none'}"
    raise DataError(f"{location}: expected {expected}, found {found} in {_quote_line(line)}")


def _parse_conll(lines: Sequence[str], path: str | StoragePath, types: Collection[str] | None) -> _TaggedCharacters:
    tagged = _TaggedCharacters()
    checked_tags: set[str] = set()
    n_columns = 0
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t"):
            tagged.blank_line_offsets.append(len(tagged.chars))
            continue
        if line.startswith(_DOCSTART):
            tagged.n_docstart += 1
            continue
        columns = _COLUMN_GAP.split(line.strip(" \t"))
        if len(columns) < 2 or (n_columns and len(columns) != n_columns):
            expected = f"{n_columns} columns, as in the lines before" if n_columns else "a token and its tag"
            raise DataError(f"{path}:{number}: expected {expected}, found {len(columns)} in {_quote_line(line)}")
        n_columns = len(columns)
        token, tag = columns[0], columns[-1]
        if tag not in checked_tags:
            _check_tag(f"{path}:{number}", tag, types)
            checked_tags.add(tag)
        tagged.chars.extend(token)
        tagged.tags.extend(expand_label(tag, len(token)))
    return tagged


def _check_tag(location: str, tag: str, types: Collection[str] | None) -> None:
    """Raise DataError if the tag is unknown or its type is not allowed."""
    try:
        entity_type = split_tag(tag)[1]
    except ValueError as error:
        raise DataError(f"{location}: {error}") from None
    if entity_type:
        _check_type(location, entity_type, types)


def _check_type(location: str, entity_type: str, types: Collection[str] | None) -> None:
    """Raise DataError if the LLM's markup cannot represent the type, or if the type is not in `types`."""
    if not is_markup_type(entity_type):
        raise DataError(
            f"{location}: expected a type without white space, <, >, / and &, found {shorten_repr(entity_type)}"
        )
    if types is not None and entity_type not in types:
        raise DataError(f"{location}: expected a type of {', '.join(sorted(types))}, found {shorten_repr(entity_type)}")


def _count_odd_characters_by_group(text: str) -> dict[str, int]:
    """Count the characters that other programs often lose or miscount, by group."""
    char_counts = Counter(text)
    return {
        "private_use": sum(n for char, n in char_counts.items() if unicodedata.category(char) == "Co"),
        "beyond_bmp": sum(n for char, n in char_counts.items() if ord(char) > 0xFFFF),
        "line_separators": sum(n for char, n in char_counts.items() if char in LINE_SEPARATORS),
    }


def _quote_line(line: str, max_chars: int = 40) -> str:
    """Return a line in quotes for a message, shortened if it is long."""
    return repr(line) if len(line) <= max_chars else f"{line[:max_chars]!r}..."
