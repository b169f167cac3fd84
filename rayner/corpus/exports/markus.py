"""MARKUS format: HTML files to open and correct in MARKUS. A paragraph is a passage, and its entities are `<span>`s.

MARKUS has tags for full names, place names, official titles and time periods. Other types are user-defined. The first
element of a file describes all of its tags. The files are also XML, because DocuSky's converter reads them as XML. So a
character that XML does not allow is written as an empty tag `odd` with the code point. Sources: the input of that
converter, and the output of other public converters.
"""

import json
import re
from typing import Any

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer
from rayner.corpus.exports.paragraphs import ParagraphPiece, split_paragraphs
from rayner.corpus.tables import TaggedDocument
from rayner.text.escaping import escape_attribute, format_code_point, make_xml_escaper

_TYPE_NAMES = {"NR": "fullName", "NS": "placeName", "NO": "officialTitle", "T": "timePeriod"}
_ILLEGAL_CHAR_TAG = "odd"
_BUTTONS = {  # name and colour with which MARKUS shows its own tags
    "fullName": ("姓名", "#d9534f"),
    "placeName": ("地名", "#428bca"),
    "officialTitle": ("官名", "#5bc0de"),
    "timePeriod": ("時間", "green"),
}
_COLOURS = ("#8c564b", "#9467bd", "#bcbd22", "#17becf", "#e377c2", "#7f7f7f")
_TAG_NAME = re.compile(rf"(?!(?:{_ILLEGAL_CHAR_TAG}|passage|commentIcon|[Aa]lign.*)$)[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_SWITCHES = "".join(
    f' markup{name}="false"' for name in ("fullname", "partialname", "nianhao", "officaltitle", "placename")
)


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    tags, body = sorted({entity["type"] for entity in document.entities}), _format_body(document)
    if f'<span class="markup manual unsolved {_ILLEGAL_CHAR_TAG}"' in body:
        tags.append(_ILLEGAL_CHAR_TAG)
    name = escape_attribute(f"{document.doc_id.replace('/', '-')}.html")
    buttons = escape_attribute(json.dumps(_build_button_settings(tags), separators=(",", ":")))
    head = f'<div class="doc"{_SWITCHES} filename="{name}" tag="{buttons}"><pre contenteditable="false" dir="ltr">'
    return f"{head}{body}</pre></div>"


def _format_body(document: TaggedDocument) -> str:
    return "".join(
        f'<span class="passage" type="passage" id="passage{i}"><span class="commentContainer" value="[]">'
        f'<span class="glyphicon glyphicon-comment" type="commentIcon" style="display:none" aria-hidden="true" '
        f'data-markus-passageid="passage{i}"></span></span>{"".join(map(_format_piece, paragraph))}</span>'
        for i, paragraph in enumerate(split_paragraphs(document))
    )


def _format_piece(piece: ParagraphPiece) -> str:
    content = _escape_text(piece.text)
    return _format_tag(piece.type, "", content) if piece.type else content


def _format_tag(tag: str, authority_id: str, content: str) -> str:
    return f'<span class="markup manual unsolved {tag}" type="{tag}" {tag.lower()}_id="{authority_id}">{content}</span>'


_escape_text = make_xml_escaper(lambda char: _format_tag(_ILLEGAL_CHAR_TAG, format_code_point(char), ""))


def _build_button_settings(tags: list[str]) -> dict[str, dict[str, Any]]:
    """Return how MARKUS shows each tag. A character beyond ASCII is written as in `&#(22995);`."""
    buttons = {}
    for i, tag in enumerate(tags):
        name, colour = _BUTTONS.get(tag, (tag, _COLOURS[i % len(_COLOURS)]))
        ascii_name = "".join(char if char.isascii() else f"&#({ord(char)});" for char in name)
        buttons[tag] = {"buttonName": ascii_name, "visible": True, "color": colour, "status": "bordered"}
    return buttons


MARKUS = ExportFormat(
    {".html": make_text_writer(_render)},
    type_names=_TYPE_NAMES,
    is_legal_name=lambda name: bool(_TAG_NAME.fullmatch(name)),
)
