"""Read labelled files without losing or changing a character.

Real files are irregular (method, section 1). What can be read in only one way is read, and counted in
`LabelledFile.faults`. Anything else raises a DataError of one line, `FILE:LINE: expected ..., found ...`.
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
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.subtoken_labels import expand_label
from rayner.text.tags import scheme_marks_ends, split_tag, tags_to_spans

BOM = "\ufeff"
# Python's str.splitlines, and many an editor, breaks lines at these. Here they are characters like any other.
LINE_SEPARATORS = frozenset("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
_DOCSTART = "-DOCSTART-"
_COLUMN_GAP = re.compile(r"[ \t]+")  # not \s: an ideographic space (U+3000) may be a token


def read_labelled_file(
    path: str | StoragePath, *, layout: str = "evahan", types: Collection[str] | None = None
) -> LabelledFile:
    r"""Read the characters and entities of a labelled file.

    Lines end at `\n`; a `\r` before it belongs to the line end. Tags may have any spelling that `tags.split_tag` knows.

    Args:
        path: The file.
        layout: `module:name`, a user's own reader (`read_with_custom_reader`), or one of LAYOUTS.
            "evahan": a line is `char<TAB>tag`; the character is exactly one code point, which may be a tab or a space.
            "conll": columns separated by spaces or tabs, equally many in each line. The first is a token, the last its
            tag. The characters of a longer token get tags by `subtoken_labels.expand_label`. `-DOCSTART-` lines are
            skipped.
        types: The types that may occur; None for any.

    Raises:
        DataError: The file cannot be read in this layout, or holds no character. The message names file and line.
        ValueError: An unknown layout.

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
        reader: `module:name` of the function. It takes the bytes of the file and returns the text and, for each entity,
            (start, end, type) in code points. A ValueError or LookupError that it raises means a fault in the file.
        types: The types that may occur; None for any.

    Raises:
        ConfigError: There is no such function.
        DataError: The function refuses the file or returns anything else; or an entity is empty, overlaps another or
            leaves the text; or the LLM's markup cannot hold a type.

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
    """What the lines of a file hold: characters with a tag each, and what stood between them."""

    chars: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    blank_line_offsets: list[int] = field(default_factory=list)
    n_docstart: int = 0


def _has_bom(content: str, layout: str) -> bool:
    r"""Whether the file's U+FEFF is a byte order mark, not its first character.

    In the line `\ufeff\tO` it is the character, because as a mark it would leave a line without one. In
    `\ufeff\t\tO` it is the mark, because as a character it would leave three columns. So every text survives an export.
    """
    if layout == "evahan" and content.startswith(f"{BOM}\t"):
        return content.startswith(f"{BOM}\t\t")
    return content.startswith(BOM)


def _split_lines_and_count_crlf(content: str) -> tuple[list[str], int]:
    r"""Return the lines, and how many ended in `\r\n` rather than `\n`."""
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
    """Raise DataError for an unknown tag, or one of an unknown type."""
    try:
        entity_type = split_tag(tag)[1]
    except ValueError as error:
        raise DataError(f"{location}: {error}") from None
    if entity_type:
        _check_type(location, entity_type, types)


def _check_type(location: str, entity_type: str, types: Collection[str] | None) -> None:
    """Raise DataError for a type that the LLM's markup cannot hold, or that may not occur."""
    if not is_markup_type(entity_type):
        raise DataError(f"{location}: expected a type without white space, <, >, / and &, found {entity_type!r}")
    if types is not None and entity_type not in types:
        raise DataError(f"{location}: expected a type of {', '.join(sorted(types))}, found {entity_type!r}")


def _count_odd_characters_by_group(text: str) -> dict[str, int]:
    """Count the characters that other programs often lose or miscount, by group."""
    char_counts = Counter(text)
    return {
        "private_use": sum(n for char, n in char_counts.items() if unicodedata.category(char) == "Co"),
        "beyond_bmp": sum(n for char, n in char_counts.items() if ord(char) > 0xFFFF),
        "line_separators": sum(n for char, n in char_counts.items() if char in LINE_SEPARATORS),
    }


def _quote_line(line: str, max_chars: int = 40) -> str:
    """Return a line for a message, cut if it is long."""
    return repr(line) if len(line) <= max_chars else f"{line[:max_chars]!r}..."
