"""The numbers of a run's evaluation as CSV tables, a file each, for spreadsheets and statistics programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_SHARES = ("precision", "recall", "f1")
_COUNTS = ("gold", "predicted", "right")
COLUMNS = {
    "scores.csv": ("system", "type", *_COUNTS, *_SHARES, "f1_low", "f1_high"),
    "averages.csv": ("system", "macro_f1", "token_macro_with_o", "token_macro_without_o"),
    "errors.csv": ("system", "gold_type", "right", "boundary", "type", "both", "missed"),
    "confusion.csv": ("system", "gold_type", "predicted_type", "entities"),
    "differences.csv": ("pair", "f1_difference", "low", "high"),
    "calibration.csv": ("system", "type", "entities", "error_before", "error_after"),
    "reliability.csv": ("system", "low", "high", "mean_score", "share_right", "entities"),
}


def evaluation_to_csv_tables(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """File name to content; shares in [0, 1], one row of names first. An empty type stands for all, or for none."""
    rows = {
        "scores.csv": _scores(evaluation["systems"]),
        "averages.csv": (
            (name, *(system[key] for key in COLUMNS["averages.csv"][1:]))
            for name, system in evaluation["systems"].items()
        ),
        "errors.csv": (
            (name, kind, *found.values())
            for name, system in evaluation["systems"].items()
            for kind, found in system["errors"]["outcomes"].items()
        ),
        "confusion.csv": (
            (name, ours, theirs, n)
            for name, system in evaluation["systems"].items()
            for ours, row in system["errors"]["pairs"].items()
            for theirs, n in row.items()
        ),
        "differences.csv": ((pair, *values) for pair, values in evaluation.get("paired", {}).items()),
        "calibration.csv": _calibration(evaluation.get("calibration", {})),
        "reliability.csv": (
            (name, *(b[key] for key in ("low", "high", "mean", "right", "n")))
            for name, found in evaluation.get("calibration", {}).items()
            for b in found["bins"]
        ),
    }
    return {name: _csv(COLUMNS[name], found) for name, found in rows.items()}


def _scores(systems: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, system in systems.items():
        everything = {"": {**system["micro"], "interval": system["interval"]}}
        for kind, row in {**everything, **system["per_type"]}.items():
            yield (name, kind, *(row[key] for key in (*_COUNTS, *_SHARES)), *row["interval"])


def _calibration(calibration: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, found in calibration.items():
        for kind, row in {"": found, **found.get("by_type", {})}.items():
            yield (name, kind, row["n"], row.get("before"), row["after"])


def _csv(columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
