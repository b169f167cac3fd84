"""A corpus as units of work: fixed runs of consecutive segments, planned from the texts alone.

Planning reads every text once and keeps it, as the documents of the tagged corpus: what happens to the files later
changes nothing. The plan lies beside them, `OUT/plan/part-*.parquet`, a row for each piece of a document, so that no
process ever holds more of it than a part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise

import pyarrow as pa

from rayner.corpus.reading import Survey, Text, in_order, read_text, texts_of
from rayner.corpus.tables import DOCUMENTS, read_table, write_table
from rayner.corpus.texts import TextFile, list_texts
from rayner.runs.storage import Place, names_in, remove
from rayner.text.segmentation import sentences

UNITS_A_PART = 1000
_PIECES = pa.schema(
    [
        ("unit", pa.int64()),
        ("doc_id", pa.string()),
        ("path", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("sha256", pa.string()),
        ("n_chars", pa.int64()),
        ("home", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Piece:
    """Characters [start, end) of a document, whose text has this digest and length and lies in the unit `home`."""

    doc_id: str
    path: str
    start: int
    end: int
    sha256: str
    n_chars: int
    home: int


@dataclass
class Unit:
    """A unit of work: its number, its pieces in order; when planned, also the documents that begin in it."""

    number: int
    pieces: list[Piece] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"unit-{self.number:06d}"

    @property
    def characters(self) -> int:
        """Characters in all pieces."""
        return sum(piece.end - piece.start for piece in self.pieces)


def survey(corpus: str, unit_chars: int) -> Survey:
    """Read the corpus and plan it without keeping anything. Raises DataError if nothing of it can be read."""
    seen = Survey()
    for _ in units(texts_of(corpus, seen), unit_chars):
        seen.units += 1
    return seen


def write_plan(corpus: str, unit_chars: int, out: Place) -> Survey:
    """Read the corpus, keep its texts and its plan in `out`. Raises DataError if nothing of it can be read."""
    seen = Survey()
    part: list[Unit] = []
    for unit in in_order(lambda unit: _keep(unit, out), units(texts_of(corpus, seen), unit_chars)):
        seen.units += 1
        part.append(unit)
        if len(part) == UNITS_A_PART:
            _write_part(part, out)
            part = []
    if part:
        _write_part(part, out)
    # What an earlier attempt planned otherwise, and was interrupted at, must not stay.
    for name in names_in(out / "documents", "unit-", ".parquet"):
        if int(name[len("unit-") : -len(".parquet")]) >= seen.units:
            remove(out / "documents" / name)
    for name in names_in(out / "plan", "part-", ".parquet"):
        if int(name[len("part-") : -len(".parquet")]) * UNITS_A_PART >= seen.units:
            remove(out / "plan" / name)
    return seen


def read_plan(out: Place) -> Iterator[list[Unit]]:
    """The planned units, in order, a part at a time."""
    for name in names_in(out / "plan", "part-", ".parquet"):
        rows = read_table(out / "plan" / name, _PIECES).to_pylist()
        yield [
            Unit(number, [Piece(**{key: value for key, value in row.items() if key != "unit"}) for row in pieces])
            for number, pieces in groupby(rows, key=lambda row: row["unit"])
        ]


def differences(corpus: str, out: Place) -> dict[str, str]:
    """The files whose texts are not those that were planned, and what became of them; empty if all are the same."""
    planned = (piece for part in read_plan(out) for unit in part for piece in unit.pieces if piece.start == 0)
    found = in_order(_digest, list_texts(corpus))
    differ: dict[str, str] = {}
    before, now = next(planned, None), next(found, None)
    while before or now:
        if now and now[1] is None:
            now = next(found, None)  # cannot be read: if it was planned, it is found missing below
        elif before and (not now or f"{before.doc_id}.txt" < f"{now[0].doc_id}.txt"):
            differ[before.path] = "can no longer be read"
            before = next(planned, None)
        elif now and (not before or f"{now[0].doc_id}.txt" < f"{before.doc_id}.txt"):
            differ[now[0].path] = "is new"
            now = next(found, None)
        elif before and now:
            if before.sha256 != now[1]:
                differ[before.path] = "has another text"
            before, now = next(planned, None), next(found, None)
    return differ


def units(texts: Iterable[Text], size: int) -> Iterator[Unit]:
    """Units of about `size` characters: several short documents, or part of a long one, cut between sentences."""
    unit, room = Unit(0), size
    for text in texts:
        home = None
        for start, end in _cuts(text.text, size):
            if unit.pieces and end - start > room:
                yield unit
                unit, room = Unit(unit.number + 1), size
            if home is None:
                home = unit.number
                unit.texts.append(text)
            unit.pieces.append(Piece(text.doc_id, text.path, start, end, text.sha256, len(text.text), home))
            room -= end - start
    if unit.pieces:
        yield unit


def _cuts(text: str, size: int) -> Iterator[tuple[int, int]]:
    start = 0
    ends = [end for _, end in sentences(text)] if len(text) > size else []
    for before, after in pairwise(ends):
        if after - start > size:  # the next sentence would not fit
            yield start, before
            start = before
    yield start, len(text)


def _digest(file: TextFile) -> tuple[TextFile, str | None]:
    """The digest of a text, None if it cannot be read."""
    text = read_text(file)[1]
    return file, text.sha256 if isinstance(text, Text) else None


def _keep(unit: Unit, out: Place) -> Unit:
    """Write the documents that begin in a unit; the unit without them."""
    rows = [{**asdict(text), "n_chars": len(text.text)} for text in unit.texts]
    write_table(pa.Table.from_pylist(rows, schema=DOCUMENTS), out / "documents" / f"{unit.name}.parquet")
    return Unit(unit.number, unit.pieces)


def _write_part(part: list[Unit], out: Place) -> None:
    rows = [{"unit": unit.number, **asdict(piece)} for unit in part for piece in unit.pieces]
    path = out / "plan" / f"part-{part[0].number // UNITS_A_PART:06d}.parquet"
    write_table(pa.Table.from_pylist(rows, schema=_PIECES), path)
