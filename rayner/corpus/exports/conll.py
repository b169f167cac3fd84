r"""CoNLL: a line `token<TAB>tag` for each character, BIO or BIOES.

A line break is a blank line, the end of a sentence to readers; so as many blank lines as breaks, wherever they are.
What would end a line or a column early, or begin a comment, is spelled `\uXXXX`: white space of every kind, control
characters, U+FEFF, `#`, and the `\` itself; so are line breaks inside an entity, which a blank line would part.
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

_ODD = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff#\\]")
_PREFIX = dict(zip(CONLL_SCHEMES, ({"B": "B", "M": "I", "E": "I", "S": "B"}, {"B": "B", "M": "I", "E": "E", "S": "S"}),
                   strict=True))  # fmt: skip


def format_conll_lines(text: str, spans: Iterable[Span], scheme: str) -> Iterator[str]:
    """The lines, without their ends, of a text with its entities. scheme: of SCHEMES.

    Raises ValueError for spans that overlap or leave the text.
    """
    prefix = _PREFIX[scheme]
    for char, tag in zip(text, spans_to_tags(sort_and_check_spans(spans, len(text)), len(text)), strict=True):
        if tag != OUTSIDE:
            yield f"{_token(char)}\t{prefix[tag[0]]}{tag[1:]}"
        else:
            yield "" if char == "\n" else f"{_token(char)}\t{tag}"


def _token(char: str) -> str:
    return f"\\u{ord(char):04x}" if _ODD.match(char) else char


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    return "".join(
        f"{line}\n" for line in format_conll_lines(document.text, get_entity_spans(document), choices.scheme)
    )


CONLL = ExportFormat({".conll": make_text_writer(_render)}, options=("scheme",))
