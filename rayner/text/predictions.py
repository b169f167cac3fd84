"""What each model predicts for a segment: the contract between models and fusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.segmentation import Window
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, legal_transitions, tags_to_spans, viterbi_decode

_IMPOSSIBLE = np.float32(-30)  # natural logarithm of a negligible probability


@dataclass(frozen=True, slots=True)
class SlmPrediction:
    """The small model's prediction for a text.

    spans: its entities, without overlaps. entropy: [n_chars], of each character's label distribution, nats.
    log_probs: [n_chars, n_labels] these distributions, natural log, in the order of `bmes_labels`; None where nobody
        needs them.
    sentence_vector: [hidden], of length 1, where the tagger was asked for it and has one for the whole text.
    """

    spans: tuple[Span, ...]
    entropy: npt.NDArray[np.float32]
    log_probs: npt.NDArray[np.float32] | None = None
    sentence_vector: npt.NDArray[np.float32] | None = None

    def pad(self, before: int, after: int) -> "SlmPrediction":
        """Return the prediction for a text with more characters before and after, which are certainly no entity."""
        spans = tuple(span.shift(before) for span in self.spans)
        log_probs = self.log_probs
        if log_probs is not None:
            log_probs = np.pad(log_probs, ((before, after), (0, 0)), constant_values=_IMPOSSIBLE)
            log_probs[:before, 0] = log_probs[len(log_probs) - after :, 0] = 0  # certainly O
        return SlmPrediction(spans, np.pad(self.entropy, (before, after)), log_probs)


def empty_prediction(n_chars: int = 0) -> SlmPrediction:
    """Return the small model's prediction of no entity with entropy 0, also for a segment that it has not seen."""
    return SlmPrediction((), np.zeros(n_chars, dtype=np.float32))


def decode_log_probs(log_probs: Sequence[npt.NDArray[np.float32]], labels: Sequence[str]) -> list[SlmPrediction]:
    """Compute spans and entropies of many texts at once.

    log_probs: of each text [n_chars, n_labels], natural log; labels: from `bmes_labels`.
    The spans are those of the most probable legal labels (`viterbi_decode`); a text without characters gets none.
    """
    no_entropy = np.zeros(0, dtype=np.float32)
    predictions = [SlmPrediction((), no_entropy, no_entropy.reshape(0, len(labels)))] * len(log_probs)
    nonempty = [i for i, text_log_probs in enumerate(log_probs) if len(text_log_probs)]
    if not nonempty:
        return predictions
    flat, legal = np.concatenate([log_probs[i] for i in nonempty]), legal_transitions(labels)
    entropy = (-(np.exp(flat) * flat).sum(axis=1)).astype(np.float32)
    best, cuts = flat.argmax(axis=1), np.cumsum([len(log_probs[i]) for i in nonempty])
    best_by_text, entropy_by_text = np.split(best, cuts[:-1]), np.split(entropy, cuts[:-1])
    for i, text_best, text_entropy in zip(nonempty, best_by_text, entropy_by_text, strict=True):
        if not text_best.any() and labels[0] == OUTSIDE:
            predictions[i] = SlmPrediction((), text_entropy, log_probs[i])
            continue
        tags = [labels[label] for label in viterbi_decode(log_probs[i], legal)]
        predictions[i] = SlmPrediction(tags_to_spans(tags).spans, text_entropy, log_probs[i])
    return predictions


@dataclass(frozen=True, slots=True)
class LlmEntity:
    """An entity of the LLM, with its two probabilities (method, section 3)."""

    span: Span
    category_prob: float
    boundary_prob: float


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    """The LLM's answer on a text.

    entities: without overlaps.
    slot_probs: [n_chars + 1]; at i the product of the probabilities of the choices made between character i - 1 and
        character i (to close, to open, the type, or to copy on); at n_chars those made after the last character. From
        where on the answer was not read, because it could not matter, they are NaN.
    passes: forward passes that it took.
    """

    entities: tuple[LlmEntity, ...]
    slot_probs: npt.NDArray[np.float32]
    passes: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        """The entities without their probabilities."""
        return tuple(entity.span for entity in self.entities)

    @property
    def last_known_slot(self) -> int:
        """The last slot that was read; n_chars for a whole answer."""
        unread = np.isnan(self.slot_probs)
        return int(unread.argmax() if unread.any() else len(unread)) - 1

    def pad(self, before: int, after: int) -> "LlmAnswer":
        """Return the answer on a text with more characters before and after, which are certainly no entity."""
        entities = tuple(
            LlmEntity(entity.span.shift(before), entity.category_prob, entity.boundary_prob) for entity in self.entities
        )
        slot_probs = np.pad(self.slot_probs, (before, after), constant_values=np.float32(1))
        return LlmAnswer(entities, slot_probs, self.passes)


def join_window_answers(answers: Sequence[LlmAnswer], windows: Sequence[Window]) -> LlmAnswer:
    """Join the answers on the windows of a text into one on the text.

    An entity counts where the window that keeps its first character puts it, unless it would overlap the one before.
    """
    entities: list[LlmEntity] = []
    slot_probs: list[npt.NDArray[np.float32]] = []
    for answer, window in zip(answers, windows, strict=True):
        for entity in answer.pad(window.start, 0).entities:
            is_free = not entities or entities[-1].span.end <= entity.span.start
            if is_free and window.keep_start <= entity.span.start < window.keep_end:
                entities.append(entity)
        slot_probs.append(answer.slot_probs[window.kept_slice])
    slot_probs.append(answers[-1].slot_probs[-1:])
    return LlmAnswer(tuple(entities), np.concatenate(slot_probs), sum(answer.passes for answer in answers))


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate decided about a segment, under the run's fusion rule.

    ask_llm: whether the LLM is asked. could_change: whether some LLM answer could change the fused entities; None if
    the gate did not need to know. stop_mask: [n_chars + 1] slots at which decoding may stop; None reads whole answers.
    """

    ask_llm: bool
    could_change: bool | None = None
    stop_mask: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class SegmentPrediction:
    """A segment with the predictions of both models so far.

    start, end: offsets in the document.
    slm: `empty_prediction` before the small model has seen the segment. llm: None if the LLM was skipped or failed.
    gold: the gold entities of a labelled segment.
    gated: whether the gate skipped the LLM; gate: its decision, which is not stored.
    error: why the segment was set aside, else None.
    """

    doc_id: str
    start: int
    end: int
    text: str
    slm: SlmPrediction
    llm: LlmAnswer | None = None
    gold: tuple[Span, ...] = ()
    gated: bool = False
    error: str | None = None
    gate: GateDecision | None = None
