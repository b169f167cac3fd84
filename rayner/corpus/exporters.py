"""The tagged corpus in other people's formats.

EvaHan: a line `char<TAB>tag` for each character, BMES. A line break of the text cannot be such a character: it
becomes a blank line, which readers of the format pass over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rayner.corpus.tables import iter_documents
from rayner.corpus.texts import SUFFIX
from rayner.errors import DataError
from rayner.ner.spans import Span, checked
from rayner.ner.tags import encode
from rayner.storage import Place, replacing

_BREAK = re.compile(r"\r?\n")


@dataclass(frozen=True)
class ExportCounts:
    """What an export wrote. Characters of line breaks, written as blank lines, are not among the characters."""

    documents: int = 0
    characters: int = 0
    entities: int = 0


def evahan_lines(text: str, spans: Iterable[Span], blanks: Iterable[int] = ()) -> Iterator[str]:
    r"""The lines, without their ends, of a text with its entities: `char<TAB>tag`, or "" for a line break.

    blanks: offsets before which to put blank lines of their own (`Labelled.blanks`), up to len(text).
    A lone `\r` is a character. An entity made of line breaks alone has no characters to carry it, and is left out.
    Raises ValueError for spans that overlap or leave the text.
    """
    keep = np.ones(len(text) + 1, dtype=np.int64)
    breaks = [match.span() for match in _BREAK.finditer(text)]
    for start, end in breaks:
        keep[start:end] = 0
    kept = np.cumsum(keep) - keep  # how many characters are kept before each offset
    moved = [Span(int(kept[s.start]), int(kept[s.end]), s.type) for s in checked(spans, len(text))]
    tags = encode((span for span in moved if span.start < span.end), int(kept[-1]))
    empty = Counter(int(kept[at]) for at in (*blanks, *(start for start, _ in breaks)))
    for i, (char, tag) in enumerate(zip(_BREAK.sub("", text), tags, strict=True)):
        yield from [""] * empty[i]
        yield f"{char}\t{tag}"
    yield from [""] * empty[len(tags)]


def export_evahan(tagged: Place, out: Place, *, keep: bool = False) -> ExportCounts:
    """Write each document of a tagged corpus to `out/<doc_id>.txt`, with the subfolders that its doc_id names.

    Each file is whole or not there; files of an earlier export are replaced or, with `keep`, kept: those of one that
    was interrupted. Raises DataError if `tagged` is not a tagged corpus or a doc_id leads out of `out`, OSError if a
    file cannot be written.
    """
    documents = characters = entities = 0
    for document in iter_documents(tagged):
        path = _target(out, document.doc_id)
        if keep and path.exists():
            data = path.read_bytes()
        else:
            spans = [Span(row["start"], row["end"], row["type"]) for row in document.entities]
            data = "".join(f"{line}\n" for line in evahan_lines(document.text, spans)).encode()
            with replacing(path) as stream:
                stream.write(data)
        documents += 1
        characters += sum(map(bool, data.split(b"\n")))
        entities += data.count(b"\tB-") + data.count(b"\tS-")
    return ExportCounts(documents, characters, entities)


def _target(out: Place, doc_id: str) -> Place:
    """The file of a document. Raises DataError for a doc_id that leads out of `out`, by `..` or by a link there."""
    path = out / f"{doc_id}{SUFFIX}"
    odd = any(part in ("", ".", "..") for part in doc_id.split("/")) or "\0" in doc_id
    if odd or (isinstance(path, Path) and not path.resolve().is_relative_to(Path(str(out)).resolve())):
        raise DataError(f"{out}: expected a doc_id that names a file below this folder, found {doc_id!r}")
    return path
