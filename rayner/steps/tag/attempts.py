"""Work on a unit that survives what one segment of it may do: raise, use up the memory, kill the process.

A process that dies can tell nobody of what. So it notes in a file what it is about to do, and takes the note away when
it is done; the next one reads what is left. A unit over which a process died, or whose work raised, is tried segment
by segment, to find those that cannot be done. They are left out, and the rest is done as a whole again: whatever
happened before, its scores are those of the same batches.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from rayner.runs.run_folder import write_json
from rayner.runs.storage import StoragePath, remove_file

MAX_UNIT_ATTEMPTS = 3  # times that a unit is tried as a whole, until the answers of its segments alone are taken
MAX_SEGMENT_CRASHES = 2  # times that a segment may take its process with it, until it is set aside
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass
class AttemptRecord:
    """What became of a unit so far. Keys are indices of segments, as JSON writes them.

    whole: times that it was begun as a whole and not done; begun: the same for segments alone; errors: why segments
    are set aside.
    """

    whole: int = 0
    begun: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def run_isolating_failures(
    predict: Callable[[Sequence[Asked]], list[Answer]], segments: Sequence[Asked], record_path: StoragePath | None
) -> tuple[list[Answer | None], list[str | None]]:
    """Answers and errors of a unit's segments: one that cannot be done has no answer, but the reason.

    path: where the note lies; None where no process is to outlive another. Errors of the storage are raised.
    """
    note = _read_record(record_path)
    alone = _run_one_by_one(predict, segments, note, record_path) if note.whole else {}
    while note.whole < MAX_UNIT_ATTEMPTS:
        note.whole += 1
        _write_record(note, record_path)
        left = [i for i in range(len(segments)) if str(i) not in note.errors]
        try:
            found = dict(zip(left, predict([segments[i] for i in left]) if left else [], strict=True))
        except Exception:
            alone = _run_one_by_one(predict, segments, note, record_path)
        else:
            break
    else:  # as a whole it cannot be done, though segment by segment it can
        found = alone
    if record_path is not None:
        remove_file(record_path)
    return [found.get(i) for i in range(len(segments))], [note.errors.get(str(i)) for i in range(len(segments))]


def _run_one_by_one(
    work: Callable[[Sequence[Asked]], list[Answer]],
    items: Sequence[Asked],
    note: AttemptRecord,
    path: StoragePath | None,
) -> dict[int, Answer]:
    """The answers to the segments one by one; those that cannot be done are noted."""
    found = {}
    for i, item in enumerate(items):
        key = str(i)
        if key in note.errors:
            continue
        if note.begun.get(key, 0) >= MAX_SEGMENT_CRASHES:
            note.errors[key] = f"its process died {MAX_SEGMENT_CRASHES} times while it was tried alone"
            continue
        note.begun[key] = note.begun.get(key, 0) + 1
        _write_record(note, path)
        try:
            found[i] = work([item])[0]
        except Exception as failure:
            note.errors[key] = f"{type(failure).__name__}: {failure}"[:500]
        del note.begun[key]
    _write_record(note, path)
    return found


def _read_record(path: StoragePath | None) -> AttemptRecord:
    if path is None:
        return AttemptRecord()
    try:
        return AttemptRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return AttemptRecord()


def _write_record(note: AttemptRecord, path: StoragePath | None) -> None:
    if path is not None:
        write_json(path, asdict(note))
