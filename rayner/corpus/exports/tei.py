r"""TEI P5 format: the text in one `<ab>`, with entities as elements such as `<persName cert="high" resp="#slm">`.

No white space is added to the text or removed. A line break is kept, and `<lb/>` follows it for programs that collapse
white space. Some characters are not allowed in XML or are changed by some programs: control characters, CR, the line
ends U+0085, U+2028 and U+2029, U+FFFE and U+FFFF. Such a character becomes an empty element, such as
`<g ref="#u000D"/>`. A private-use character is put into a `<g>` element. The `<charDecl>` in the header gives the code
point of each of these characters, so that the text can be restored exactly.
"""

import re

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer
from rayner.corpus.tables import EntityRow, TaggedDocument
from rayner.text.escaping import escape_attribute, format_code_point, make_html_or_xml_escaper

HIGH, MEDIUM = 0.9, 0.5  # the lowest scores that are rated high and medium
_TYPE_NAMES = {
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
_RESPONSIBILITIES = {
    "agree": "named entities on which the small model and the LLM agree",
    "slm": "named entities decided by the small model",
    "llm": "named entities decided by the LLM",
    "person": "named entities decided by a person",
}
_AGENTS = {"person": "a person"}  # all else rayner decided
# Characters, written as inside the brackets of a regular expression.
_UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff"
_PRIVATE_USE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_UNSAFE_CHAR = re.compile(f"[{_UNSAFE}]")
_DECLARED_CHAR = re.compile(f"[{_UNSAFE}{_PRIVATE_USE}]")
_NAME = r"[A-Za-z][A-Za-z0-9._-]*"
_ELEMENT = re.compile(rf'{_NAME}(?: {_NAME}=[^\s"<&{_UNSAFE}{_PRIVATE_USE}]+)*')


def _is_element_with_attributes(name: str) -> bool:
    """Whether a name is `element` or `element attribute=value ...`, with no attribute set twice and no cert or resp."""
    attributes = [part.partition("=")[0] for part in name.split(" ")[1:]]
    return bool(_ELEMENT.fullmatch(name)) and len({"cert", "resp", *attributes}) == len(attributes) + 2


def _encode_special_char(char: str) -> str:
    if char == "\n":
        return "\n<lb/>"
    reference = f'<g ref="#{_char_id(char)}"'
    return f"{reference}/>" if _UNSAFE_CHAR.match(char) else f"{reference}>{char}</g>"


def _char_id(char: str) -> str:
    return f"u{ord(char):04X}"


_escape_text = make_html_or_xml_escaper(f"\n{_UNSAFE}{_PRIVATE_USE}", _encode_special_char)


def rate_certainty(score: float | None, decided_by: str = "") -> str:
    """Return the level of certainty in TEI: `high`, `medium` or `low`, or `unknown` if there is no score.

    The certainty is `high` if a person decided.
    """
    if decided_by == "person":
        return "high"
    if score is None:
        return "unknown"
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


def _format_entity(entity: EntityRow) -> str:
    element, *assignments = entity["type"].split(" ")
    pairs = (assignment.partition("=") for assignment in assignments)
    attributes = [f'{name}="{escape_attribute(value)}"' for name, _, value in pairs]
    attributes.append(f'cert="{rate_certainty(entity["score"], entity["decided_by"])}"')
    if entity["decided_by"] in _RESPONSIBILITIES:
        attributes.append(f'resp="#{entity["decided_by"]}"')
    return f"<{element} {' '.join(attributes)}>{_escape_text(entity['text'])}</{element}>"


def _format_header(document: TaggedDocument) -> str:
    deciders = {entity["decided_by"] for entity in document.entities}
    responsibilities = "".join(
        f'<respStmt xml:id="{name}"><resp>{meaning}</resp><name>{_AGENTS.get(name, "rayner")}</name></respStmt>\n'
        for name, meaning in _RESPONSIBILITIES.items()
        if name in deciders
    )
    by_person = "A person corrected some: their cert is high. " if "person" in deciders else ""
    declared_chars = sorted(set(_DECLARED_CHAR.findall(document.doc_id + document.path + document.text)))
    declarations = "".join(
        f'<char xml:id="{_char_id(char)}"><mapping type="codepoint">{format_code_point(char)}</mapping></char>\n'
        for char in declared_chars
    )
    if declared_chars:
        declarations = f"<charDecl>\n{declarations}</charDecl>\n"
    return (
        f"<teiHeader>\n<fileDesc>\n"
        f"<titleStmt>\n<title>{_escape_text(document.doc_id)}</title>\n{responsibilities}</titleStmt>\n"
        f"<publicationStmt><p>Exported by rayner.</p></publicationStmt>\n"
        f"<sourceDesc><p>{_escape_text(document.path)}</p></sourceDesc>\n</fileDesc>\n"
        f"<encodingDesc>\n<editorialDecl><p>Named entities were tagged automatically. {by_person}"
        f"cert is high from a calibrated probability of {HIGH}, medium from {MEDIUM}, else low, and unknown without "
        f"one.</p></editorialDecl>\n"
        f"{declarations}</encodingDesc>\n</teiHeader>\n"
    )


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0">\n',
        _format_header(document),
        '<text>\n<body>\n<ab xml:space="preserve">',
    ]
    position = 0
    for entity in document.entities:
        parts += [_escape_text(document.text[position : entity["start"]]), _format_entity(entity)]
        position = entity["end"]
    parts += [_escape_text(document.text[position:]), "</ab>\n</body>\n</text>\n</TEI>\n"]
    return "".join(parts)


TEI = ExportFormat(
    {".xml": make_text_writer(_render)},
    type_names=_TYPE_NAMES,
    other_type_name="rs type={}",
    is_legal_name=_is_element_with_attributes,
)
