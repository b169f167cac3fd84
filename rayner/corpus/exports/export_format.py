"""The description of an export format: how to write its files, and how entity types are named in the files."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from rayner.corpus.tables import TaggedDocument
from rayner.text.markup import is_markup_type
from rayner.text.spans import Span

CHARS_PER_FILE = 4_000_000  # for files with many documents; a spreadsheet can open the entities of this many characters
CONLL_SCHEMES = ("BIO", "BIOES")
_LINE_END_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"})


@dataclass(frozen=True)
class ExportOptions:
    """The options that a user may choose. A format uses only the fields that are listed in its `options`.

    scheme: One of CONLL_SCHEMES.
    bom: Whether each file begins with U+FEFF, so that Excel recognises UTF-8.
    """

    scheme: str = CONLL_SCHEMES[0]
    bom: bool = False


# Writes the documents, in order, to one file. Their types already have the names of the format.
WriteFile = Callable[[BinaryIO, Iterable[TaggedDocument], ExportOptions], None]


@dataclass(frozen=True)
class ExportFormat:
    """An export format.

    writers: For each suffix, the function that writes the files with this suffix.
    chars_per_file: 0 if each document has its own files. Otherwise, the maximum number of characters in a file, unless
        the file has only one document. If it is not 0, `writers` must have exactly one entry.
    folder: The subfolder for the files if `chars_per_file` is not 0. It ends in `/`.
    type_names: The names of entity types in this format.
    other_type_name: The name of a type that is not in `type_names`. `{}` stands for the type.
    is_legal_name: Whether the format can write a type with this name.
    extra_files: A function that takes the names of all types and returns the contents of further files, by file name.
    count_exported: A function that returns how many characters and entities of a document the format can represent.
    options: The fields of ExportOptions that the format uses.
    name: The name of the format. The marker of an export's folder contains it.
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
    name: str = ""

    def name_type(self, entity_type: str) -> str:
        """Return the name of an entity type in this format."""
        return self.type_names.get(entity_type) or self.other_type_name.format(entity_type)


def make_text_writer(
    render: Callable[[TaggedDocument, ExportOptions], str], header: str = "", separator: str = "", footer: str = ""
) -> WriteFile:
    """Return a function that writes documents as text to a UTF-8 file.

    Args:
        render: A function that returns the text of a document.
        header: The text at the beginning of the file.
        separator: The text between two documents.
        footer: The text at the end of the file.

    """

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
    """Return the shortest decimal number with the same float32 value, such as 0.9 instead of 0.8999999761581421."""
    return None if score is None else float(str(np.float32(score)))


def format_json_without_line_breaks(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON in one line, without characters that some programs treat as the end of a line."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(_LINE_END_ESCAPES)
