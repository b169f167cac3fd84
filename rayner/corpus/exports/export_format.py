"""What a format is to the export: how documents become its files, and what it calls the types of entities."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from rayner.corpus.tables import TaggedDocument
from rayner.text.spans import Span

CHARS_PER_FILE = (
    4_000_000  # characters of a file that holds many documents; a spreadsheet takes the entities of so many
)
CONLL_SCHEMES = ("BIO", "BIOES")
_LEGAL = re.compile(r"[^<>/&\s]+")  # what the LLM's markup can spell, and so what rayner reads
_ENDS_LINES = {char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}


@dataclass(frozen=True)
class ExportOptions:
    """What a user may choose. A format heeds what its `options` names.

    scheme: of SCHEMES. bom: begin each file with U+FEFF, by which Excel knows UTF-8.
    """

    scheme: str = CONLL_SCHEMES[0]
    bom: bool = False


WriteFile = Callable[[BinaryIO, Iterable[TaggedDocument], ExportOptions], None]


@dataclass(frozen=True)
class ExportFormat:
    """A format.

    files: by the end of its name, what writes a file: the documents in it, in order, whose types are spelled already.
    shard: 0 if each document has files of its own; else the characters from which on the next file is begun. Such a
        format has one kind of file, and `folder` (ending in `/`) is where it lies.
    tags, other: what types are called, unless the user says otherwise: by type, and any other (`{}`: the type).
    legal: whether the format can spell such a name.
    beside: further files, by name, known once all types are.
    held: characters and entities of a document that the format holds, if not all.
    takes: the fields of Choices that concern it.
    """

    writers: Mapping[str, WriteFile]
    chars_per_file: int = 0
    folder: str = ""
    type_names: Mapping[str, str] = field(default_factory=dict)
    other_type_name: str = "{}"
    is_legal_name: Callable[[str], bool] = lambda name: bool(_LEGAL.fullmatch(name))
    extra_files: Callable[[Sequence[str]], dict[str, bytes]] = lambda kinds: {}
    count_exported: Callable[[TaggedDocument], tuple[int, int]] = lambda document: (
        len(document.text),
        len(document.entities),
    )
    options: tuple[str, ...] = ()


def make_text_writer(
    render: Callable[[TaggedDocument, ExportOptions], str], header: str = "", separator: str = "", footer: str = ""
) -> WriteFile:
    """What writes a file that is the text of each of its documents, one after the other, in UTF-8."""

    def write(stream: BinaryIO, documents: Iterable[TaggedDocument], choices: ExportOptions) -> None:
        stream.write(header.encode())
        for i, document in enumerate(documents):
            stream.write(((separator if i else "") + render(document, choices)).encode())
        stream.write(footer.encode())

    return write


def get_entity_spans(document: TaggedDocument) -> list[Span]:
    """The entities as spans, in order."""
    return [Span(row["start"], row["end"], row["type"]) for row in document.entities]


def shorten_float32(score: float | None) -> float | None:
    """A score as the number with the fewest digits that is the same as a 32-bit one: 0.9, not 0.8999999761581421."""
    return None if score is None else float(str(np.float32(score)))


def format_json_line(value: Any) -> str:  # noqa: ANN401 - anything that JSON holds
    """JSON in one line, by whatever rule a reader ends lines."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(_TABLE)


_TABLE = str.maketrans(_ENDS_LINES)
