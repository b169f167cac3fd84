"""The paragraphs of a tagged document, for formats that put entities into the text (DocuXml, MARKUS)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from rayner.corpus.tables import TaggedDocument

_LINE_BREAKS = re.compile("\n+")


class ParagraphPiece(NamedTuple):
    """A stretch of text: an entity of a type, or text between entities (type "")."""

    text: str
    type: str


def split_paragraphs(document: TaggedDocument) -> Iterator[list[ParagraphPiece]]:
    """Split a document after the line breaks outside of entities. Joined, the pieces of all paragraphs are the text."""
    text, paragraph, position = document.text, list[ParagraphPiece](), 0
    for entity in [*document.entities, None]:
        start = len(text) if entity is None else entity["start"]
        for match in _LINE_BREAKS.finditer(text, position, start):
            yield [*paragraph, ParagraphPiece(text[position : match.end()], "")]
            paragraph, position = [], match.end()
        if position < start:
            paragraph.append(ParagraphPiece(text[position:start], ""))
        if entity is not None:
            position = entity["end"]
            paragraph.append(ParagraphPiece(text[start:position], entity["type"]))
    if paragraph:
        yield paragraph
