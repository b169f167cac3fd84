"""Text with its entities inside it, as XML that HTML readers understand alike: what DocuXml and MARKUS share."""

import re
from collections.abc import Iterator

from rayner.corpus.tables import TaggedDocument

NO_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"  # the characters that XML 1.0 cannot hold in any spelling
_SPECIAL = re.compile(f'[&<>"\r{NO_XML}]')
_SPELLED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_LINES = re.compile("\n+")


def escaped(text: str, lost: str) -> str:
    """The text in XML. lost: what stands for a character that XML cannot hold (`{}`: its code point, as U+0001)."""
    return _SPECIAL.sub(lambda match: _SPELLED.get(match[0]) or lost.format(f"U+{ord(match[0]):04X}"), text)


def attribute(value: str) -> str:
    """The value of an attribute, where XML readers take tabs and line breaks for spaces."""
    return escaped(value, "{}").replace("\t", "&#9;").replace("\n", "&#10;")


def split_paragraphs(document: TaggedDocument) -> Iterator[list[tuple[str, str]]]:
    """The text in pieces, each with its type or "", by paragraphs: these end after line breaks outside of entities."""
    held: list[tuple[str, str]] = []
    end = 0
    for row in [*document.entities, None]:
        start = len(document.text) if row is None else row["start"]
        for match in _LINES.finditer(document.text, end, start):
            yield [*held, (document.text[end : match.end()], "")]
            held, end = [], match.end()
        held += [(document.text[end:start], "")] if end < start else []
        if row is not None:
            held.append((document.text[start : row["end"]], row["type"]))
            end = row["end"]
    if held:
        yield held
