"""A corpus as units of work: fixed runs of consecutive segments, planned from the texts alone."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rayner.corpus.readers import TextFile, list_texts, read_text
from rayner.errors import DataError
from rayner.ner.segment import sentences


@dataclass(frozen=True)
class Piece:
    """Characters [start, end) of a document, whose whole text has this digest and length."""

    doc_id: str
    path: str
    start: int
    end: int
    sha256: str
    n_chars: int


@dataclass(frozen=True)
class Plan:
    """The units of a corpus in order, and the files that could not be read, with the reason."""

    units: list[list[Piece]]
    unread: dict[str, str]

    @property
    def documents(self) -> int:
        """Documents in all units."""
        return sum(piece.start == 0 for unit in self.units for piece in unit)

    @property
    def characters(self) -> int:
        """Characters in all units."""
        return sum(piece.end - piece.start for unit in self.units for piece in unit)

    @property
    def digest(self) -> str:
        """What identifies texts, names and the cut into units."""
        total = hashlib.sha256()
        for unit in self.units:
            for piece in unit:
                total.update(f"{piece.doc_id}\0{piece.sha256}\0{piece.start}\0{piece.end}\n".encode())
            total.update(b"\n")
        return total.hexdigest()


def plan(corpus: str, unit_chars: int) -> Plan:
    """Units of about `unit_chars` characters: several short documents, or part of a long one.

    A file that cannot be read is named, and the rest goes on. Raises DataError if none can be.
    """
    unread: dict[str, str] = {}
    units: list[list[Piece]] = []
    room = 0
    for piece in _pieces(list_texts(corpus), unit_chars, unread):
        if not units or piece.end - piece.start > room:
            units.append([])
            room = unit_chars
        units[-1].append(piece)
        room -= piece.end - piece.start
    if not units:
        raise DataError(f"{corpus}: no file could be read; the first: {next(iter(unread.values()))}")
    return Plan(units, unread)


def digest_of(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal: that of its file."""
    return hashlib.sha256(text.encode()).hexdigest()


def _pieces(files: Sequence[TextFile], size: int, unread: dict[str, str]) -> Iterator[Piece]:
    for file in files:
        try:
            text = read_text(file.path)
        except DataError as error:
            unread[file.path] = str(error)
            continue
        digest, start = digest_of(text), 0
        ends = [end for _, end in sentences(text)] if len(text) > size else []
        for before, after in pairwise(ends):
            if after - start > size:  # the next sentence would not fit
                yield Piece(file.doc_id, file.path, start, before, digest, len(text))
                start = before
        yield Piece(file.doc_id, file.path, start, len(text), digest, len(text))
