r"""CoNLL format: a line `token<TAB>tag` for each character, with BIO or BIOES tags.

A line break becomes a blank line, which programs treat as the end of a sentence. A line break inside an entity is
written as `\u000a`, because a blank line would split the entity. Characters that would end a line or a column, or begin
a comment, are also written as `\uXXXX`: white space, control characters, U+FEFF, `#` and `\`.
"""

import re
from collections.abc import Iterable, Iterator

from rayner.corpus.exports.export_format import (
    CONLL_SCHEMES,
    ExportFormat,
    ExportOptions,
    get_entity_spans,
    make_text_writer,
)
from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import OUTSIDE, spans_to_tags

_ESCAPED_CHAR = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff#\\]")
_BIO_PREFIXES = {"B": "B", "M": "I", "E": "I", "S": "B"}  # for each BMES prefix
_BIOES_PREFIXES = {"B": "B", "M": "I", "E": "E", "S": "S"}
_PREFIXES = dict(zip(CONLL_SCHEMES, (_BIO_PREFIXES, _BIOES_PREFIXES), strict=True))


def format_conll_lines(text: str, spans: Iterable[Span], scheme: str) -> Iterator[str]:
    """Yield the lines of a text with its entities, without line ends.

    scheme: One of CONLL_SCHEMES.

    Raises ValueError if spans overlap or exceed the text.
    """
    prefixes = _PREFIXES[scheme]
    tags = spans_to_tags(sort_and_check_spans(spans, len(text)), len(text))
    for char, tag in zip(text, tags, strict=True):
        if tag != OUTSIDE:
            yield f"{_escape_token(char)}\t{prefixes[tag[0]]}{tag[1:]}"
        else:
            yield "" if char == "\n" else f"{_escape_token(char)}\t{tag}"


def _escape_token(char: str) -> str:
    return f"\\u{ord(char):04x}" if _ESCAPED_CHAR.match(char) else char


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    lines = format_conll_lines(document.text, get_entity_spans(document), options.scheme)
    return "".join(f"{line}\n" for line in lines)


CONLL = ExportFormat({".conll": make_text_writer(_render)}, options=("scheme",))
