"""Find NaN and infinity in predictions. A fusion rule that compares NaN would silently decide for no entity."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.errors import NotFiniteError
from rayner.text.predictions import LlmAnswer, SlmPrediction

_REASON = f"{NotFiniteError.__name__}: "  # is in the error of a segment for which a model raised this error


def is_not_finite_reason(error: str | None) -> bool:
    """Return whether a segment was set aside because a prediction for it is not finite.

    error: the segment's error; None if it was not set aside.
    """
    return error is not None and _REASON in error


def find_non_finite_slm(prediction: SlmPrediction) -> str | None:
    """Return the reason for which the SLM's prediction for a text must not be used; None if all numbers are finite.

    The entropy of a character is not finite if any of its log-probabilities is not (`decode_log_probs`).
    """
    # The sum is several times faster than a test of each number, and this is called for every segment of a corpus.
    if not math.isfinite(prediction.entropy.sum()):
        i = np.isfinite(prediction.entropy).argmin()
        return f"{_REASON}the small model's prediction for character {i} is NaN or infinite"
    vector = prediction.sentence_vector
    if vector is not None and not np.isfinite(vector).all():
        return f"{_REASON}the small model's vector of the text is NaN or infinite"
    return None


def require_finite_predictions(
    texts: Sequence[str], predictions: Sequence[SlmPrediction], where: str, remedy: str = ""
) -> None:
    """Raise NotFiniteError if a prediction of the SLM is not finite.

    where: what the texts are, for the message, which names the text after it.
    remedy: what to do, at the end of the message.
    """
    for text, prediction in zip(texts, predictions, strict=True):
        reason = find_non_finite_slm(prediction)
        if reason is not None:
            raise NotFiniteError(f"{where} {text[:20]!r}: {reason}{remedy}")


def find_non_finite_answer(answer: LlmAnswer, stop_mask: npt.NDArray[np.bool_] | None = None) -> str | None:
    """Return the reason for which the LLM's answer to a text must not be used; None if all numbers are finite.

    NaN is allowed in the slots that were not read: those after the first slot (position between two characters) at
    which decoding may stop.

    stop_mask: the slots at which decoding may stop, shape [n_chars + 1]; None if the whole answer must be read.
    """
    for entity in answer.entities:
        if not (math.isfinite(entity.category_prob) and math.isfinite(entity.boundary_prob)):
            start, end = entity.span.start, entity.span.end
            return f"{_REASON}the LLM's probability of the entity [{start}, {end}) is NaN or infinite"
    for score in answer.candidate_scores or ():
        if not all(map(math.isfinite, (score.opening, score.category, score.going_on, score.closing))):
            start, end = score.span.start, score.span.end
            return f"{_REASON}the LLM's score of the candidate [{start}, {end}) is NaN or infinite"
    finite_slots = np.isfinite(answer.slot_probs)
    if finite_slots.all():
        return None
    first = int(finite_slots.argmin())
    stopped = stop_mask is not None and first > 0 and bool(stop_mask[first - 1])
    if stopped and np.isnan(answer.slot_probs[first:]).all():
        return None
    return f"{_REASON}the LLM's probability at slot {first} is NaN or infinite"
