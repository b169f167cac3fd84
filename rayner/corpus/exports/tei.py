r"""TEI P5: the text in one `<ab>`, entities as `<persName cert="high" resp="#slm">` and the like.

White space is the text's own. A line break is itself, and `<lb/>` after it for readers who fold white space. What XML
cannot hold, or some reader would change (control characters, CR, the line ends U+0085, U+2028 and U+2029, U+FFFE and
U+FFFF), is an empty `<g ref="#u000D"/>`; a private-use character stands in a `<g>` of its own. The header's
`<charDecl>` tells the code point of each, so the text comes back exactly.
"""

import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer
from rayner.corpus.tables import TaggedDocument

HIGH, MEDIUM = 0.9, 0.5  # scores from which on certainty is called so
TYPE_NAMES = {
    "NR": "persName",
    "NS": "placeName",
    "NO": "roleName",
    "NB": "title",
    "T": "date",
    "NG": "placeName type=country",
    "ZD": "term type=disease",
    "ZZ": "term type=syndrome",
    "ZF": "term type=formula",
    "ZP": "term type=decoctionPiece",
    "ZS": "term type=symptom",
    "ZA": "term type=acupoint",
}
_RESP = {
    "agree": "named entities on which the small model and the LLM agree",
    "slm": "named entities decided by the small model",
    "llm": "named entities decided by the LLM",
}
_LOST = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff"
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_ODD = re.compile(f"[{_LOST}{_PRIVATE}]")
_SPECIAL = re.compile(f"[\n&<>{_LOST}{_PRIVATE}]")
_NAME = r"[A-Za-z][A-Za-z0-9._-]*"
_ELEMENT = re.compile(rf'{_NAME}(?: {_NAME}=[^\s"<&{_LOST}{_PRIVATE}]+)*')


def _legal(name: str) -> bool:
    """Whether it is `element` or `element attribute=value ...`, of attributes that are not set anyway."""
    attributes = [part.partition("=")[0] for part in name.split(" ")[1:]]
    return bool(_ELEMENT.fullmatch(name)) and len({"cert", "resp", *attributes}) == len(attributes) + 2


def _spelled(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\n":
        return "\n<lb/>"
    if char in "&<>":
        return escape(char)
    ref = f'<g ref="#{_id(char)}"'
    return f"{ref}/>" if re.match(f"[{_LOST}]", char) else f"{ref}>{char}</g>"


def _id(char: str) -> str:
    return f"u{ord(char):04X}"


def _text(text: str) -> str:
    return _SPECIAL.sub(_spelled, text)


def rate_certainty(score: float | None) -> str:
    """`high`, `medium` or `low`, or `unknown` without a score."""
    if score is None:
        return "unknown"
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


def _entity(row: dict[str, Any]) -> str:
    element, *attributes = row["type"].split(" ")
    told = [f"{key}={quoteattr(value)}" for key, _, value in (part.partition("=") for part in attributes)]
    told.append(f'cert="{rate_certainty(row["score"])}"')
    if row["decided_by"] in _RESP:
        told.append(f'resp="#{row["decided_by"]}"')
    return f"<{element} {' '.join(told)}>{_text(row['text'])}</{element}>"


def _header(document: TaggedDocument) -> str:
    resp = "".join(
        f'<respStmt xml:id="{name}"><resp>{meaning}</resp><name>rayner</name></respStmt>\n'
        for name, meaning in _RESP.items()
    )
    odd = sorted(set(_ODD.findall(document.doc_id + document.path + document.text)))
    chars = "".join(
        f'<char xml:id="{_id(char)}"><mapping type="codepoint">U+{ord(char):04X}</mapping></char>\n' for char in odd
    )
    declared = f"<charDecl>\n{chars}</charDecl>\n" if odd else ""
    return (
        f"<teiHeader>\n<fileDesc>\n<titleStmt>\n<title>{_text(document.doc_id)}</title>\n{resp}</titleStmt>\n"
        f"<publicationStmt><p>Exported by rayner.</p></publicationStmt>\n"
        f"<sourceDesc><p>{_text(document.path)}</p></sourceDesc>\n</fileDesc>\n"
        f"<encodingDesc>\n<editorialDecl><p>Named entities were tagged automatically. cert is high from a calibrated "
        f"probability of {HIGH}, medium from {MEDIUM}, else low, and unknown without one.</p></editorialDecl>\n"
        f"{declared}</encodingDesc>\n</teiHeader>\n"
    )


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0">\n', _header(document)]
    out.append('<text>\n<body>\n<ab xml:space="preserve">')
    end = 0
    for row in document.entities:
        out += [_text(document.text[end : row["start"]]), _entity(row)]
        end = row["end"]
    out += [_text(document.text[end:]), "</ab>\n</body>\n</text>\n</TEI>\n"]
    return "".join(out)


TEI = ExportFormat(
    {".xml": make_text_writer(_render)}, type_names=TYPE_NAMES, other_type_name="rs type={}", is_legal_name=_legal
)
