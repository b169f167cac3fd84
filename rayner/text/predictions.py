"""The data that models produce and fusion rules read: both models' predictions for a segment."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.text.segmentation import Window
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, legal_transitions, tags_to_spans, viterbi_decode

# To be raised when the same LLM gives other entities or probabilities: predictions of both kinds must not be mixed.
LLM_ANSWER_VERSION = 2  # 2: the category probability is that of the type's whole name
_IMPOSSIBLE = np.float32(-30)  # natural logarithm of a negligible probability


@dataclass(frozen=True, slots=True)
class SlmPrediction:
    """The SLM's prediction for a text.

    spans: entities, without overlaps.
    entropy: entropy of each character's label distribution, shape [n_chars], nats.
    log_probs: label distributions of the characters, shape [n_chars, n_labels], natural log. The labels are in the
        order of `bmes_labels`. None if no later step needs them.
    sentence_vector: embedding of the text, shape [hidden], L2 norm 1. None if it was not requested, or if the tagger
        has no vector for the whole text.
    """

    spans: tuple[Span, ...]
    entropy: npt.NDArray[np.float32]
    log_probs: npt.NDArray[np.float32] | None = None
    sentence_vector: npt.NDArray[np.float32] | None = None

    def pad(self, before: int, after: int) -> "SlmPrediction":
        """Return the prediction for the text with `before` more characters in front and `after` more behind.

        The added characters have label O with probability 1.
        """
        spans = tuple(span.shift(before) for span in self.spans)
        log_probs = self.log_probs
        if log_probs is not None:
            log_probs = np.pad(log_probs, ((before, after), (0, 0)), constant_values=_IMPOSSIBLE)
            log_probs[:before, 0] = log_probs[len(log_probs) - after :, 0] = 0  # certainly O
        return SlmPrediction(spans, np.pad(self.entropy, (before, after)), log_probs)


def empty_prediction(n_chars: int = 0) -> SlmPrediction:
    """Return a prediction with no entities and entropy 0, also used for a segment that the SLM has not seen."""
    return SlmPrediction((), np.zeros(n_chars, dtype=np.float32))


def decode_log_probs(log_probs: Sequence[npt.NDArray[np.float32]], labels: Sequence[str]) -> list[SlmPrediction]:
    """Compute the entities and entropies of many texts at once.

    log_probs: one array for each text, shape [n_chars, n_labels], natural log.
    labels: the labels of the columns, from `bmes_labels`.

    The entities are those of the most probable legal label sequence (`viterbi_decode`). A text without characters has
    no entities.
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
    """An entity that the LLM predicted, with its category and boundary probabilities (method, section 3)."""

    span: Span
    category_prob: float
    boundary_prob: float


@dataclass(frozen=True, slots=True)
class FreeAnswerFaults:
    """How answers that the LLM generated freely differ from a copy of the text with tags, as sums over answers.

    answers: answers.
    changed: answers that are not a copy of the text with tags.
    inserted, deleted, replaced: characters that the LLM inserted into a text, left out, or replaced by others.
    unknown_tags: tags of a type that does not exist.
    unclosed_tags, unopened_tags: opening tags without their closing tag, and closing tags without their opening tag.
    nested: entities inside another entity.
    empty: entities without a character.
    not_aligned: entities whose characters stand in the place of no contiguous part of the text.
    cut_off: answers that reached the limit of their length.
    """

    answers: int = 0
    changed: int = 0
    inserted: int = 0
    deleted: int = 0
    replaced: int = 0
    unknown_tags: int = 0
    unclosed_tags: int = 0
    unopened_tags: int = 0
    nested: int = 0
    empty: int = 0
    not_aligned: int = 0
    cut_off: int = 0

    def describe(self) -> str:
        """Return the numbers in words, for the log."""
        return (
            f"of {self.answers} free answers {self.changed} changed the text; {self.inserted} characters inserted, "
            f"{self.deleted} deleted, {self.replaced} replaced; {self.unknown_tags} unknown tags, {self.unclosed_tags} "
            f"unclosed, {self.unopened_tags} unopened; {self.nested} entities nested, {self.empty} empty, "
            f"{self.not_aligned} not aligned; {self.cut_off} answers cut off"
        )


def add_up_faults(faults: Iterable[FreeAnswerFaults]) -> FreeAnswerFaults:
    """Return the sums over answers."""
    columns = zip(*map(astuple, faults), strict=True)
    return FreeAnswerFaults(*map(sum, columns))


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """What the LLM thinks of a span, whether it predicted it or not: log-odds (natural log) of what writes it.

    opening: of opening an entity at its start, against copying the next character.
    category: of its type, against all other types.
    going_on: of copying all its characters, against closing it at an earlier one.
    closing: of closing it at its end, against copying the next character.
    """

    span: Span
    opening: float
    category: float
    going_on: float
    closing: float

    def shift(self, offset: int) -> "CandidateScore":
        """Return the score of the span with `offset` added to its start and end."""
        return replace(self, span=self.span.shift(offset))


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    """The LLM's answer for a text.

    entities: entities, without overlaps.
    slot_probs: probability of the LLM's choices at each slot, shape [n_chars + 1]. A slot is a position between two
        characters. Slot i lies before character i, and slot n_chars lies after the last character. The value is the
        product over all choices at the slot (close an entity, open one, choose its type, copy the next character). It
        is NaN for the slots at the end that were not read, because they could not change the output.
    passes: number of forward passes that the answer took.
    faults: how the answer differs from the text with tags; None if the tag grammar allows no difference.
    candidate_scores: scores of spans that it may or may not have predicted (`candidate_scores`); None if they were not
        asked for.
    """

    entities: tuple[LlmEntity, ...]
    slot_probs: npt.NDArray[np.float32]
    passes: int = 0
    faults: FreeAnswerFaults | None = None
    candidate_scores: tuple[CandidateScore, ...] | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans of the entities, without probabilities."""
        return tuple(entity.span for entity in self.entities)

    @property
    def last_known_slot(self) -> int:
        """The index of the last slot that was read; n_chars for a whole answer."""
        unread = np.isnan(self.slot_probs)
        return int(unread.argmax() if unread.any() else len(unread)) - 1

    def pad(self, before: int, after: int) -> "LlmAnswer":
        """Return the answer for the text with `before` more characters in front and `after` more behind.

        The added characters are in no entity, and their slots have probability 1.
        """
        entities = tuple(
            LlmEntity(entity.span.shift(before), entity.category_prob, entity.boundary_prob) for entity in self.entities
        )
        slot_probs = np.pad(self.slot_probs, (before, after), constant_values=np.float32(1))
        scores = None if self.candidate_scores is None else tuple(each.shift(before) for each in self.candidate_scores)
        return LlmAnswer(entities, slot_probs, self.passes, self.faults, scores)


def join_window_answers(answers: Sequence[LlmAnswer], windows: Sequence[Window]) -> LlmAnswer:
    """Join the answers for the windows of a text into one answer for the text.

    An entity is taken from the window that keeps its first character. It is dropped if it overlaps the entity taken
    before it. The score of a candidate is taken from the window that keeps its first character too.
    """
    entities: list[LlmEntity] = []
    slot_probs: list[npt.NDArray[np.float32]] = []
    scores: list[CandidateScore] = []
    for answer, window in zip(answers, windows, strict=True):
        shifted = [score.shift(window.start) for score in answer.candidate_scores or ()]
        scores += [score for score in shifted if window.keep_start <= score.span.start < window.keep_end]
        for entity in answer.pad(window.start, 0).entities:
            is_free = not entities or entities[-1].span.end <= entity.span.start
            if is_free and window.keep_start <= entity.span.start < window.keep_end:
                entities.append(entity)
        slot_probs.append(answer.slot_probs[window.kept_slice])
    slot_probs.append(answers[-1].slot_probs[-1:])
    faults = [answer.faults for answer in answers if answer.faults is not None]
    return LlmAnswer(
        tuple(entities),
        np.concatenate(slot_probs),
        sum(answer.passes for answer in answers),
        add_up_faults(faults) if faults else None,
        None if any(answer.candidate_scores is None for answer in answers) else tuple(scores),
    )


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The gate's decision about a segment, under the run's fusion rule.

    ask_llm: whether the LLM is asked.
    could_change: whether some LLM answer could change the fused entities; None if the gate did not need to know.
    stop_mask: slots at which decoding may stop, shape [n_chars + 1]. None means that whole answers are read.
    """

    ask_llm: bool
    could_change: bool | None = None
    stop_mask: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class SegmentPrediction:
    """A segment with the predictions that the models have made so far.

    start: offset of the segment's first character in the document.
    end: offset after its last character.
    slm: the SLM's prediction; `empty_prediction` before the SLM has seen the segment.
    llm: the LLM's answer; None if the LLM was skipped or failed.
    gold: gold entities, if the segment is labelled.
    gated: whether the gate skipped the LLM.
    error: why the segment was set aside; None if it was not.
    gate: the gate's decision. It is not stored.
    passage: the number of its passage, if it is a labelled sentence of a run that holds out passages.
    original_text: the text as the corpus has it, where `text` is a copy in the script of the labelled text; None where
        they are the same. Both have the same length.
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
    passage: int | None = None
    original_text: str | None = None
