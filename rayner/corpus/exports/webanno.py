r"""WebAnno TSV 3.3, which INCEpTION imports: a line a character, offsets in UTF-16, the layer NamedEntity.

A sentence is a line of the text with the line breaks that end it. Each character is a token, but for line breaks: one
is a token only where it begins or ends an entity, or where its sentence begins with it.

The format's description would escape brackets and the like in text, but its own reader does not undo that: it undoes
`\\`, `\t`, `\n`, `\r`, `\f`, `\b` and a backslash before any other control character but VT. What is written is what
that reader undoes. It puts one line break of its own after the last line, and refuses a document without characters.
"""

import re
from collections.abc import Iterable, Iterator

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, get_entity_spans, make_text_writer
from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span, sort_and_check_spans

_LAYER = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
_HEAD = f"#FORMAT=WebAnno TSV 3.3\n#T_SP={_LAYER}|identifier|value\n\n"
_READABLE = {"\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\b": "\\b", "\\": "\\\\"}
_TEXT = str.maketrans({**{chr(i): f"\\{chr(i)}" for i in range(32) if not 7 < i < 14}, **_READABLE})
_VALUE = re.compile(r"->|[\\\[\]|_;*]")
_SENTENCE = re.compile(r"[^\n]*\n+|[^\n]+")


def format_webanno_lines(text: str, spans: Iterable[Span]) -> Iterator[str]:
    """The lines, without their ends, that follow the header.

    Raises ValueError for spans that overlap or leave the text.
    """
    spans = sort_and_check_spans(spans, len(text))
    values = _values(spans)
    edges = {at for span in spans for at in (span.start, span.end - 1)}
    unit = 0  # of UTF-16
    for number, sentence in enumerate(_SENTENCE.finditer(text), 1):
        yield ""
        yield from (f"#Text={line.translate(_TEXT)}" for line in sentence[0].split("\n"))
        token = 0
        for at, char in enumerate(sentence[0], sentence.start()):
            begin, unit = unit, unit + 1 + (char > "\uffff")
            if char != "\n" or at in edges or at == sentence.start():
                token += 1
                value = values.get(at, "_\t_")
                yield f"{number}-{token}\t{begin}-{unit}\t{char.translate(_TEXT)}\t{value}\t"


def _values(spans: Iterable[Span]) -> dict[int, str]:
    """What the columns of the layer's two features hold, at each character of an entity."""
    out = {}
    number = 0
    for span in spans:
        name = _VALUE.sub(r"\\\g<0>", span.type)
        value = f"*\t{name}"
        if span.end - span.start > 1:
            number += 1
            value = f"*[{number}]\t{name}[{number}]"
        out.update(dict.fromkeys(range(span.start, span.end), value))
    return out


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    return _HEAD + "".join(f"{line}\n" for line in format_webanno_lines(document.text, get_entity_spans(document)))


WEBANNO = ExportFormat({".tsv": make_text_writer(_render)})
