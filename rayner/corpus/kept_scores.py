"""What both models said about a unit of a tagged corpus, kept so that another rule can fuse it without asking again.

    OUT/scores/unit-000000.parquet   the predictions
    OUT/scores/unit-000000.json      their digest, and the digest of everything that they depend on

The record is written after the predictions, so they are complete if it exists. The table has a row for each segment of
the unit, then one for each text around a cut in a long sentence, in the order of the plan. Texts are not repeated. They
are in the table `documents`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from rayner.corpus.parquet_files import read_table, write_table
from rayner.corpus.prediction_tables import (
    OPTIONAL_COLUMNS,
    PREDICTION_SCHEMA,
    predictions_from_table,
    predictions_to_table,
)
from rayner.errors import DataError
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.storage import StoragePath, list_file_names, remove_file
from rayner.text.json_records import parse_record, record_to_json
from rayner.text.predictions import SegmentPrediction

SCORES_FORMAT_VERSION = 2  # 2: the LLM's scores of candidates
_VERSION_WITHOUT_CANDIDATES = 1  # is read as predictions without these scores
SCORES_FOLDER = "scores"
_REMEDY = "run the tagging job again, which makes it again"
_FROM_ELSEWHERE = ("text", "gold", "gated")  # columns that a reader gets from the documents, or decides anew
SCORES_SCHEMA = pa.schema([field for field in PREDICTION_SCHEMA if field.name not in _FROM_ELSEWHERE])
Place = tuple[str, int, int]  # doc_id, start and end of a segment or a seam
_FLOAT_COLUMNS = tuple(field.name for field in SCORES_SCHEMA if field.type == pa.list_(pa.float32()))


@dataclass(frozen=True)
class ScoresRecord:
    """The record of a unit's scores.

    unit: The name of the unit.
    inputs: The digest of everything that the predictions depend on. The fusion rule and the gate are not part of it.
    sha256: The digest of the file with the predictions.
    slm_halvings, llm_halvings: How often the batches of the stage were halved because memory ran out.
    """

    unit: str
    inputs: str
    sha256: str
    slm_halvings: int = 0
    llm_halvings: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"format_version": SCORES_FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: str) -> "ScoresRecord":
        """Build a record from what `to_json` returned.

        Raises ConfigError if the format version differs, DamagedFileError if the keys or the types of values do.
        """
        version = content.get("format_version") if isinstance(content, dict) else None
        if type(version) is int and version == _VERSION_WITHOUT_CANDIDATES:
            content = {**content, "format_version": SCORES_FORMAT_VERSION}
        return parse_record(
            cls, content, path, expected="the record of scores", remedy=_REMEDY, format_version=SCORES_FORMAT_VERSION
        )


def scores_path(tagged: StoragePath, unit: str) -> StoragePath:
    """Return the path of a unit's predictions."""
    return tagged / SCORES_FOLDER / f"{unit}.parquet"


def scores_record_path(tagged: StoragePath, unit: str) -> StoragePath:
    """Return the path of the record of a unit's predictions."""
    return tagged / SCORES_FOLDER / f"{unit}.json"


def write_scores_and_record(
    tagged: StoragePath, record: ScoresRecord, segments: Sequence[SegmentPrediction], seams: Sequence[SegmentPrediction]
) -> ScoresRecord:
    """Write the predictions of a unit and then their record; return the record with the digest of the file."""
    table = predictions_to_table([*segments, *seams]).select(SCORES_SCHEMA.names)
    digest = write_table(table, scores_path(tagged, record.unit), float_lists=_FLOAT_COLUMNS)
    written = replace(record, sha256=digest)
    write_checked_json(scores_record_path(tagged, record.unit), written.to_json())
    return written


def read_scores_record(tagged: StoragePath, unit: str) -> ScoresRecord | None:
    """Read the record of a unit's predictions; None if there is none.

    Raises DataError if it is damaged or the record of another unit.
    """
    path = scores_record_path(tagged, unit)
    try:
        record = ScoresRecord.from_json(read_checked_json(path, _REMEDY), str(path))
    except FileNotFoundError:
        return None
    if record.unit != unit:
        raise DataError(f"{path}: expected the record of {unit}, found that of {record.unit}")
    return record


def read_scores(
    tagged: StoragePath, record: ScoresRecord, planned: Sequence[SegmentPrediction]
) -> list[SegmentPrediction]:
    """Return the planned segments and seams with their predictions.

    Args:
        tagged: The folder of the tagged corpus.
        record: The record of the predictions.
        planned: The segments of the unit and then its seams, without predictions.

    Raises:
        DataError: The file is missing or damaged, or it holds other segments.
        JobError: The file cannot be read now.

    """
    places = [(segment.doc_id, segment.start, segment.end) for segment in planned]
    table = read_scores_of_places(tagged, record, places)
    for name, values in (
        ("text", [segment.text for segment in planned]),
        ("gold", [[] for _ in planned]),
        ("gated", [False for _ in planned]),
    ):
        table = table.append_column(PREDICTION_SCHEMA.field(name), pa.array(values, PREDICTION_SCHEMA.field(name).type))
    predictions = predictions_from_table(table)
    return [
        replace(prediction, original_text=segment.original_text)
        for prediction, segment in zip(predictions, planned, strict=True)
    ]


def read_scores_of_places(tagged: StoragePath, record: ScoresRecord, places: Sequence[Place]) -> pa.Table:
    """Return the kept predictions as a table that was checked against the places of segments and seams.

    The errors are those of `read_scores`.
    """
    path = scores_path(tagged, record.unit)
    table = read_table(path, SCORES_SCHEMA, record.sha256, optional=OPTIONAL_COLUMNS)
    found = list(zip(*(table[name].to_pylist() for name in ("doc_id", "start", "end")), strict=True))
    if found != list(places):
        raise DataError(f"{path}: expected the {len(places)} planned segments and seams, found {len(found)} others")
    return table


def forget_scores(tagged: StoragePath, unit: str) -> None:
    """Remove the record of a unit's predictions, so that they count as missing."""
    remove_file(scores_record_path(tagged, unit))


def remove_scores(tagged: StoragePath, unit: str) -> None:
    """Remove a unit's predictions and their record, if there are any."""
    forget_scores(tagged, unit)
    remove_file(scores_path(tagged, unit))


def list_scored_units(tagged: StoragePath) -> set[str]:
    """Return the names of the units whose predictions have a record."""
    return {name.removesuffix(".json") for name in list_file_names(tagged / SCORES_FOLDER, "unit-", ".json")}
