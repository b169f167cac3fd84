"""Labelled files, read without losing or changing a character.

Real files are irregular (method, section 1). What can be read in one way only is read, and counted in
`LabelledFile.faults`; anything else is a DataError of one line, `FILE:LINE: expected ..., found ...`.
"""

import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.corpus.text_files import read_bytes, read_utf8
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.alignment import expand_label
from rayner.text.labelled_text import LabelledFile
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import scheme_marks_ends, split_tag, tags_to_spans

LAYOUTS = ("evahan", "conll")
BOM = "\ufeff"
# Python's str.splitlines, and many an editor, breaks lines at these; here they are characters like others.
LINE_SEPARATORS = frozenset("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
_DOCSTART = "-DOCSTART-"
_GAP = re.compile(r"[ \t]+")  # not \s: an ideographic space (U+3000) may be a token
_TYPE = re.compile(r"[^<>/&\s]+")  # what the LLM's markup can spell; refuses `B-NR ` with a space at its end, too


def read_labelled_file(
    path: str | StoragePath, *, layout: str = "evahan", types: Collection[str] | None = None
) -> LabelledFile:
    r"""The characters and entities of a labelled file.

    layout: `module:name`, a reader of the user's own (`read_with_custom_reader`), or one of these.
        "evahan": a line is `char<TAB>tag`; the character is exactly one code point, a tab or a space among them.
        "conll": columns parted by spaces or tabs, as many in each line; the first is a token, the last its tag; a
        token of several characters gets its characters' tags by `align.expand`; `-DOCSTART-` lines are skipped.
    types: if given, the types that may occur.

    All spellings of tags that `tags.split_tag` knows are read. Lines end at `\n`, a `\r` before it belongs to it.
    Raises DataError, naming file and line, for a file that cannot be read so or holds no character, and ValueError
    for an unknown layout.
    """
    if is_plugin_name(layout):
        return read_with_custom_reader(path, layout, types)
    if layout not in LAYOUTS:
        raise ValueError(f"expected a layout of {', '.join(LAYOUTS)}, found {layout!r}")
    raw = read_utf8(path)
    bom = _has_bom(raw, layout)
    lines, crlf = _split_lines(raw[bom:])
    stream = _parse_evahan(lines, path, types) if layout == "evahan" else _parse_conll(lines, path, types)
    if not stream.chars:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    text = "".join(stream.chars)
    decoded = tags_to_spans(stream.tags, ends_marked=scheme_marks_ends(stream.tags))
    faults = {
        "no_begin": decoded.no_begin,
        "no_end": decoded.no_end,
        "blank_lines": len(stream.blanks),
        **_count_odd_characters(text),
        "crlf": crlf,
        "bom": int(bom),
        "docstart": stream.docstart,
    }
    return LabelledFile(str(path), text, decoded.spans, tuple(stream.blanks), faults)


def read_with_custom_reader(path: str | StoragePath, reader: str, types: Collection[str] | None = None) -> LabelledFile:
    """The characters and entities of a labelled file by a function of the user's own, `module:name`.

    From the bytes of the file it gives the text and (start, end, type) of each entity, offsets in code points. What it
    raises as ValueError or LookupError is wrong in the file.
    Raises ConfigError where there is no such function, DataError for a file that it refuses and for an answer with
    other than that, an entity that is empty, overlaps another or leaves the text, or a type that cannot be spelled.
    """
    read = load_plugin("layout", reader, Callable, "a function of a file's bytes")
    data = read_bytes(path)
    try:
        found = read(data)
    except (ValueError, LookupError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{reader} met {type(error).__name__}: {error}"
        raise DataError(f"{path}: {' '.join(why.split())}") from error
    try:
        text, entities = found
        if not isinstance(text, str):
            raise TypeError(f"a text that is {type(text).__name__}")
        text.encode()
        spans = sort_and_check_spans(
            (Span(operator.index(a), operator.index(b), str(kind)) for a, b, kind in entities), len(text)
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: expected of {reader} the text and (start, end, type)s, found: {error}") from error
    if not text:
        raise DataError(f"{path}: expected at least one labelled character, found none")
    for kind in sorted({span.type for span in spans}):
        _check_type(str(path), kind, types)
    return LabelledFile(str(path), text, spans, (), _count_odd_characters(text))


# ---- labelled files


@dataclass
class _TaggedCharacters:
    """What the lines of a file add up to: characters, a tag for each, and what stood between them."""

    chars: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    blanks: list[int] = field(default_factory=list)
    docstart: int = 0


def _has_bom(raw: str, layout: str) -> bool:
    r"""Whether the file's U+FEFF is a mark, not its first character.

    It is the character in the line `\ufeff\tO`, which as a mark would leave a line without a character, but the mark
    in `\ufeff\t\tO`, which as a character would leave a line of three columns. So every text survives an export.
    """
    if layout == "evahan" and raw.startswith(f"{BOM}\t"):
        return raw.startswith(f"{BOM}\t\t")
    return raw.startswith(BOM)


def _split_lines(raw: str) -> tuple[list[str], int]:
    r"""The lines, and how many ended in `\r\n` rather than `\n`."""
    *lines, rest = raw.split("\n")
    crlf = sum(line.endswith("\r") for line in lines)
    if crlf:
        lines = [line.removesuffix("\r") for line in lines]
    return ([*lines, rest] if rest else lines), crlf


def _parse_evahan(lines: Sequence[str], path: str | StoragePath, types: Collection[str] | None) -> _TaggedCharacters:
    stream = _TaggedCharacters()
    known: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line:
            stream.blanks.append(len(stream.chars))
            continue
        char, tag = line[0], line[2:]
        if line[1:2] != "\t" or "\t" in tag:
            _raise_column_error(path, number, line)
        if tag not in known:
            _check_tag(path, number, tag, types)
            known.add(tag)
        stream.chars.append(char)
        stream.tags.append(tag)
    return stream


def _raise_column_error(path: str | StoragePath, number: int, line: str) -> NoReturn:
    """Say what is wrong with a line that is not `char<TAB>tag`."""
    before, tab, tag = line.partition("\t")
    if not tab:
        expected, found = "char<TAB>tag", "no tab"
    elif "\t" in tag:
        expected, found = "char<TAB>tag", f"{line.count(tab) + 1} columns"
    else:
        expected, found = "one character before the tab", f"{len(before) or 'none'}"
    raise DataError(f"{path}:{number}: expected {expected}, found {found} in {_quote_line(line)}")


def _parse_conll(lines: Sequence[str], path: str | StoragePath, types: Collection[str] | None) -> _TaggedCharacters:
    stream = _TaggedCharacters()
    known: set[str] = set()
    width = 0
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t"):
            stream.blanks.append(len(stream.chars))
            continue
        if line.startswith(_DOCSTART):
            stream.docstart += 1
            continue
        columns = _GAP.split(line.strip(" \t"))
        if len(columns) < 2 or (width and len(columns) != width):
            expected = f"{width} columns, as in the lines before" if width else "a token and its tag"
            raise DataError(f"{path}:{number}: expected {expected}, found {len(columns)} in {_quote_line(line)}")
        width = len(columns)
        token, tag = columns[0], columns[-1]
        if tag not in known:
            _check_tag(path, number, tag, types)
            known.add(tag)
        stream.chars.extend(token)
        stream.tags.extend(expand_label(tag, len(token)))
    return stream


def _check_tag(path: str | StoragePath, number: int, tag: str, types: Collection[str] | None) -> None:
    """Raise DataError for a tag that is unknown, or whose type is."""
    try:
        kind = split_tag(tag)[1]
    except ValueError as error:
        raise DataError(f"{path}:{number}: {error}") from None
    if kind:
        _check_type(f"{path}:{number}", kind, types)


def _check_type(where: str, kind: str, types: Collection[str] | None) -> None:
    """Raise DataError for a type that cannot be spelled, or is none of those that may occur."""
    if not _TYPE.fullmatch(kind):
        raise DataError(f"{where}: expected a type without white space, <, >, / and &, found {kind!r}")
    if types is not None and kind not in types:
        raise DataError(f"{where}: expected a type of {', '.join(sorted(types))}, found {kind!r}")


def _count_odd_characters(text: str) -> dict[str, int]:
    """How many characters are apt to be lost or miscounted by other programs, by kind."""
    counts = Counter(text)
    return {
        "private_use": sum(n for char, n in counts.items() if unicodedata.category(char) == "Co"),
        "beyond_bmp": sum(n for char, n in counts.items() if ord(char) > 0xFFFF),
        "line_separators": sum(n for char, n in counts.items() if char in LINE_SEPARATORS),
    }


def _quote_line(line: str, limit: int = 40) -> str:
    """A line as it may stand in a message."""
    return repr(line) if len(line) <= limit else f"{line[:limit]!r}..."
