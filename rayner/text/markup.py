"""Tagged text, as the LLM reads and writes it: `<NG>楚</NG>使怒去`.

A literal `<` or `&` in the text is written `&lt;` or `&amp;`, so that every text survives the round trip.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rayner.text.spans import Span, sort_and_check_spans

_ESCAPES = {"<": "&lt;", "&": "&amp;"}
_TYPE = r"[^<>/&\s]+"
_PIECE = re.compile(rf"<(?P<close>/?)(?P<type>{_TYPE})>|&(?P<entity>lt|amp);|(?P<char>[^<&])", re.DOTALL)


def is_markup_type(name: str) -> bool:
    """Whether markup can hold an entity type of this name: no white space, `<`, `>`, `/` or `&`."""
    return bool(re.fullmatch(_TYPE, name))


def escape_char(char: str) -> str:
    """How one character of text is spelled in markup."""
    return _ESCAPES.get(char, char)


def spans_to_markup(text: str, spans: Iterable[Span]) -> str:
    """The text with `<X>...</X>` around each entity.

    Raises ValueError for overlapping spans, and for a type that `parse_markup` would not read back.
    """
    out: list[str] = []
    end = 0
    for span in sort_and_check_spans(spans, len(text)):
        if not is_markup_type(span.type):
            raise ValueError(f"{span.type!r} cannot be written as a tag")
        out += map(escape_char, text[end : span.start])
        out += [f"<{span.type}>", *map(escape_char, text[span.start : span.end]), f"</{span.type}>"]
        end = span.end
    out += map(escape_char, text[end:])
    return "".join(out)


@dataclass(frozen=True)
class ParsedMarkup:
    """Text and spans read from markup."""

    text: str
    spans: tuple[Span, ...]


def parse_markup(markup: str) -> ParsedMarkup:
    """The exact inverse of `encode`.

    Raises ValueError, naming the offset in `tagged`, where it is not what `encode` writes: an unescaped `<` or `&`,
    a tag that closes nothing, an entity that is empty, nested or never closed.
    """
    chars: list[str] = []
    spans: list[Span] = []
    start, kind, at = -1, "", 0
    while at < len(markup):
        match = _PIECE.match(markup, at)
        if match is None:
            raise ValueError(f"offset {at}: expected a tag or an escape, found {markup[at : at + 8]!r}")
        if match["type"] is None:
            chars.append(match["char"] or {"lt": "<", "amp": "&"}[match["entity"]])
        elif not match["close"]:
            if kind:
                raise ValueError(f"offset {at}: <{match['type']}> inside <{kind}>")
            start, kind = len(chars), match["type"]
        else:
            if match["type"] != kind or start == len(chars):
                raise ValueError(f"offset {at}: </{match['type']}> closes nothing")
            spans.append(Span(start, len(chars), kind))
            kind = ""
        at = match.end()
    if kind:
        raise ValueError(f"<{kind}> is never closed")
    return ParsedMarkup("".join(chars), tuple(spans))
