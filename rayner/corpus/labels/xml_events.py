"""Read XML of unknown origin with Python's expat: elements and text with their lines, without declared entities.

A file may declare entities that expand to gigabytes or that name other files. No format that rayner reads needs them,
so their declaration is an error.
"""

from collections.abc import Mapping
from typing import Never, Protocol
from xml.parsers import expat

from rayner.errors import DataError
from rayner.text.messages import shorten_repr

XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class XmlHandler(Protocol):
    """Takes the events of a file, in order. Names are without prefixes and namespaces, except `xml:` of attributes."""

    def start_element(self, name: str, attributes: Mapping[str, str], location: str) -> None:
        """Take the start of an element. location: its file and line."""

    def end_element(self, name: str) -> None:
        """Take the end of an element."""

    def add_text(self, chars: str) -> None:
        """Take characters. The text between two tags may come in several pieces."""


def parse_xml(data: bytes, path: str, handler: XmlHandler) -> None:
    """Pass the elements and the text of an XML file in UTF-8 to a handler.

    Raises DataError, which names the file and the line, if it is not well-formed or declares entities.
    """
    # The encoding that the file declares may be the one before somebody converted the file.
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.buffer_text = True

    def start(name: str, attributes: Mapping[str, str]) -> None:
        short = {_shorten_name(key): value for key, value in attributes.items()}
        handler.start_element(_shorten_name(name), short, f"{path}:{parser.CurrentLineNumber}")

    def refuse(name: str, *_: object) -> Never:
        raise DataError(
            f"{path}:{parser.CurrentLineNumber}: expected XML without entities of its own, found the entity "
            f"{shorten_repr(name)}; write its characters"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: handler.end_element(_shorten_name(name))
    parser.CharacterDataHandler = handler.add_text
    parser.EntityDeclHandler = refuse
    parser.SkippedEntityHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise DataError(f"{path}:{error.lineno}: expected well-formed XML, found: {reason}") from None


def _shorten_name(name: str) -> str:
    namespace, _, short = name.rpartition(" ")
    return f"xml:{short}" if namespace == XML_NAMESPACE else short
