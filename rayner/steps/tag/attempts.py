"""Predict a unit even if some of its segments raise errors, run out of memory, or kill the process.

A process that dies cannot report the reason. So a process writes a record before it starts a unit, and removes the
record when the unit is done. If the process dies, the next process finds the record.

If a process died on a unit, or the prediction raised an error, each segment is predicted alone to find those that
fail. The failing segments are set aside. The other segments are then predicted together again. So their batches and
predictions are the same as if the unit had never held the failing segments.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from rayner.runs.json_files import write_json
from rayner.runs.storage import StoragePath, remove_file

MAX_UNIT_ATTEMPTS = 3  # after this many attempts, the predictions of the single segments are used
MAX_SEGMENT_CRASHES = 2  # after this many crashes, a segment is set aside
_MAX_MESSAGE_CHARS = 500
Segment = TypeVar("Segment")
Prediction = TypeVar("Prediction")


@dataclass
class AttemptRecord:
    """What happened to a unit so far. The keys are segment indices as strings.

    unit_attempts: how often the prediction of the whole unit was started.
    segment_attempts: how often the prediction of a single segment was started but did not finish.
    errors: the reason why a segment is set aside.
    """

    unit_attempts: int = 0
    segment_attempts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def run_isolating_failures(
    predict: Callable[[Sequence[Segment]], list[Prediction]],
    segments: Sequence[Segment],
    record_path: StoragePath | None,
) -> tuple[list[Prediction | None], list[str | None]]:
    """Predict the segments of a unit; return a list of predictions and a list of error messages.

    Each segment has either a prediction or an error message; the entry in the other list is None. Errors of the
    storage are raised.

    record_path: file that records the attempts. If None, crashes of the process are not recorded.
    """
    record = _read_record(record_path)
    one_by_one = _predict_one_by_one(predict, segments, record, record_path) if record.unit_attempts else {}
    while record.unit_attempts < MAX_UNIT_ATTEMPTS:
        record.unit_attempts += 1
        _write_record(record, record_path)
        remaining = [i for i in range(len(segments)) if str(i) not in record.errors]
        try:
            together = predict([segments[i] for i in remaining]) if remaining else []
            predictions = dict(zip(remaining, together, strict=True))
        except Exception:
            one_by_one = _predict_one_by_one(predict, segments, record, record_path)
        else:
            break
    else:  # the segments fail together, but each one succeeds alone
        predictions = one_by_one
    if record_path is not None:
        remove_file(record_path)
    indices = range(len(segments))
    return [predictions.get(i) for i in indices], [record.errors.get(str(i)) for i in indices]


def _predict_one_by_one(
    predict: Callable[[Sequence[Segment]], list[Prediction]],
    segments: Sequence[Segment],
    record: AttemptRecord,
    record_path: StoragePath | None,
) -> dict[int, Prediction]:
    """Predict each segment alone; return the predictions by segment index, and add the failures to `record`."""
    predictions = {}
    for i, segment in enumerate(segments):
        key = str(i)
        if key in record.errors:
            continue
        if record.segment_attempts.get(key, 0) >= MAX_SEGMENT_CRASHES:
            record.errors[key] = f"its process died {MAX_SEGMENT_CRASHES} times while it was tried alone"
            continue
        record.segment_attempts[key] = record.segment_attempts.get(key, 0) + 1
        _write_record(record, record_path)
        try:
            predictions[i] = predict([segment])[0]
        except Exception as error:
            record.errors[key] = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_CHARS]
        del record.segment_attempts[key]
    _write_record(record, record_path)
    return predictions


def _read_record(path: StoragePath | None) -> AttemptRecord:
    if path is None:
        return AttemptRecord()
    try:
        return AttemptRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return AttemptRecord()


def _write_record(record: AttemptRecord, path: StoragePath | None) -> None:
    if path is not None:
        write_json(path, asdict(record))
