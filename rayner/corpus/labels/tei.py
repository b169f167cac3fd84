"""Read the text and the named entities of a TEI file: as rayner exports it, and as people write it.

A paragraph is a text. Only the text inside `<text>` is read. A `<note>` is a text of its own, outside its paragraph. Of
`<choice>` and `<app>` one reading is taken, the original one or the first. White space with a line break is layout of
the file and no text, except under `xml:space="preserve"`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from rayner.corpus.labels.entity_places import check_entity_type
from rayner.corpus.labels.labelled_texts import BOM, LabelledText, LabelledTexts
from rayner.corpus.labels.xml_events import parse_xml
from rayner.errors import DataError
from rayner.text.spans import Span

_BLOCKS = frozenset(
    (
        *("text", "front", "body", "back", "group", "div", "p", "ab", "l", "lg", "sp", "speaker", "stage", "head"),
        *("list", "item", "label", "table", "row", "cell", "opener", "closer", "salute", "signed", "dateline"),
        *("byline", "argument", "epigraph", "trailer", "titlePage", "docTitle", "titlePart", "docAuthor", "docImprint"),
    )
)
_NAMES_OF_ANY_TYPE = frozenset(("rs", "name"))  # their attribute `type` tells the type
ENTITY_ELEMENTS = frozenset(
    (
        *("persName", "placeName", "orgName", "geogName", "roleName", "title", "date", "time", "term", "rs", "name"),
        *("country", "settlement", "region", "district", "bloc", "objectName", "eventName"),
    )
)
# Parts of a name, which are no entities of their own inside the name.
_PARTS = {
    "persName": frozenset(("roleName", "name")),
    "placeName": frozenset(("country", "settlement", "region", "district", "bloc", "geogName", "name")),
}
_LAYOUT = re.compile(r"[ \t]*[\r\n][ \t\r\n]*")
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")


def read_tei(path: str, content: str) -> LabelledTexts:
    """Read a TEI file. Raises DataError, which names the line, if it is not well-formed or entities are nested."""
    handler = _TeiHandler(path)
    parse_xml(content.encode("utf-8"), path, handler)
    faults = {"empty_elements": handler.n_empty_elements, "bom": int(content.startswith(BOM))}
    return LabelledTexts(handler.texts, "TEI", faults)


def name_type_of_element(element: str, attribute_type: str | None) -> str | None:
    """Return the entity type of an element, such as NR for `persName`; None if it is no entity.

    The names are those of the TEI export. An element without a name there keeps its own, such as `orgName`.
    """
    types = _read_type_by_element()
    if attribute_type and f"{element} type={attribute_type}" in types:
        return types[f"{element} type={attribute_type}"]
    if element == "term" or (element in _NAMES_OF_ANY_TYPE and attribute_type):
        return attribute_type
    return types.get(element, element)


@cache
def _read_type_by_element() -> dict[str, str]:
    from rayner.corpus.exports.tei import TEI  # imports pyarrow, which no other layout needs

    return {name: entity_type for entity_type, name in TEI.type_names.items()}


@dataclass
class _OpenEntity:
    type: str
    element: str
    start: int
    location: str


@dataclass
class _Block:
    """The text of a paragraph or of a note, as far as it was read."""

    location: str
    preserves_space: bool
    pieces: list[str] = field(default_factory=list)
    n_chars: int = 0
    spans: list[Span] = field(default_factory=list)
    entity: _OpenEntity | None = None

    def add(self, chars: str) -> None:
        self.pieces.append(chars)
        self.n_chars += len(chars)


@dataclass
class _Element:
    """An open element.

    start, char, location: Where `<g>` begins in its paragraph, its character by the header, and its file and line.
    opened: Whether it is an entity.
    child_taken: Whether one of its readings was taken.
    """

    name: str
    preserves_space: bool
    is_skipped: bool
    start: int = 0
    char: str = ""
    location: str = ""
    opened: bool = False
    child_taken: bool = False


class _TeiHandler:
    """Collects the texts of a TEI file."""

    def __init__(self, path: str) -> None:
        self.texts: list[LabelledText] = []
        self.n_empty_elements = 0
        self._chars_by_id: dict[str, str] = {}
        self._char_id, self._mapping = "", ""
        self._elements: list[_Element] = []
        self._blocks: list[_Block] = [_Block(path, preserves_space=False)]

    def start_element(self, name: str, attributes: Mapping[str, str], location: str) -> None:
        parent = self._elements[-1] if self._elements else _Element("", preserves_space=False, is_skipped=True)
        space = attributes.get("xml:space")
        preserves_space = parent.preserves_space if space is None else space == "preserve"
        element = _Element(name, preserves_space, self._is_skipped(parent, name))
        self._elements.append(element)
        if name in ("char", "glyph"):
            self._char_id = attributes.get("xml:id", "")
        elif name == "mapping":
            self._mapping = ""
        if element.is_skipped:
            return
        if name == "note":
            self._blocks.append(_Block(location, preserves_space))
        elif name in _BLOCKS:
            self._finish_block(location, preserves_space)
        elif name == "g":
            self._start_char(element, attributes, location)
        elif name in ENTITY_ELEMENTS:
            self._start_entity(element, attributes.get("type"), location)

    def end_element(self, name: str) -> None:
        element, block = self._elements.pop(), self._blocks[-1]
        if name == "mapping" and self._char_id:
            self._chars_by_id.setdefault(self._char_id, _read_mapping(self._mapping))
        if element.is_skipped:
            return
        if name == "g" and block.n_chars == element.start:
            if not element.char:
                raise DataError(
                    f"{element.location}: expected a character in <g>, or its mapping in the header, found neither; "
                    "write a character into <g>, such as 〓"
                )
            block.add(element.char)
        elif element.opened:
            self._end_entity(block)
        elif name == "note":
            self._finish_block(block.location, block.preserves_space)
            self._blocks.pop()
        elif name in _BLOCKS:
            outer = self._elements[-1] if self._elements else element
            self._finish_block(block.location, outer.preserves_space)

    def add_text(self, chars: str) -> None:
        if not self._elements:
            return
        element = self._elements[-1]
        if element.name == "mapping":
            self._mapping += chars
        elif not element.is_skipped:
            self._blocks[-1].add(chars)

    def _is_skipped(self, parent: _Element, name: str) -> bool:
        """Whether the text of an element is left out: outside `<text>`, and readings that are not taken."""
        if parent.is_skipped:
            return name != "text" or any(element.name in ("choice", "app") for element in self._elements)
        if parent.name == "choice" and name in ("corr", "reg", "expan"):
            return True
        if parent.name in ("choice", "app"):
            was_taken, parent.child_taken = parent.child_taken, True
            return was_taken
        return name in ("fw", "figDesc")  # running heads of the printed page, descriptions of pictures

    def _start_char(self, element: _Element, attributes: Mapping[str, str], location: str) -> None:
        """Take the start of `<g>`, which stands for one character or encloses it."""
        element.start = self._blocks[-1].n_chars
        element.char = self._chars_by_id.get(attributes.get("ref", "").removeprefix("#"), "")
        element.location = location

    def _start_entity(self, element: _Element, attribute_type: str | None, location: str) -> None:
        block = self._blocks[-1]
        entity_type = name_type_of_element(element.name, attribute_type)
        if entity_type is None:
            return
        if block.entity is not None:
            if element.name in _PARTS.get(block.entity.element, ()):
                return
            raise DataError(
                f"{location}: expected entities that are not nested, found {element.name} inside the "
                f"{block.entity.element} of {block.entity.location}; keep one of them"
            )
        check_entity_type(location, entity_type)
        block.entity = _OpenEntity(entity_type, element.name, block.n_chars, location)
        element.opened = True

    def _end_entity(self, block: _Block) -> None:
        if block.entity is None:
            return
        if block.entity.start < block.n_chars:
            block.spans.append(Span(block.entity.start, block.n_chars, block.entity.type))
        else:
            self.n_empty_elements += 1
        block.entity = None

    def _finish_block(self, location: str, preserves_space: bool) -> None:
        """Store the text since the last block, and begin a new one in its place."""
        block = self._blocks[-1]
        if block.entity is not None:
            raise DataError(
                f"{location}: expected an entity inside one paragraph, found a paragraph inside the "
                f"{block.entity.element} of {block.entity.location}"
            )
        text, spans = "".join(block.pieces), block.spans
        if not block.preserves_space:
            text, spans = _remove_layout(text, spans)
        if text and (spans or block.preserves_space or text.strip()):
            self.texts.append(LabelledText(text, tuple(spans), block.location))
        self._blocks[-1] = _Block(location, preserves_space)


def _read_mapping(mapping: str) -> str:
    """Return the character of a mapping, which may be its code point; "" if there is no such character."""
    match = _CODE_POINT.fullmatch(mapping.strip())
    if match is None:
        return mapping
    code_point = int(match[1], 16)
    return chr(code_point) if code_point <= 0x10FFFF and not 0xD800 <= code_point <= 0xDFFF else ""


def _remove_layout(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """Remove white space that contains a line break. Between two letters or digits of ASCII, one space stays."""
    pieces, position, is_kept = [], 0, bytearray(b"\1" * len(text))
    for match in _LAYOUT.finditer(text):
        before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
        space = " " if before.isascii() and before.isalnum() and after.isascii() and after.isalnum() else ""
        pieces += [text[position : match.start()], space]
        position = match.end()
        is_kept[match.start() + len(space) : position] = bytes(position - match.start() - len(space))
    n_kept = [0, *accumulate(is_kept)]  # characters kept before each offset
    moved = (Span(n_kept[span.start], n_kept[span.end], span.type) for span in spans)
    return "".join([*pieces, text[position:]]), [span for span in moved if span.start < span.end]
