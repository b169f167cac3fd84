"""Tagged text, as the LLM reads and writes it: `<NG>楚</NG>使怒去`.

A literal `<` or `&` in the text is written `&lt;` or `&amp;`, so that `parse_markup` gives back the same text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rayner.text.messages import shorten_repr
from rayner.text.spans import Span, sort_and_check_spans

_ESCAPES = {"<": "&lt;", "&": "&amp;"}
_TYPE = r"[^<>/&\s]+"
_PIECE = re.compile(rf"<(?P<close>/?)(?P<type>{_TYPE})>|&(?P<entity>lt|amp);|(?P<char>[^<&])", re.DOTALL)


class MarkupError(ValueError):
    """The markup is faulty at a character. offset: its offset in the markup. reason: what is wrong there."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"offset {offset}: {reason}")
        self.offset, self.reason = offset, reason


def is_markup_type(name: str) -> bool:
    """Say whether markup can hold this entity type. The type must not contain white space, `<`, `>`, `/` or `&`."""
    return bool(re.fullmatch(_TYPE, name))


def escape_char(char: str) -> str:
    """Return the markup of one character of text."""
    return _ESCAPES.get(char, char)


def spans_to_markup(text: str, spans: Iterable[Span]) -> str:
    """Write the text with `<X>...</X>` around each entity.

    Raises ValueError for overlapping spans, and for a type that cannot be written (`is_markup_type`).
    """
    parts: list[str] = []
    end = 0
    for span in sort_and_check_spans(spans, len(text)):
        if not is_markup_type(span.type):
            raise ValueError(f"{shorten_repr(span.type)} cannot be written as a tag")
        parts += map(escape_char, text[end : span.start])
        parts += [f"<{span.type}>", *map(escape_char, text[span.start : span.end]), f"</{span.type}>"]
        end = span.end
    parts += map(escape_char, text[end:])
    return "".join(parts)


@dataclass(frozen=True)
class ParsedMarkup:
    """The text and spans read from markup."""

    text: str
    spans: tuple[Span, ...]


def parse_markup(markup: str) -> ParsedMarkup:
    """Read the text and spans that `spans_to_markup` wrote.

    Raises MarkupError for any other input: an unescaped `<` or `&`, a tag that closes nothing, or an entity that is
    empty, nested or never closed.
    """
    chars: list[str] = []
    spans: list[Span] = []
    start, open_type, offset, open_offset = -1, "", 0, 0
    while offset < len(markup):
        match = _PIECE.match(markup, offset)
        if match is None:
            raise MarkupError(offset, f"expected a tag or an escape, found {markup[offset : offset + 8]!r}")
        if match["type"] is None:
            chars.append(match["char"] or {"lt": "<", "amp": "&"}[match["entity"]])
        elif not match["close"]:
            if open_type:
                raise MarkupError(offset, f"<{match['type']}> inside <{open_type}>")
            start, open_type, open_offset = len(chars), match["type"], offset
        else:
            if match["type"] != open_type or start == len(chars):
                raise MarkupError(offset, f"</{match['type']}> closes nothing")
            spans.append(Span(start, len(chars), open_type))
            open_type = ""
        offset = match.end()
    if open_type:
        raise MarkupError(open_offset, f"<{open_type}> is never closed")
    return ParsedMarkup("".join(chars), tuple(spans))
