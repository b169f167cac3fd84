"""What each model says of a text: the contract between the models and the fusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.text.segmentation import Window
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, legal_transitions, tags_to_spans, viterbi_decode

_NEVER = np.float32(-30)  # the logarithm of no probability to speak of


@dataclass(frozen=True, slots=True)
class SlmPrediction:
    """The small model's answer: legal spans, and the entropy (nats) of the label distribution of each character.

    log_probs: [n_chars, n_labels] these distributions, in the order of `bmes_labels`; None where nobody needs them.
    sentence_vector: [hidden], of length 1, where the tagger was asked for it and has one for the whole text.
    """

    spans: tuple[Span, ...]
    entropy: npt.NDArray[np.float32]
    log_probs: npt.NDArray[np.float32] | None = None
    sentence_vector: npt.NDArray[np.float32] | None = None

    def pad(self, before: int, after: int) -> "SlmPrediction":
        """The same answer on a text with `before` and `after` more characters, which are certainly no entity."""
        spans = tuple(span.shift(before) for span in self.spans)
        log_probs = self.log_probs
        if log_probs is not None:
            log_probs = np.pad(log_probs, ((before, after), (0, 0)), constant_values=_NEVER)
            log_probs[:before, 0] = log_probs[len(log_probs) - after :, 0] = 0  # certainly O
        return SlmPrediction(spans, np.pad(self.entropy, (before, after)), log_probs)


def decode_log_probs(log_probs: Sequence[npt.NDArray[np.float32]], labels: Sequence[str]) -> list[SlmPrediction]:
    """Spans and entropies of texts from the log-probabilities [n_chars, n_labels] of each, all texts at once.

    The spans are those of the most probable legal labels (`tags.viterbi_decode`); a text without characters gets none.
    """
    nothing = np.zeros(0, dtype=np.float32)
    found = [SlmPrediction((), nothing, nothing.reshape(0, len(labels)))] * len(log_probs)
    written = [i for i, part in enumerate(log_probs) if len(part)]
    if not written:
        return found
    flat, legal = np.concatenate([log_probs[i] for i in written]), legal_transitions(labels)
    entropy = (-(np.exp(flat) * flat).sum(axis=1)).astype(np.float32)
    best, cuts = flat.argmax(axis=1), np.cumsum([len(log_probs[i]) for i in written])
    for i, ids, part in zip(written, np.split(best, cuts[:-1]), np.split(entropy, cuts[:-1]), strict=True):
        if not ids.any() and labels[0] == OUTSIDE:
            found[i] = SlmPrediction((), part, log_probs[i])
            continue
        tags = [labels[k] for k in viterbi_decode(log_probs[i], legal)]
        found[i] = SlmPrediction(tags_to_spans(tags).spans, part, log_probs[i])
    return found


@dataclass(frozen=True, slots=True)
class LlmEntity:
    """An entity of the LLM, with its two probabilities (method, section 3)."""

    span: Span
    category_prob: float
    boundary_prob: float


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    """The LLM's answer on a text of n characters.

    decisions: [n + 1]; at i the product of the probabilities of the choices made between character i - 1 and
    character i (to close, to open, the type, or to copy on); at n those made after the last character. From
    where on the answer was not read, since it could not matter, they are NaN.
    passes: forward passes spent.
    """

    entities: tuple[LlmEntity, ...]
    slot_probs: npt.NDArray[np.float32]
    passes: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        """The entities without their probabilities."""
        return tuple(item.span for item in self.entities)

    @property
    def last_known_slot(self) -> int:
        """The last slot whose decisions are known; n for a whole answer."""
        unread = np.isnan(self.slot_probs)
        return int(unread.argmax() if unread.any() else len(unread)) - 1

    def pad(self, before: int, after: int) -> "LlmAnswer":
        """The same answer on a text with `before` and `after` more characters, which are certainly no entity."""
        spans = tuple(
            LlmEntity(item.span.shift(before), item.category_prob, item.boundary_prob) for item in self.entities
        )
        padded = np.pad(self.slot_probs, (before, after), constant_values=np.float32(1))
        return LlmAnswer(spans, padded, self.passes)


def join_window_answers(parts: Sequence[LlmAnswer], windows: Sequence[Window]) -> LlmAnswer:
    """The answer on a text from those on its windows.

    An entity counts where the window that keeps its first character puts it, unless it would overlap the one before.
    """
    spans: list[LlmEntity] = []
    decisions: list[npt.NDArray[np.float32]] = []
    for part, window in zip(parts, windows, strict=True):
        for item in part.pad(window.start, 0).entities:
            free = not spans or spans[-1].span.end <= item.span.start
            if free and window.keep_start <= item.span.start < window.keep_end:
                spans.append(item)
        decisions.append(part.slot_probs[window.kept_slice])
    decisions.append(parts[-1].slot_probs[-1:])
    return LlmAnswer(tuple(spans), np.concatenate(decisions), sum(part.passes for part in parts))


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
    """A segment with what is known of it: where it lies, its text, gold entities if labelled, both models' answers.

    `llm` is None where the LLM was skipped or failed; `error` says why the segment was set aside, else None. `gate` is
    the decision behind `gated`, while the segment is on its way; it is not stored.
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


NOTHING = SlmPrediction((), np.zeros(0, dtype=np.float32))
