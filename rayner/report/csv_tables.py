"""Format the numbers of a run's evaluation as CSV files for spreadsheets and statistics programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rayner.evaluation.artifact import Evaluation, SystemScores
from rayner.evaluation.calibration_records import SystemCalibration

COLUMNS = {
    "scores.csv": (
        "system", "type", "gold", "predicted", "right", "precision", "recall", "f1", "f1_low", "f1_high"
    ),
    "averages.csv": ("system", "macro_f1"),
    "token_macro.csv": ("system", "classes", "precision", "recall", "f1", "f1_low", "f1_high"),
    "errors.csv": ("system", "gold_type", "right", "boundary", "type", "both", "missed"),
    "confusion.csv": ("system", "gold_type", "predicted_type", "entities"),
    "differences.csv": ("pair", "f1_difference", "low", "high"),
    "calibration.csv": (
        "system", "type", "entities", "error_before", "error_after", "error_if_perfect", "error_if_perfect_high"
    ),
    "reliability.csv": ("system", "low", "high", "mean_score", "share_right", "entities"),
}  # fmt: skip
_Row = tuple[Any, ...]


def evaluation_to_csv_tables(evaluation: Evaluation) -> dict[str, str]:
    """Return the CSV text of each table, by file name.

    Shares are in [0, 1]. In scores.csv and calibration.csv, an empty type means all types. In confusion.csv, an empty
    type means no entity.
    """
    systems, calibration = evaluation.systems, evaluation.calibration
    rows: dict[str, Iterable[_Row]] = {
        "scores.csv": _list_score_rows(systems),
        "averages.csv": ((name, system.macro_f1) for name, system in systems.items()),
        "token_macro.csv": (
            (name, classes, macro.precision, macro.recall, macro.f1, *macro.interval)
            for name, system in systems.items()
            for classes, macro in system.token.by_name().items()
        ),
        "errors.csv": (
            (name, type_name, *outcomes.values())
            for name, system in systems.items()
            for type_name, outcomes in system.errors.outcomes.items()
        ),
        "confusion.csv": (
            (name, gold_type, predicted_type, n)
            for name, system in systems.items()
            for gold_type, predicted in system.errors.pairs.items()
            for predicted_type, n in predicted.items()
        ),
        "differences.csv": ((pair, *values) for pair, values in evaluation.paired.items()),
        "calibration.csv": _list_calibration_rows(calibration),
        "reliability.csv": (
            (name, b.low, b.high, b.mean, b.right, b.n) for name, system in calibration.items() for b in system.bins
        ),
    }
    return {name: _format_csv(COLUMNS[name], table_rows) for name, table_rows in rows.items()}


def _list_score_rows(systems: Mapping[str, SystemScores]) -> Iterator[_Row]:
    for name, system in systems.items():
        scores = {"": (system.micro, system.interval)}
        scores |= {type_name: (score, score.interval) for type_name, score in system.per_type.items()}
        for type_name, (score, interval) in scores.items():
            counts = (score.gold, score.predicted, score.right)
            yield (name, type_name, *counts, score.precision, score.recall, score.f1, *interval)


def _list_calibration_rows(calibration: Mapping[str, SystemCalibration]) -> Iterator[_Row]:
    for name, system in calibration.items():
        yield (name, "", system.n, system.before, system.after, system.perfect.mean, system.perfect.high)
        for type_name, by_type in (system.by_type or {}).items():
            yield (name, type_name, by_type.n, None, by_type.after, by_type.perfect.mean, by_type.perfect.high)


def _format_csv(columns: Iterable[str], rows: Iterable[_Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
