"""MARKUS's own HTML files, to be opened there and corrected: a passage a paragraph, entities as `<span>`s in it.

Full names, place names, official titles and time periods are MARKUS's own tags; other types are user-defined ones,
which the file's first element describes. A character that XML cannot hold is an empty tag `odd` with its code point:
the files are XML too, since DocuSky's converter reads them so. After what that converter reads, and what other public
converters write.
"""

import json
import re
from typing import Any

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer
from rayner.corpus.exports.paragraphs import attribute, escaped, split_paragraphs
from rayner.corpus.tables import TaggedDocument

TYPE_NAMES = {"NR": "fullName", "NS": "placeName", "NO": "officialTitle", "T": "timePeriod"}
_ODD = "odd"
_BUTTONS = {  # what MARKUS shows of its own tags: name and colour
    "fullName": ("姓名", "#d9534f"),
    "placeName": ("地名", "#428bca"),
    "officialTitle": ("官名", "#5bc0de"),
    "timePeriod": ("時間", "green"),
}
_COLOURS = ("#8c564b", "#9467bd", "#bcbd22", "#17becf", "#e377c2", "#7f7f7f")
_LEGAL = re.compile(rf"(?!(?:{_ODD}|passage|commentIcon|[Aa]lign.*)$)[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_SWITCHES = "".join(
    f' markup{name}="false"' for name in ("fullname", "partialname", "nianhao", "officaltitle", "placename")
)


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    kinds, body = sorted({row["type"] for row in document.entities}), _body(document)
    odd = [_ODD] if _LOST.partition("{")[0] in body else []
    name = attribute(f"{document.doc_id.replace('/', '-')}.html")
    tag = attribute(json.dumps(_buttons([*kinds, *odd]), separators=(",", ":")))
    head = f'<div class="doc"{_SWITCHES} filename="{name}" tag="{tag}"><pre contenteditable="false" dir="ltr">'
    return f"{head}{body}</pre></div>"


def _body(document: TaggedDocument) -> str:
    return "".join(
        f'<span class="passage" type="passage" id="passage{i}"><span class="commentContainer" value="[]">'
        f'<span class="glyphicon glyphicon-comment" type="commentIcon" style="display:none" aria-hidden="true" '
        f'data-markus-passageid="passage{i}"></span></span>{"".join(map(_piece, *zip(*paragraph, strict=True)))}</span>'
        for i, paragraph in enumerate(split_paragraphs(document))
    )


def _piece(text: str, kind: str) -> str:
    said = escaped(text, _LOST)
    return _span(kind, "", said) if kind else said


def _span(kind: str, of: str, said: str) -> str:
    """A tag; of: what it is in an authority file, or ""."""
    return f'<span class="markup manual unsolved {kind}" type="{kind}" {kind.lower()}_id="{of}">{said}</span>'


_LOST = _span(_ODD, "{}", "")


def _buttons(kinds: list[str]) -> dict[str, dict[str, Any]]:
    """What MARKUS is to show of each tag. It spells characters beyond ASCII `&#(22995);`."""
    out = {}
    for i, kind in enumerate(kinds):
        name, colour = _BUTTONS.get(kind, (kind, _COLOURS[i % len(_COLOURS)]))
        spelled = "".join(char if char.isascii() else f"&#({ord(char)});" for char in name)
        out[kind] = {"buttonName": spelled, "visible": True, "color": colour, "status": "bordered"}
    return out


MARKUS = ExportFormat(
    {".html": make_text_writer(_render)}, type_names=TYPE_NAMES, is_legal_name=lambda name: bool(_LEGAL.fullmatch(name))
)
