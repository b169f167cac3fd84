"""The record of a unit of a tagged corpus, `OUT/units/unit-000000.json`: digests of its files, and counts.

The record is written after the files of the unit. So a unit is complete if its record exists, and undamaged if its
files have the digests in the record.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rayner.errors import DataError
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.storage import StoragePath, list_file_names
from rayner.text.json_records import parse_record, record_to_json

FORMAT_VERSION = 2  # 2: digests of the predictions
RECORD_FOLDER = "units"
_REMEDY = "run the tagging job again, which makes the unit again"


@dataclass(frozen=True)
class UnitCounts:
    """Counts of a unit.

    characters: Characters of its segments.
    gated: Segments for which the gate decided not to ask the LLM.
    set_aside: Segments that failed.
    passes: Forward passes of the LLM.
    decided_by: The number of entities for each value of `decided_by`.
    not_finite: Segments, among those set aside, for which a prediction was NaN or infinite.
    """

    segments: int = 0
    characters: int = 0
    gated: int = 0
    set_aside: int = 0
    passes: int = 0
    decided_by: dict[str, int] = field(default_factory=dict)
    not_finite: int = 0


@dataclass(frozen=True)
class ModelCounts:
    """What the models found in a unit before the fusion. The tables do not hold it.

    slm_entities: Entities that the small model found.
    llm_characters: Characters of the segments that the LLM answered.
    llm_entities: Entities that the LLM found in them.
    """

    slm_entities: int = 0
    llm_characters: int = 0
    llm_entities: int = 0


@dataclass(frozen=True)
class InputDigests:
    """Digests of what a unit was made from.

    tags: Of everything that the tags depend on.
    scores: Of everything that the predictions of the models depend on: all of that but the fusion rule and the gate.
    """

    tags: str
    scores: str


@dataclass(frozen=True)
class UnitRecord:
    """The record of a unit.

    unit: The name of the unit.
    inputs: The digest of everything that the tags depend on.
    files: The SHA-256 of the unit's file in each table, by the table's name.
    counts: Counts of its content.
    models: What the models found before the fusion.
    slm_halvings, llm_halvings: How often the batches of the stage were halved because memory ran out.
    scores_inputs: The digest of everything that the predictions of the models depend on.
    scores_sha256: The SHA-256 of the file with these predictions (`kept_scores`); "" if they were not kept.
    """

    unit: str
    inputs: str
    files: dict[str, str]
    counts: UnitCounts
    slm_halvings: int = 0
    llm_halvings: int = 0
    models: ModelCounts = ModelCounts()
    scores_inputs: str = ""
    scores_sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"format_version": FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: str) -> "UnitRecord":
        """Build a record from what `to_json` returned.

        Raises ConfigError if the format version differs, DamagedFileError if the keys or the types of values do.
        """
        return parse_record(
            cls, content, path, expected="the record of a unit", remedy=_REMEDY, format_version=FORMAT_VERSION
        )


def record_path(tagged: StoragePath, unit: str) -> StoragePath:
    """Return the path of a unit's record."""
    return tagged / RECORD_FOLDER / f"{unit}.json"


def write_unit_record(tagged: StoragePath, record: UnitRecord) -> None:
    """Write a record atomically."""
    write_checked_json(record_path(tagged, record.unit), record.to_json())


def read_unit_record(tagged: StoragePath, unit: str) -> UnitRecord:
    """Read the record of a unit. Raises DataError if it is missing, damaged or the record of another unit."""
    path = record_path(tagged, unit)
    try:
        record = UnitRecord.from_json(read_checked_json(path, _REMEDY), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: expected the record of a unit, found none: {_REMEDY}") from None
    if record.unit != unit:
        raise DataError(f"{path}: expected the record of {unit}, found that of {record.unit}")
    return record


def list_recorded_units(tagged: StoragePath) -> list[str]:
    """Return the names of the units that have a record, sorted."""
    return [name.removesuffix(".json") for name in list_file_names(tagged / RECORD_FOLDER, "unit-", ".json")]


def digest_unit_records(tagged: StoragePath, units: Iterable[str]) -> str:
    """Return one digest of the records of all units, and so of all table files."""
    digest = hashlib.sha256()
    for unit in units:
        content = record_path(tagged, unit).read_bytes()
        digest.update(f"{unit}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()
