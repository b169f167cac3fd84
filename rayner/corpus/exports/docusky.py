r"""DocuXml, an XML format from which DocuSky builds databases: documents with paragraphs, and entities as elements.

DocuSky has elements for persons, places, offices and times. Other types are user-defined, such as `Udef_NB`. The head
of each file declares the user-defined types, so that DocuSky counts them. A character that XML does not allow is
written as an empty element, such as `<Udef_Char RefId="U+0001"/>`. Sources: DocuSky's description of the format
(version 1.3), and the input and output of its converter from MARKUS.
"""

import re
from collections.abc import Iterable
from typing import BinaryIO

from rayner.corpus.exports.export_format import CHARS_PER_FILE, ExportFormat, ExportOptions
from rayner.corpus.exports.paragraphs import ParagraphPiece, split_paragraphs
from rayner.corpus.tables import TaggedDocument
from rayner.text.escaping import escape_attribute, format_code_point, make_xml_escaper

_CORPUS = "rayner"
_USER_PREFIX, _CHAR_ELEMENT = "Udef_", "Udef_Char"
_ELEMENT_NAME = re.compile(
    rf"PersonName|LocName|Office|Date|(?!{_CHAR_ELEMENT}$){_USER_PREFIX}[A-Za-z][A-Za-z0-9_-]*", re.ASCII
)
_TYPE_NAMES = {"NR": "PersonName", "NS": "LocName", "NO": "Office", "T": "Date"}
_escape_text = make_xml_escaper(lambda char: f'<{_CHAR_ELEMENT} RefId="{format_code_point(char)}"/>')
_escape_title = make_xml_escaper(format_code_point)


def _write_file(stream: BinaryIO, documents: Iterable[TaggedDocument], options: ExportOptions) -> None:
    """Write a file. All its documents are in memory together, because the head of the file declares their types."""
    user_types, encoded_documents = set[str](), list[bytes]()
    for document in documents:
        user_types |= {entity["type"] for entity in document.entities if entity["type"].startswith(_USER_PREFIX)}
        encoded_documents.append(_format_document(document).encode())
    stream.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<ThdlPrototypeExport>\n')
    stream.write(_format_type_declarations(sorted(user_types)).encode())
    stream.write(b"<documents>\n")
    stream.writelines(encoded_documents)
    stream.write(b"</documents>\n</ThdlPrototypeExport>\n")


def _format_type_declarations(user_types: list[str]) -> str:
    if not user_types:
        return ""
    features = "".join(
        f'<spotlight category="{name}" sub_category="-" display_order="{i}" '
        f'title="{name.removeprefix(_USER_PREFIX)}"/>\n'
        f'<tag type="contentTagging" name="{name}" default_category="{name}" default_sub_category="-"/>\n'
        for i, name in enumerate(user_types, 1)
    )
    return f'<corpus name="{_CORPUS}">\n<feature_analysis>\n{features}</feature_analysis>\n</corpus>\n'


def _format_document(document: TaggedDocument) -> str:
    content = "".join(
        f"<Paragraph>{''.join(map(_format_piece, paragraph))}</Paragraph>" for paragraph in split_paragraphs(document)
    )
    name, title = escape_attribute(document.doc_id), _escape_title(document.doc_id)
    return (
        f'<document filename="{name}">\n<corpus>{_CORPUS}</corpus>\n<title>{title}</title>\n'
        f"<doc_content>{content}</doc_content>\n</document>\n"
    )


def _format_piece(piece: ParagraphPiece) -> str:
    content = _escape_text(piece.text)
    return f"<{piece.type}>{content}</{piece.type}>" if piece.type else content


DOCUSKY = ExportFormat(
    {".xml": _write_file},
    chars_per_file=CHARS_PER_FILE,
    type_names=_TYPE_NAMES,
    other_type_name=f"{_USER_PREFIX}{{}}",
    is_legal_name=lambda name: bool(_ELEMENT_NAME.fullmatch(name)),
)
