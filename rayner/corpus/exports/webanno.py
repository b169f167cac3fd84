r"""WebAnno TSV 3.3 format, which INCEpTION imports: a line for each character, with UTF-16 offsets.

Entities are in the layer NamedEntity. A sentence is a line of the text with the line breaks that end it. Each character
is a token, except that a line break is a token only if it begins or ends an entity or begins its sentence.

The description of the format also escapes brackets and similar characters in text, but WebAnno's own reader does not
unescape them. The reader unescapes only `\\`, `\t`, `\n`, `\r`, `\f`, `\b`, and a backslash before any other control
character except VT. So only these escapes are written. The reader adds one line break after the last line, and it
rejects a document without characters.
"""

import re
from collections.abc import Iterable, Iterator

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, get_entity_spans, make_text_writer
from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span, sort_and_check_spans

_LAYER = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
_HEADER = f"#FORMAT=WebAnno TSV 3.3\n#T_SP={_LAYER}|identifier|value\n\n"
_NAMED_ESCAPES = {"\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\b": "\\b", "\\": "\\\\"}
_TEXT_ESCAPES = str.maketrans({**{chr(i): f"\\{chr(i)}" for i in range(32) if not 7 < i < 14}, **_NAMED_ESCAPES})
_ESCAPED_IN_VALUES = re.compile(r"->|[\\\[\]|_;*]")
_SENTENCE = re.compile(r"[^\n]*\n+|[^\n]+")
_NO_ENTITY = "_\t_"


def format_webanno_body_lines(text: str, spans: Iterable[Span]) -> Iterator[str]:
    """Yield the lines that follow the header, without line ends.

    Raises ValueError if spans overlap or exceed the text.
    """
    spans = sort_and_check_spans(spans, len(text))
    values = _format_entity_columns_by_offset(spans)
    entity_edges = {offset for span in spans for offset in (span.start, span.end - 1)}
    code_unit = 0  # offset in UTF-16
    for sentence_number, sentence in enumerate(_SENTENCE.finditer(text), 1):
        yield ""
        yield from (f"#Text={line.translate(_TEXT_ESCAPES)}" for line in sentence[0].split("\n"))
        token_number = 0
        for offset, char in enumerate(sentence[0], sentence.start()):
            begin, code_unit = code_unit, code_unit + 1 + (char > "\uffff")
            if char != "\n" or offset in entity_edges or offset == sentence.start():
                token_number += 1
                token = f"{begin}-{code_unit}\t{char.translate(_TEXT_ESCAPES)}"
                yield f"{sentence_number}-{token_number}\t{token}\t{values.get(offset, _NO_ENTITY)}\t"


def _format_entity_columns_by_offset(spans: Iterable[Span]) -> dict[int, str]:
    """Return the two columns of the layer (identifier and value) for each character in an entity, by offset."""
    values = {}
    n_numbered = 0  # an entity of several tokens has a number
    for span in spans:
        name = _ESCAPED_IN_VALUES.sub(r"\\\g<0>", span.type)
        value = f"*\t{name}"
        if span.end - span.start > 1:
            n_numbered += 1
            value = f"*[{n_numbered}]\t{name}[{n_numbered}]"
        values.update(dict.fromkeys(range(span.start, span.end), value))
    return values


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    lines = format_webanno_body_lines(document.text, get_entity_spans(document))
    return _HEADER + "".join(f"{line}\n" for line in lines)


WEBANNO = ExportFormat({".tsv": make_text_writer(_render)})
