"""Predict a unit even if some of its segments raise errors, run out of memory, or kill the process.

A process that dies cannot report the reason. So a process writes a note before it predicts, and the next process of
the same job reads it. A note of another job counts for nothing: that job may have been stopped for any reason.

A unit is always finished by predicting its segments together, so its batches and predictions are those of an
undisturbed run:

1. The whole unit is predicted. If its process dies, it is predicted again.
2. If the process died again, or the prediction raised an error, each segment is tried alone. A segment that fails alone
   twice is set aside. The predictions of the single segments are dropped.
3. The other segments are predicted together, as if the unit had never held the failing ones.

There is one exception. A unit that ran out of memory is predicted again in batches of half the size, in segments and
in tokens. The note keeps the number of halvings for all later jobs, because it may change the scores in the last
digits.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Generic, TypeVar

from rayner.errors import DataError, JobError
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath, remove_file

WHOLE_ATTEMPTS_BEFORE_ISOLATION = 2
MAX_WHOLE_ATTEMPTS = 6  # in one job
MAX_ATTEMPTS_ALONE = 2  # after so many failures alone, a segment is set aside
MAX_HALVINGS = 8
MIN_SEGMENTS_OF_SYSTEMATIC_FAILURE = 8  # if so many segments, and no other, fail alone, the program is at fault
_MAX_MESSAGE_CHARS = 500
Segment = TypeVar("Segment")
Prediction = TypeVar("Prediction")


@dataclass
class AttemptNote:
    """What happened to a unit so far in one stage.

    job: the id of the job that wrote the note.
    whole_attempts: how often this job started to predict the unit as a whole and did not finish.
    n_tried_alone: the segments before this index have been tried alone by this job.
    attempts_alone: how often this job started to predict the next segment alone and did not finish.
    last_error: what the next segment raised when it was tried alone. It is noted, so that the reason does not depend on
        whether a process was also killed by chance.
    errors: the reason why a segment is set aside, by segment index as a string.
    halvings: how often the batches were halved because memory ran out, in this job or an earlier one.
    """

    job: str
    whole_attempts: int = 0
    n_tried_alone: int = 0
    attempts_alone: int = 0
    last_error: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    halvings: int = 0


@dataclass(frozen=True)
class UnitPredictions(Generic[Prediction]):
    """The predictions of a unit's segments.

    predictions: one entry for each segment; None for a segment that is set aside.
    errors: why a segment is set aside; None for the other segments.
    halvings: how often the batches were halved.
    """

    predictions: list[Prediction | None]
    errors: list[str | None]
    halvings: int = 0


def run_isolating_failures(
    predict: Callable[[Sequence[Segment], int], list[Prediction]],
    segments: Sequence[Segment],
    note_path: StoragePath | None,
    job: str,
) -> UnitPredictions[Prediction]:
    """Predict the segments of a unit. Each segment has either a prediction or an error message.

    Args:
        predict: predicts segments. Its second argument is the number of halvings of the batch sizes.
        segments: the segments.
        note_path: the file of the note. If None, deaths of the process are not noted.
        job: the id of the job.

    Raises:
        JobError: the whole unit fails again and again, although its segments do not fail alone, or all segments fail
            alone.
        OSError: the note cannot be written.

    """
    note = _read_note(note_path, job)
    while True:
        if note.whole_attempts >= WHOLE_ATTEMPTS_BEFORE_ISOLATION and note.n_tried_alone < len(segments):
            _try_each_alone(predict, segments, note, note_path)
        if note.whole_attempts >= MAX_WHOLE_ATTEMPTS:
            raise JobError(
                f"its process died {note.whole_attempts} times while its {len(segments)} segments were predicted "
                "together, but no segment kills a process alone: give the actors more memory, or use smaller batches "
                "(score.slm.batch_size, score.llm.batch_size, score.llm.batch_tokens)"
            )
        note.whole_attempts += 1
        _write_note(note, note_path)
        remaining = [i for i in range(len(segments)) if str(i) not in note.errors]
        try:
            together = predict([segments[i] for i in remaining], note.halvings) if remaining else []
            predictions = dict(zip(remaining, together, strict=True))
        except Exception as error:
            ran_out_of_memory = is_out_of_memory(error)
            _note_failure_of_whole_unit(error, segments, note, note_path)
        else:
            break
        if ran_out_of_memory:  # only here does nothing refer to the error, which holds what was computed
            _free_memory()
    _finish_note(note, note_path)
    return UnitPredictions(
        [predictions.get(i) for i in range(len(segments))],
        [note.errors.get(str(i)) for i in range(len(segments))],
        note.halvings,
    )


def keep_halvings(note_path: StoragePath, halvings: int) -> None:
    """Write a note that makes the next prediction of a unit use batches that are halved `halvings` times."""
    _write_note(AttemptNote(job="", halvings=halvings), note_path)


def _note_failure_of_whole_unit(
    error: Exception, segments: Sequence[Segment], note: AttemptNote, note_path: StoragePath | None
) -> None:
    """Decide what follows after the prediction of the whole unit raised an error.

    Raises JobError if the segments were tried alone before, and failed again together.
    """
    name = "a unit" if note_path is None else note_path.name.removesuffix(".json")
    if is_out_of_memory(error) and note.halvings < MAX_HALVINGS:
        note.halvings += 1
        note.whole_attempts -= 1
        log.warning(
            "%s: out of memory: starts again with 1/%d of the batch size, in segments and in tokens, and keeps that "
            "size for later jobs (%s)", name, 2**note.halvings, _first_line(error),
        )  # fmt: skip
    elif note.n_tried_alone < len(segments):
        note.whole_attempts = max(note.whole_attempts, WHOLE_ATTEMPTS_BEFORE_ISOLATION)
        log.warning(
            "%s: each of its %d segments is tried alone, to find those that fail (%s)",
            name, len(segments), _first_line(error),
        )  # fmt: skip
    else:
        raise JobError(
            f"its {len(segments) - len(note.errors)} segments fail together, but none of them fails alone: "
            f"{_describe(error)}"
        ) from error


def _try_each_alone(
    predict: Callable[[Sequence[Segment], int], list[Prediction]],
    segments: Sequence[Segment],
    note: AttemptNote,
    note_path: StoragePath | None,
) -> None:
    """Predict each segment alone, to add those that fail to the note. Goes on where an earlier process died.

    Raises JobError if every segment fails alone.
    """
    for i in range(note.n_tried_alone, len(segments)):
        while note.attempts_alone < MAX_ATTEMPTS_ALONE:
            note.attempts_alone += 1
            _write_note(note, note_path)
            try:
                predict([segments[i]], note.halvings)
            except Exception as error:
                note.last_error, ran_out_of_memory = _describe(error), is_out_of_memory(error)
            else:
                break
            if ran_out_of_memory:
                _free_memory()
        else:
            died = f"its process died {MAX_ATTEMPTS_ALONE} times while it was tried alone"
            note.errors[str(i)] = note.last_error or died
        note.n_tried_alone, note.attempts_alone, note.last_error = i + 1, 0, ""
    if len(note.errors) == len(segments) >= MIN_SEGMENTS_OF_SYSTEMATIC_FAILURE:
        raise JobError(f"all of its {len(segments)} segments fail; the first: {note.errors['0']}")
    if note.errors:
        note.halvings = 0  # a segment that is set aside may have been the one that needed the memory
    _write_note(note, note_path)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the computer or of a device was too small."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's; torch is not imported
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _free_memory() -> None:
    """Release what a failed prediction left behind, on the GPU too."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_CHARS]


def _first_line(error: Exception) -> str:
    return _describe(error).partition("\n")[0]


def _finish_note(note: AttemptNote, path: StoragePath | None) -> None:
    """Remove the note, or keep only the halvings: the stage may be repeated before the unit is committed."""
    if path is None:
        return
    if note.halvings:
        keep_halvings(path, note.halvings)
    else:
        remove_file(path)


def _read_note(path: StoragePath | None, job: str) -> AttemptNote:
    """Read the note of a unit. Of a note that another job wrote, only the halvings count."""
    if path is None:
        return AttemptNote(job)
    try:
        note = AttemptNote(**read_checked_json(path))
    except FileNotFoundError:
        return AttemptNote(job)
    except (DataError, TypeError):  # a damaged note says nothing
        log.warning("%s: expected a note of attempts, found a damaged file: it is ignored", path)
        return AttemptNote(job)
    return note if note.job == job else AttemptNote(job, halvings=note.halvings)


def _write_note(note: AttemptNote, path: StoragePath | None) -> None:
    if path is not None:
        write_checked_json(path, asdict(note))
