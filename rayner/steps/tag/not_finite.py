"""What a job does about predictions that are not finite: it sets them aside, and stops if there are many."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rayner.errors import NotFiniteError

MAX_NOT_FINITE_SHARE = 0.01  # with more such segments, something is wrong with a model and not with single texts
Prediction = TypeVar("Prediction")


def set_non_finite_aside(
    predictions: Sequence[Prediction | None],
    errors: Sequence[str | None],
    find_non_finite: Callable[[int, Prediction], str | None],
) -> tuple[list[Prediction | None], list[str | None]]:
    """Replace each prediction that is not finite by None, and its error by the reason.

    predictions, errors: as `run_isolating_failures` returns them.
    find_non_finite: takes the index of a prediction and the prediction, and returns the reason; None if it is finite.
    """
    kept, reasons = list(predictions), list(errors)
    for i, prediction in enumerate(predictions):
        reason = None if prediction is None else find_non_finite(i, prediction)
        if reason is not None:
            kept[i], reasons[i] = None, reason
    return kept, reasons


def require_mostly_finite(n_not_finite: int, n_segments: int, where: object) -> None:
    """Raise NotFiniteError if more than `MAX_NOT_FINITE_SHARE` of the segments got predictions that are not finite.

    n_not_finite: the number of these segments so far.
    n_segments: the number of all segments of the corpus or the part.
    where: the folder or the part, for the message.
    """
    if n_not_finite > MAX_NOT_FINITE_SHARE * n_segments:
        raise NotFiniteError(
            f"{where}: the predictions for {n_not_finite} of {n_segments} segments are NaN or infinite (allowed: "
            f"{MAX_NOT_FINITE_SHARE:.0%}); the column `error` of the segments says which: train the model again with a "
            "lower learning rate, or use float32 if it runs in bfloat16"
        )
