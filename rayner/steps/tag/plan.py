"""The plan for tagging a corpus: how it is split into segments, and how the segments are grouped into units of work.

The plan depends only on the texts, on `score.unit_chars` and on `tag.max_segment_chars`. Planning reads each text once
and copies it into the table `documents`, so later changes to the files have no effect. The plan is stored in
`OUT/plan/part-*.parquet`, with one row for each slice of a document. A process holds at most two of these parts in
memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from rayner.corpus.ignored_files import IgnoredGroup
from rayner.corpus.parquet_files import read_table, write_table
from rayner.corpus.plain_text.encodings import UTF8
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.reading import CorpusSurvey, Document, map_in_threads, read_document_or_problem, read_documents
from rayner.corpus.scripts.recognition import ScriptCounts
from rayner.corpus.tables import DOCUMENT_SCHEMA
from rayner.corpus.text_files import TextFile
from rayner.corpus.text_listing import get_relative_path, list_text_files
from rayner.errors import ConfigError
from rayner.runs.progress import log, rate_limited
from rayner.runs.storage import StoragePath, list_file_names, remove_file
from rayner.steps.tag.slices import DocumentSlice, Unit, plan_units, unit_number
from rayner.text.json_records import parse_record
from rayner.text.segmentation import Seam

FORMAT_VERSION = 2  # 2: digests of the files of the plan, and seams
UNITS_PER_PART = 1000
_MAX_FILES_IN_MESSAGE = 5  # changed files that a message lists
_SLICE_SCHEMA = pa.schema(
    [
        ("unit", pa.int64()),
        ("documents_sha256", pa.string()),
        ("doc_id", pa.string()),
        ("path", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("segment_ends", pa.list_(pa.int64())),
        ("sha256", pa.string()),
        ("n_chars", pa.int64()),
        ("documents_unit", pa.int64()),
        ("seams", pa.list_(pa.struct([("start", pa.int64()), ("cut", pa.int64()), ("end", pa.int64())]))),
    ]
)


@dataclass(frozen=True)
class PlanSummary:
    """What planning found in a corpus.

    digest: identifies the texts, their names and their order.
    documents, characters, units: the numbers of documents, characters and units in the corpus.
    unread: the reason by file, for files that could not be read.
    ignored: files that are not texts, by suffix.
    empty: files without text.
    unknown_share: share of the characters, as the models read them, that the small model does not know.
    parts: the SHA-256 of each file of the plan, by name.
    encoding: the setting `corpus.encoding` with which the texts were read.
    markup: files that hold tags of HTML or XML.
    scripts: characters that are written in one script only.
    """

    digest: str
    documents: int
    characters: int
    units: int
    unread: dict[str, str]
    empty: list[str]
    unknown_share: float
    parts: dict[str, str]
    ignored: Mapping[str, IgnoredGroup] = field(default_factory=dict)
    encoding: str = UTF8
    markup: MarkupFiles = field(default_factory=MarkupFiles)
    scripts: ScriptCounts = field(default_factory=ScriptCounts)

    def to_json(self) -> dict[str, Any]:
        """Return the summary and its format version as JSON values for the manifest."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: str) -> "PlanSummary":
        """Build a summary from the output of `to_json`.

        Raises ConfigError, naming `path`, if the version differs, and DamagedFileError if the content is incomplete.
        """
        return parse_record(
            cls, content, path, expected="a plan", remedy="take another out=, or start over beside it with --fresh",
            format_version=FORMAT_VERSION, ignore_unknown=True,
        )  # fmt: skip


def survey_corpus(
    corpus: str, unit_chars: int, max_segment_chars: int | None = None, encoding: str = UTF8
) -> CorpusSurvey:
    """Read and plan a corpus without writing anything (`plan_units`). Raises DataError if no file can be read."""
    survey = CorpusSurvey()
    for _ in plan_units(read_documents(corpus, survey, encoding), unit_chars, max_segment_chars):
        survey.units += 1
    return survey


def write_plan_and_documents(
    corpus: str, unit_chars: int, out: StoragePath, max_segment_chars: int | None = None, encoding: str = UTF8
) -> CorpusSurvey:
    """Read a corpus and write its documents and its plan (`plan_units`) into `out`.

    Raises DataError if no file can be read.
    """
    survey = CorpusSurvey()
    part: list[Unit] = []
    report_progress = rate_limited(log.info)
    planned_units = plan_units(read_documents(corpus, survey, encoding), unit_chars, max_segment_chars)
    for unit in map_in_threads(lambda unit: _write_and_drop_documents(unit, out), planned_units):
        survey.units += 1
        report_progress(f"tag: {survey.documents:,} documents, {survey.characters:,} characters read so far")
        part.append(unit)
        if len(part) == UNITS_PER_PART:
            survey.plan_parts[_part_file(part[0].number)] = _write_part(part, out)
            part = []
    if part:
        survey.plan_parts[_part_file(part[0].number)] = _write_part(part, out)
    # An interrupted attempt may have planned more units than this one.
    for name in list_file_names(out / "documents", "unit-", ".parquet"):
        if unit_number(name.removesuffix(".parquet")) >= survey.units:
            remove_file(out / "documents" / name)
    for name in list_file_names(out / "plan", "part-", ".parquet"):
        if int(name[len("part-") : -len(".parquet")]) * UNITS_PER_PART >= survey.units:
            remove_file(out / "plan" / name)
    return survey


def iter_plan_parts(out: StoragePath, parts: Mapping[str, str]) -> Iterator[list[Unit]]:
    """Read the planned units in order, one part at a time.

    parts: the SHA-256 of each file of the plan, by name.
    Raises DataError if a file is missing or damaged.
    """
    for name in sorted(parts):
        rows = read_table(out / "plan" / name, _SLICE_SCHEMA, parts[name]).to_pylist()
        yield [_unit_from_rows(number, unit_rows) for number, unit_rows in groupby(rows, key=lambda row: row["unit"])]


def read_unit_plan(name: str, out: StoragePath, parts: Mapping[str, str]) -> Unit:
    """Read the plan of one unit. `parts` and errors are those of `iter_plan_parts`.

    Raises KeyError if no such unit was planned.
    """
    number = unit_number(name)
    return _read_part(out / "plan" / _part_file(number), parts[_part_file(number)])[number]


def describe_changed_files_by_path(
    corpus: str, out: StoragePath, parts: Mapping[str, str], encoding: str = UTF8
) -> dict[str, str]:
    """Compare the files of a corpus with its plan; return the changes by path (empty if nothing changed)."""
    planned = (
        first for part in iter_plan_parts(out, parts) for unit in part for first in unit.slices if first.start == 0
    )
    present = map_in_threads(partial(_pair_file_with_digest, encoding=encoding), list_text_files(corpus))
    changes: dict[str, str] = {}
    before, now = next(planned, None), next(present, None)
    while before or now:
        if now and now[1] is None:
            now = next(present, None)  # not readable now; if the file was planned, the next branch reports it
        elif before and (not now or get_relative_path(before.doc_id) < get_relative_path(now[0].doc_id)):
            changes[before.path] = "can no longer be read"
            before = next(planned, None)
        elif now and (not before or get_relative_path(now[0].doc_id) < get_relative_path(before.doc_id)):
            changes[now[0].path] = "is new"
            now = next(present, None)
        elif before and now:
            if before.sha256 != now[1]:
                changes[before.path] = "has another text"
            before, now = next(planned, None), next(present, None)
    return changes


def require_same_corpus(corpus: str, out: StoragePath, plan: PlanSummary) -> None:
    """Raise ConfigError if the corpus differs from the planned one. The message names some of the changed files."""
    changes = describe_changed_files_by_path(corpus, out, plan.parts, plan.encoding)
    if changes:
        listed = "; ".join(f"{path} {change}" for path, change in list(changes.items())[:_MAX_FILES_IN_MESSAGE])
        raise ConfigError(
            f"{out}: holds another corpus than {corpus} ({len(changes)} files differ: {listed}): "
            "take another out=, or start over beside it with --fresh"
        )


def _pair_file_with_digest(file: TextFile, encoding: str) -> tuple[TextFile, str | None]:
    """Return the file and its digest. The digest is None if the file cannot be read."""
    document = read_document_or_problem(file, encoding)[1]
    return file, document.sha256 if isinstance(document, Document) else None


def write_documents(unit_name: str, documents: Iterable[Document], out: StoragePath) -> str:
    """Write the documents that begin in a unit, and return the digest of the file."""
    rows = [{**asdict(document), "n_chars": len(document.text)} for document in documents]
    return write_table(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA), out / "documents" / f"{unit_name}.parquet")


def _write_and_drop_documents(unit: Unit, out: StoragePath) -> Unit:
    """Write the documents that begin in a unit; return the unit without these documents to free memory."""
    digest = write_documents(unit.name, unit.new_documents, out)
    return Unit(unit.number, unit.slices, documents_sha256=digest)


def _part_file(number: int) -> str:
    return f"part-{number // UNITS_PER_PART:06d}.parquet"


def _write_part(part: list[Unit], out: StoragePath) -> str:
    rows = [
        {"unit": unit.number, "documents_sha256": unit.documents_sha256, **asdict(document_slice)}
        for unit in part
        for document_slice in unit.slices
    ]
    return write_table(pa.Table.from_pylist(rows, schema=_SLICE_SCHEMA), out / "plan" / _part_file(part[0].number))


# An actor reads many units of the same part one after another. Their long document may begin in an earlier part.
@lru_cache(maxsize=2)
def _read_part(path: StoragePath, sha256: str) -> dict[int, Unit]:
    rows = read_table(path, _SLICE_SCHEMA, sha256).to_pylist()
    return {
        number: _unit_from_rows(number, unit_rows) for number, unit_rows in groupby(rows, key=lambda row: row["unit"])
    }


def _unit_from_rows(number: int, rows: Iterable[dict[str, Any]]) -> Unit:
    lists = ("segment_ends", "seams")
    names = [name for name in _SLICE_SCHEMA.names if name not in ("unit", "documents_sha256", *lists)]
    unit = Unit(number)
    for row in rows:
        unit.documents_sha256 = row["documents_sha256"]
        unit.slices.append(
            DocumentSlice(
                **{name: row[name] for name in names},
                segment_ends=tuple(row["segment_ends"]),
                seams=tuple(Seam(**seam) for seam in row["seams"]),
            )
        )
    return unit
