"""Read corrections in the formats in which people write them.

- `.json`: the file that a page of `rayner view` saves, or a JSON export of Label Studio;
- `.csv`: a row for each correction, with the columns of `rayner export --to csv` and `scope`, if it is wanted;
- `.jsonl`: the `corrections.jsonl` of a corrected corpus;
- any other name: a labelled file, such as char-tab-tag.

Label Studio's export and a labelled file hold whole sentences. What differs from the prediction is a correction.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from rayner.corpus.corrections.correction import (
    CONTEXT_CHARS,
    HERE,
    NOT_AN_ENTITY,
    Correction,
    check_correction,
    correction_from_json,
    read_corrections_file,
)
from rayner.corpus.labels.json_values import read_json_file
from rayner.corpus.review.corrections import read_corrections
from rayner.corpus.review.provenance import Provenance, ReviewSentence
from rayner.corpus.text_files import read_utf8
from rayner.errors import ConfigError, DataError
from rayner.runs.storage import StoragePath
from rayner.text.messages import shorten_repr
from rayner.text.spans import Span

PAGE_FORMAT, _PAGE_FORMAT_VERSION = "rayner-corrections", 1
CSV_COLUMNS = ("doc_id", "start", "end", "text", "type")
_SCOPE_COLUMN = "scope"


@dataclass(frozen=True)
class CorrectionContext:
    """What is needed to read corrections that do not say everything themselves.

    provenance: The sentences that were given out, for files that hold whole sentences.
    types: The entity types that may occur in such a file.
    scope: The scope of a correction that names none.
    """

    provenance: Provenance = field(default_factory=Provenance)
    types: Collection[str] = ()
    scope: str = HERE


def read_correction_files(paths: Iterable[StoragePath], context: CorrectionContext) -> list[Correction]:
    """Read the corrections in some files, in order.

    Raises:
        ConfigError: A file holds whole sentences, and no provenance file was named.
        DataError: A file has another format, or a correction makes no sense. The message names the file and the place.

    """
    return [correction for path in paths for correction in _read_file(path, context)]


def _read_file(path: StoragePath, context: CorrectionContext) -> Iterable[Correction]:
    if path.suffix == ".jsonl":
        return read_corrections_file(path)
    if path.suffix == ".csv":
        return _read_csv(path, context.scope)
    if path.suffix == ".json" and isinstance(content := read_json_file(path), dict):
        return _read_page_file(content, path)
    return _read_sentences(path, context)


def _read_page_file(content: dict[str, Any], path: StoragePath) -> Iterator[Correction]:
    if content.get("format") != PAGE_FORMAT or content.get("format_version") != _PAGE_FORMAT_VERSION:
        found = f"format {shorten_repr(content.get('format'))}, version {shorten_repr(content.get('format_version'))}"
        raise DataError(f"{path}: expected format {PAGE_FORMAT!r}, version {_PAGE_FORMAT_VERSION}, found {found}")
    rows = content.get("corrections")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of corrections, found {shorten_repr(rows)}")
    for i, row in enumerate(rows):
        yield correction_from_json({**row, "source": path.name}, f"{path}: correction {i + 1}")


def _read_csv(path: StoragePath, scope: str) -> Iterator[Correction]:
    rows = csv.DictReader(io.StringIO(read_utf8(path).removeprefix("\ufeff"), newline=""), strict=True)
    try:
        missing = [name for name in CSV_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise DataError(f"{path}:1: expected columns {', '.join(CSV_COLUMNS)}, found no {missing[0]}")
        for row in rows:
            location = f"{path}:{rows.line_num}"
            if any(row[name] is None for name in CSV_COLUMNS):
                raise DataError(f"{location}: expected {len(rows.fieldnames or ())} cells, found fewer")
            yield _make_correction_of_row(row, scope, path.name, location)
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: expected a row of CSV, found: {error}") from None


def _make_correction_of_row(row: dict[str, str], scope: str, source: str, location: str) -> Correction:
    try:
        start, end = int(row["start"]), int(row["end"])
    except ValueError:
        found = f"{shorten_repr(row['start'])} and {shorten_repr(row['end'])}"
        raise DataError(f"{location}: expected whole numbers as start and end, found {found}") from None
    correction = Correction(
        row["doc_id"], start, end, row["text"], row["type"].strip(), row.get(_SCOPE_COLUMN) or scope, source=source
    )
    return check_correction(correction, location)


def _read_sentences(path: StoragePath, context: CorrectionContext) -> Iterator[Correction]:
    """Yield what differs from the prediction in a file that holds whole sentences."""
    if not context.provenance.sentences:
        raise ConfigError(
            f"{path}: holds whole sentences, and no provenance file was named: name the one that was written with "
            "them, by --from"
        )
    spans_by_text = read_corrections([path], context.provenance, context.types).spans_by_text
    for sentence in context.provenance.sentences:
        if sentence.text in spans_by_text:
            for span in list_changed_spans(sentence.predicted, spans_by_text[sentence.text]):
                yield _make_correction_of_span(sentence, span, context.scope, path.name)


def list_changed_spans(predicted: Collection[Span], corrected: Collection[Span]) -> list[Span]:
    """Return the entities that a correction added or changed, and, without a type, those that it removed."""
    added = [span for span in corrected if span not in predicted]
    removed = [replace(span, type=NOT_AN_ENTITY) for span in predicted if not any(map(span.overlaps, corrected))]
    return sorted([*added, *removed])


def _make_correction_of_span(sentence: ReviewSentence, span: Span, scope: str, source: str) -> Correction:
    text = sentence.text
    return Correction(
        sentence.doc_id, sentence.start + span.start, sentence.start + span.end, text[span.start : span.end], span.type,
        scope, text[max(0, span.start - CONTEXT_CHARS) : span.start], text[span.end : span.end + CONTEXT_CHARS], source,
    )  # fmt: skip
