"""What makes an export format: how documents become its files, and the names of entity types in them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from rayner.corpus.tables import TaggedDocument
from rayner.text.markup import is_markup_type
from rayner.text.spans import Span

CHARS_PER_FILE = 4_000_000  # of files with many documents: a spreadsheet can hold the entities of so many characters
CONLL_SCHEMES = ("BIO", "BIOES")
_LINE_END_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"})


@dataclass(frozen=True)
class ExportOptions:
    """What a user may choose. A format uses the fields that its `options` names.

    scheme: one of CONLL_SCHEMES. bom: begin each file with U+FEFF, by which Excel recognises UTF-8.
    """

    scheme: str = CONLL_SCHEMES[0]
    bom: bool = False


# Writes a file: the documents in it, in order, whose types already have the names of the format.
WriteFile = Callable[[BinaryIO, Iterable[TaggedDocument], ExportOptions], None]


@dataclass(frozen=True)
class ExportFormat:
    """An export format.

    writers: what writes each file of a document, by the end of the file's name.
    chars_per_file: 0 if each document has its own files; else the size at which a new file begins. Such a format has
        one kind of file, in `folder` (which ends in `/`).
    type_names: the names of types in this format. other_type_name: that of any other type (`{}`: the type).
    is_legal_name: whether the format can write a type with this name.
    extra_files: from the names of all types, further files by their names.
    count_exported: the characters and entities of a document that the format holds.
    options: the fields of ExportOptions that it uses.
    """

    writers: Mapping[str, WriteFile]
    chars_per_file: int = 0
    folder: str = ""
    type_names: Mapping[str, str] = field(default_factory=dict)
    other_type_name: str = "{}"
    is_legal_name: Callable[[str], bool] = is_markup_type
    extra_files: Callable[[Sequence[str]], dict[str, bytes]] = lambda types: {}
    count_exported: Callable[[TaggedDocument], tuple[int, int]] = lambda document: (
        len(document.text),
        len(document.entities),
    )
    options: tuple[str, ...] = ()

    def name_type(self, entity_type: str) -> str:
        """Return this format's name of an entity type."""
        return self.type_names.get(entity_type) or self.other_type_name.format(entity_type)


def make_text_writer(
    render: Callable[[TaggedDocument, ExportOptions], str], header: str = "", separator: str = "", footer: str = ""
) -> WriteFile:
    """Return a function that writes UTF-8 files: a header, each document as text with a separator between, a footer."""

    def write_file(stream: BinaryIO, documents: Iterable[TaggedDocument], options: ExportOptions) -> None:
        stream.write(header.encode())
        for i, document in enumerate(documents):
            stream.write(((separator if i else "") + render(document, options)).encode())
        stream.write(footer.encode())

    return write_file


def get_entity_spans(document: TaggedDocument) -> list[Span]:
    """Return the entities of a document as spans, in order."""
    return [Span(entity["start"], entity["end"], entity["type"]) for entity in document.entities]


def shorten_float32(score: float | None) -> float | None:
    """Return the number with the fewest digits that is the same in 32 bits: 0.9, not 0.8999999761581421."""
    return None if score is None else float(str(np.float32(score)))


def format_json_without_line_breaks(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON in one line, without characters that some reader takes for the end of a line."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(_LINE_END_ESCAPES)
