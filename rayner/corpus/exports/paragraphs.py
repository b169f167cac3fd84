"""Split a tagged document into paragraphs, for formats that mark entities inside the text (DocuXml, MARKUS)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from rayner.corpus.tables import TaggedDocument

_LINE_BREAKS = re.compile("\n+")


class ParagraphPiece(NamedTuple):
    """A piece of a paragraph: an entity, or the text between entities, for which the type is ""."""

    text: str
    type: str


def split_paragraphs(document: TaggedDocument) -> Iterator[list[ParagraphPiece]]:
    """Split a document into paragraphs after each run of line breaks outside entities.

    The pieces of all paragraphs joined are the text.
    """
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
