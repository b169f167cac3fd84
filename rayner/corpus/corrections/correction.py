"""The record of a correction, and `corrections.jsonl`, the file of a tagged corpus that holds its corrections."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rayner.corpus.labels.json_values import parse_json_text
from rayner.corpus.tables import book_of
from rayner.corpus.text_files import read_utf8, write_utf8
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.json_records import describe_json, record_from_json, record_to_json
from rayner.text.markup import is_markup_type
from rayner.text.messages import shorten_repr

CORRECTIONS_FILE = "corrections.jsonl"
NOT_AN_ENTITY = ""
HERE = "here"
SCOPES = (HERE, "document", "book", "corpus")  # from the narrowest to the widest
CONTEXT_CHARS = 20  # on each side


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person decided about characters [start, end) of a document, or about a string wherever it stands.

    text: The characters.
    type: The entity type; "" if they are not an entity.
    scope: Where it holds: `here`, or at every mention of the text in the document, its book or the corpus.
    before, after: The text on both sides, up to 20 characters. They identify the place if the document changes.
    source: The name of the file from which the correction was read.
    """

    doc_id: str
    start: int
    end: int
    text: str
    type: str
    scope: str = HERE
    before: str = ""
    after: str = ""
    source: str = ""

    def holds_in(self, doc_id: str) -> bool:
        """Return whether the correction holds in a document."""
        if self.scope == "book":
            return book_of(self.doc_id) == book_of(doc_id)
        return self.scope == "corpus" or self.doc_id == doc_id


def check_correction(correction: Correction, location: str) -> Correction:
    """Return a correction. Raises DataError, whose message begins with `location`, if its fields make no sense."""
    found = ""
    if not correction.text or not 0 <= correction.start == correction.end - len(correction.text):
        found = f"{shorten_repr(correction.text)} at [{correction.start}, {correction.end})"
        raise DataError(f"{location}: expected a text and its place, as many characters as it has, found {found}")
    if correction.scope not in SCOPES:
        raise DataError(f"{location}: expected scope {', '.join(SCOPES)}, found {shorten_repr(correction.scope)}")
    if correction.type != NOT_AN_ENTITY and not is_markup_type(correction.type):
        raise DataError(
            f"{location}: expected a type without white space, <, >, / and &, or none for what is not an entity, "
            f"found {shorten_repr(correction.type)}"
        )
    return correction


def format_corrections(corrections: Sequence[Correction]) -> str:
    """Return the content of `corrections.jsonl`: a JSON object on each line."""
    return "".join(json.dumps(record_to_json(one), ensure_ascii=False) + "\n" for one in corrections)


def digest_corrections(corrections: Sequence[Correction]) -> str:
    """Return the SHA-256 of corrections, in hexadecimal; "" if there are none."""
    return hashlib.sha256(format_corrections(corrections).encode()).hexdigest() if corrections else ""


def write_corrections_file(corrections: Sequence[Correction], path: StoragePath) -> None:
    """Write a `corrections.jsonl`."""
    write_utf8(path, format_corrections(corrections))


def read_corrections_file(path: StoragePath) -> list[Correction]:
    """Read a `corrections.jsonl`. Raises DataError, which names the line, and OSError if the file is missing."""
    lines = read_utf8(path).split("\n")
    if lines and lines[-1]:
        raise DataError(f"{path}: expected a line break at the end, found none: the file is not complete")
    return [parse_correction(line, f"{path}:{i + 1}") for i, line in enumerate(lines[:-1])]


def read_corrections_of_corpus(tagged: StoragePath) -> list[Correction]:
    """Read the corrections that a tagged corpus holds; none if it has no `corrections.jsonl`.

    Raises DataError, which names the line, if the file is damaged.
    """
    path = tagged / CORRECTIONS_FILE
    try:
        return read_corrections_file(path) if path.exists() else []
    except DataError as error:
        raise DataError(f"{error}: restore it from a backup, or from the corpus that was corrected") from None


def parse_correction(line: str, location: str) -> Correction:
    """Return the correction in a JSON text. Raises DataError, whose message begins with `location`."""
    value = parse_json_text(line, location)
    if not isinstance(value, dict):
        raise DataError(f"{location}: expected a correction, found {describe_json(value)}")
    return correction_from_json(value, location)


def correction_from_json(content: Mapping[str, Any], location: str) -> Correction:
    """Return the correction in a JSON object. Raises DataError, whose message begins with `location`."""
    try:
        correction = record_from_json(Correction, content)
        format_corrections([correction]).encode()  # raises ValueError for a lone surrogate, such as "\ud800"
    except ValueError as error:
        raise DataError(f"{location}: expected a correction, found: {error}") from None
    return check_correction(correction, location)
