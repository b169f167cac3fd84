"""Read files with a tag for each character (char-tab-tag) or for each token (CoNLL columns)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from rayner.corpus.labels.entity_places import check_entity_type
from rayner.corpus.labels.labelled_texts import BOM, LabelledText, LabelledTexts
from rayner.errors import DataError
from rayner.text.subtoken_labels import expand_label
from rayner.text.tags import scheme_marks_ends, split_tag, tags_to_spans

_DOCSTART = "-DOCSTART-"
_COLUMN_GAP = re.compile(r"[ \t]+")  # not \s: an ideographic space (U+3000) may be a token
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")  # as `rayner.corpus.exports.conll` writes it


def read_char_tag_lines(path: str, content: str, types: Collection[str] | None = None) -> LabelledTexts:
    r"""Read lines `char<TAB>tag`. The character is one code point, which may be a tab or a space.

    types: The entity types that may occur. None allows all types.
    """
    bom = has_bom_before_char_tag(content)
    lines, n_crlf = _split_lines_and_count_crlf(content[bom:])
    return _decode_tags(path, _parse_char_tag(lines, path, types), n_crlf, bom, "char-tab-tag")


def read_conll_columns(path: str, content: str, types: Collection[str] | None = None) -> LabelledTexts:
    r"""Read columns that are separated by spaces or tabs. All lines have the same number of columns.

    The first column is a token, the last column is the token's tag. If a token has several characters,
    `subtoken_labels.expand_label` gives each character a tag. A token such as `\u3000` stands for one character. Lines
    that begin with `-DOCSTART-` are skipped.

    types: The entity types that may occur. None allows all types.
    """
    bom = content.startswith(BOM)
    lines, n_crlf = _split_lines_and_count_crlf(content[bom:])
    return _decode_tags(path, _parse_conll(lines, path, types), n_crlf, bom, "CoNLL columns")


@dataclass
class _TaggedCharacters:
    """The content of a file's lines: the characters, one tag for each character, and where the blank lines were."""

    chars: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    blank_line_offsets: list[int] = field(default_factory=list)
    n_docstart: int = 0
    n_escapes: int = 0


def _decode_tags(path: str, tagged: _TaggedCharacters, n_crlf: int, bom: bool, read_as: str) -> LabelledTexts:
    decoded = tags_to_spans(tagged.tags, ends_marked=scheme_marks_ends(tagged.tags))
    faults = {
        "no_begin": decoded.no_begin,
        "no_end": decoded.no_end,
        "blank_lines": len(tagged.blank_line_offsets),
        "crlf": n_crlf,
        "bom": int(bom),
        "docstart": tagged.n_docstart,
        "escapes": tagged.n_escapes,
    }
    text = LabelledText("".join(tagged.chars), decoded.spans, path)
    return LabelledTexts([text], read_as, faults, tuple(tagged.blank_line_offsets))


def has_bom_before_char_tag(content: str) -> bool:
    r"""Whether the file begins with a byte order mark (BOM), rather than with U+FEFF as its first character.

    In the line `\ufeff\tO`, U+FEFF is the character; if it were the BOM, the line would have no character. In
    `\ufeff\t\tO`, U+FEFF is the BOM; if it were the character, the line would have three columns. So any exported text
    can be read back.
    """
    if content.startswith(f"{BOM}\t"):
        return content.startswith(f"{BOM}\t\t")
    return content.startswith(BOM)


def _split_lines_and_count_crlf(content: str) -> tuple[list[str], int]:
    r"""Return the lines, and the number of lines that ended in `\r\n` instead of `\n`."""
    *lines, last_line = content.split("\n")
    n_crlf = sum(line.endswith("\r") for line in lines)
    if n_crlf:
        lines = [line.removesuffix("\r") for line in lines]
    return ([*lines, last_line] if last_line else lines), n_crlf


def _parse_char_tag(lines: Sequence[str], path: str, types: Collection[str] | None) -> _TaggedCharacters:
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


def _parse_conll(lines: Sequence[str], path: str, types: Collection[str] | None) -> _TaggedCharacters:
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
        if (match := _ESCAPE.fullmatch(token)) and not 0xD800 <= int(match[1], 16) <= 0xDFFF:
            token = chr(int(match[1], 16))
            tagged.n_escapes += 1
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
        check_entity_type(location, entity_type, types)


def _quote_line(line: str, max_chars: int = 40) -> str:
    """Return a line in quotes for a message, shortened if it is long."""
    return repr(line) if len(line) <= max_chars else f"{line[:max_chars]!r}..."
