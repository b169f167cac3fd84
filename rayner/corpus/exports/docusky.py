r"""DocuXml, the XML that DocuSky makes databases of: documents of paragraphs, entities as elements in them.

Persons, places, offices and times have elements of DocuSky's own; other types are user-defined ones (`Udef_NB`), which
the head of each file declares, so that DocuSky counts them. A character that XML cannot hold is an empty `<Udef_Char
RefId="U+0001"/>`. After DocuSky's description of the format (version 1.3) and what its converter from MARKUS reads and
writes.
"""

import re
from collections.abc import Iterable
from typing import BinaryIO

from rayner.corpus.exports.export_format import CHARS_PER_FILE, ExportFormat, ExportOptions
from rayner.corpus.exports.paragraphs import attribute, escaped, split_paragraphs
from rayner.corpus.tables import TaggedDocument

_CORPUS = "rayner"
_USER, _CHAR = "Udef_", "Udef_Char"
_LOST = f'<{_CHAR} RefId="{{}}"/>'
_LEGAL = re.compile(rf"PersonName|LocName|Office|Date|(?!{_CHAR}$){_USER}[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
TYPE_NAMES = {"NR": "PersonName", "NS": "LocName", "NO": "Office", "T": "Date"}


def _write(stream: BinaryIO, documents: Iterable[TaggedDocument], choices: ExportOptions) -> None:
    """A file; the head names the user-defined types in it, so its documents are held until all are known."""
    kinds, written = set[str](), list[bytes]()
    for document in documents:
        kinds |= {row["type"] for row in document.entities if row["type"].startswith(_USER)}
        written.append(_document(document).encode())
    stream.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<ThdlPrototypeExport>\n')
    stream.write(_declared(sorted(kinds)).encode())
    stream.write(b"<documents>\n")
    stream.writelines(written)
    stream.write(b"</documents>\n</ThdlPrototypeExport>\n")


def _declared(kinds: list[str]) -> str:
    told = "".join(
        f'<spotlight category="{kind}" sub_category="-" display_order="{i}" title="{kind.removeprefix(_USER)}"/>\n'
        f'<tag type="contentTagging" name="{kind}" default_category="{kind}" default_sub_category="-"/>\n'
        for i, kind in enumerate(kinds, 1)
    )
    return f'<corpus name="{_CORPUS}">\n<feature_analysis>\n{told}</feature_analysis>\n</corpus>\n' if kinds else ""


def _document(document: TaggedDocument) -> str:
    content = "".join(
        f"<Paragraph>{''.join(_piece(text, kind) for text, kind in paragraph)}</Paragraph>"
        for paragraph in split_paragraphs(document)
    )
    name, title = attribute(document.doc_id), escaped(document.doc_id, "{}")
    return (
        f'<document filename="{name}">\n<corpus>{_CORPUS}</corpus>\n<title>{title}</title>\n'
        f"<doc_content>{content}</doc_content>\n</document>\n"
    )


def _piece(text: str, kind: str) -> str:
    said = escaped(text, _LOST)
    return f"<{kind}>{said}</{kind}>" if kind else said


def _legal(name: str) -> bool:
    return bool(_LEGAL.fullmatch(name))


DOCUSKY = ExportFormat(
    {".xml": _write},
    chars_per_file=CHARS_PER_FILE,
    type_names=TYPE_NAMES,
    other_type_name=f"{_USER}{{}}",
    is_legal_name=_legal,
)
