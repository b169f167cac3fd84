"""A corpus as units of work: fixed runs of consecutive segments, planned from the texts alone.

Planning reads every text once and keeps it, as the documents of the tagged corpus: what happens to the files later
changes nothing. The plan lies beside them, `OUT/plan/part-*.parquet`, a row for each piece of a document, so that no
process ever holds more of it than a part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise

import pyarrow as pa

from rayner.corpus.reading import CorpusSurvey, Document, map_in_threads, read_document, read_documents
from rayner.corpus.tables import DOCUMENT_SCHEMA, read_table, write_table
from rayner.corpus.text_files import TextFile, list_text_files
from rayner.runs.storage import StoragePath, list_file_names, remove_file
from rayner.text.segmentation import split_sentences

UNITS_PER_PART = 1000
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
class DocumentSlice:
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
    slices: list[DocumentSlice] = field(default_factory=list)
    new_documents: list[Document] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"unit-{self.number:06d}"

    @property
    def n_chars(self) -> int:
        """Characters in all pieces."""
        return sum(piece.end - piece.start for piece in self.slices)


def survey_corpus(corpus: str, unit_chars: int) -> CorpusSurvey:
    """Read the corpus and plan it without keeping anything. Raises DataError if nothing of it can be read."""
    seen = CorpusSurvey()
    for _ in plan_units(read_documents(corpus, seen), unit_chars):
        seen.units += 1
    return seen


def write_plan(corpus: str, unit_chars: int, out: StoragePath) -> CorpusSurvey:
    """Read the corpus, keep its texts and its plan in `out`. Raises DataError if nothing of it can be read."""
    seen = CorpusSurvey()
    part: list[Unit] = []
    for unit in map_in_threads(
        lambda unit: _write_new_documents(unit, out), plan_units(read_documents(corpus, seen), unit_chars)
    ):
        seen.units += 1
        part.append(unit)
        if len(part) == UNITS_PER_PART:
            _write_part(part, out)
            part = []
    if part:
        _write_part(part, out)
    # What an earlier attempt planned otherwise, and was interrupted at, must not stay.
    for name in list_file_names(out / "documents", "unit-", ".parquet"):
        if int(name[len("unit-") : -len(".parquet")]) >= seen.units:
            remove_file(out / "documents" / name)
    for name in list_file_names(out / "plan", "part-", ".parquet"):
        if int(name[len("part-") : -len(".parquet")]) * UNITS_PER_PART >= seen.units:
            remove_file(out / "plan" / name)
    return seen


def iter_plan_parts(out: StoragePath) -> Iterator[list[Unit]]:
    """The planned units, in order, a part at a time."""
    for name in list_file_names(out / "plan", "part-", ".parquet"):
        rows = read_table(out / "plan" / name, _PIECES).to_pylist()
        yield [
            Unit(
                number, [DocumentSlice(**{key: value for key, value in row.items() if key != "unit"}) for row in pieces]
            )
            for number, pieces in groupby(rows, key=lambda row: row["unit"])
        ]


def find_changed_files(corpus: str, out: StoragePath) -> dict[str, str]:
    """The files whose texts are not those that were planned, and what became of them; empty if all are the same."""
    planned = (piece for part in iter_plan_parts(out) for unit in part for piece in unit.slices if piece.start == 0)
    found = map_in_threads(_read_digest, list_text_files(corpus))
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


def plan_units(documents: Iterable[Document], unit_chars: int) -> Iterator[Unit]:
    """Units of about `size` characters: several short documents, or part of a long one, cut between sentences."""
    unit, room = Unit(0), unit_chars
    for text in documents:
        home = None
        for start, end in _cut_document(text.text, unit_chars):
            if unit.slices and end - start > room:
                yield unit
                unit, room = Unit(unit.number + 1), unit_chars
            if home is None:
                home = unit.number
                unit.new_documents.append(text)
            unit.slices.append(DocumentSlice(text.doc_id, text.path, start, end, text.sha256, len(text.text), home))
            room -= end - start
    if unit.slices:
        yield unit


def _cut_document(text: str, size: int) -> Iterator[tuple[int, int]]:
    start = 0
    ends = [end for _, end in split_sentences(text)] if len(text) > size else []
    for before, after in pairwise(ends):
        if after - start > size:  # the next sentence would not fit
            yield start, before
            start = before
    yield start, len(text)


def _read_digest(file: TextFile) -> tuple[TextFile, str | None]:
    """The digest of a text, None if it cannot be read."""
    text = read_document(file)[1]
    return file, text.sha256 if isinstance(text, Document) else None


def _write_new_documents(unit: Unit, out: StoragePath) -> Unit:
    """Write the documents that begin in a unit; the unit without them."""
    rows = [{**asdict(text), "n_chars": len(text.text)} for text in unit.new_documents]
    write_table(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA), out / "documents" / f"{unit.name}.parquet")
    return Unit(unit.number, unit.slices)


def _write_part(part: list[Unit], out: StoragePath) -> None:
    rows = [{"unit": unit.number, **asdict(piece)} for unit in part for piece in unit.slices]
    path = out / "plan" / f"part-{part[0].number // UNITS_PER_PART:06d}.parquet"
    write_table(pa.Table.from_pylist(rows, schema=_PIECES), path)
