"""The two stages of predicting a unit: the small model on every segment, then the LLM on those that the gate selects.

A batch never holds segments of two units, so predictions do not depend on scheduling or on the number of actors. The
model code is imported inside the stages, so processes that only read and write use little memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from rayner.config.conditions import candidates_are_scored, examples_are_retrieved, prompts_show_hints
from rayner.config.settings import Config
from rayner.fusion.learned.span_features import candidates_to_score
from rayner.fusion.model_confidence import build_slm_hint
from rayner.runs.heartbeat import beat
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath
from rayner.steps.tag.attempts import run_isolating_failures
from rayner.steps.tag.llm_gate import LLM_ERROR, SLM_ERROR, Gate, apply_gate
from rayner.steps.tag.not_finite import set_non_finite_aside
from rayner.text.finite_predictions import find_non_finite_answer, find_non_finite_slm
from rayner.text.hints import crop_hint
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction, empty_prediction
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import crop_spans

if TYPE_CHECKING:
    from rayner.decoding.long_texts import TextRequest

Item = TypeVar("Item")
Prediction = TypeVar("Prediction")


@dataclass(frozen=True)
class Attempts:
    """Where and for which job the stages note their attempts.

    folder: the folder of the notes. If None, nothing is noted.
    job: the id of the job.
    """

    folder: StoragePath | None = None
    job: str = ""

    def note_path(self, unit: str, stage: str) -> StoragePath | None:
        """Return the path of the note of a unit in a stage, `slm` or `llm`."""
        return None if self.folder is None else self.folder / f"{unit}.{stage}.json"


@dataclass(frozen=True)
class UnitSegments:
    """A unit of work and the predictions that its segments have so far.

    texts_sharing_examples: for each segment, the texts that share retrieved examples with it. If None, the LLM stage
        groups the segments of the unit itself.
    text_vectors: sentence vectors by text, if the small model computed them while it tagged.
    slm_halvings, llm_halvings: how often the batches of the stage were halved because memory ran out.
    scores_sha256: the digest of the file with the predictions that an earlier job kept; "" without them. The small
        model has predicted all segments then, and the LLM some of them.
    documents_sha256: the digest of the file with the documents that begin in the unit, if it belongs to a corpus.
    is_predicted_apart: whether each segment is predicted in a batch of its own.
    seams: the texts around the cuts in long sentences, as segments that are predicted apart; None without cuts.
    cuts: the offset of each seam's cut in its document.
    """

    name: str
    segments: Sequence[SegmentPrediction]
    texts_sharing_examples: Sequence[tuple[str, ...]] | None = None
    text_vectors: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    slm_halvings: int = 0
    llm_halvings: int = 0
    scores_sha256: str = ""
    documents_sha256: str = ""
    is_predicted_apart: bool = False
    seams: "UnitSegments | None" = None
    cuts: Sequence[int] = ()

    @property
    def seam_segments(self) -> Sequence[SegmentPrediction]:
        """The texts around the cuts; empty without cuts."""
        return self.seams.segments if self.seams else ()


@dataclass(frozen=True)
class PredictedUnit:
    """What the driver learns about a unit that was predicted and written.

    amount: the amount of work done, for example in characters.
    not_finite: segments for which a prediction was NaN or infinite.
    """

    amount: int
    not_finite: int


class SlmStage:
    """The stage that adds the small model's predictions.

    attempts: where the stage notes its attempts. If None, it does not find segments that kill the process.
    """

    def __init__(self, config: Config, run: Run, attempts: Attempts | None = None) -> None:
        from rayner.steps.loading import load_tagger

        self.attempts = attempts or Attempts()
        # The encoder computes its sentence vectors while it tags; retrieval reuses them.
        needs_vectors = examples_are_retrieved(config) and config.index.encoder == "slm"
        self.tagger = load_tagger(config, run, sentence_vectors=needs_vectors)

    def __call__(self, unit: UnitSegments) -> UnitSegments:
        """Add the small model's prediction to each segment. A segment that fails is set aside with its error.

        A unit whose predictions were kept is returned as it is.
        """
        beat()
        if unit.scores_sha256:
            return unit
        bounds = [bounds_without_whitespace(segment.text) for segment in unit.segments]
        texts = [segment.text[start:end] for segment, (start, end) in zip(unit.segments, bounds, strict=True)]
        unit_predictions = run_isolating_failures(
            _predict_each_apart(self._predict) if unit.is_predicted_apart else self._predict,
            texts,
            self.attempts.note_path(unit.name, "slm"),
            self.attempts.job,
        )
        predictions, errors = set_non_finite_aside(
            unit_predictions.predictions, unit_predictions.errors, lambda _, slm: find_non_finite_slm(slm)
        )
        segments = []
        for segment, (start, end), prediction, error in zip(unit.segments, bounds, predictions, errors, strict=True):
            if prediction is None:
                slm = empty_prediction(len(segment.text))
            else:
                slm = prediction.pad(start, len(segment.text) - end)
            segments.append(replace(segment, slm=slm, error=error and f"{SLM_ERROR}{error}"))
        vectors = {
            text: prediction.sentence_vector
            for text, prediction in zip(texts, predictions, strict=True)
            if prediction and prediction.sentence_vector is not None
        }
        return replace(unit, segments=segments, text_vectors=vectors, slm_halvings=unit_predictions.halvings)

    def _predict(self, texts: Sequence[str], halvings: int) -> list[SlmPrediction]:
        tagger = self.tagger.with_smaller_batches(2**halvings) if halvings else self.tagger
        return tagger.predict(texts)


class LlmStage:
    """The stage that adds the LLM's answers to the segments that the gate selects.

    gate: decides which segments the LLM is asked about. If None, it is asked about every segment.
    attempts: where the stage notes its attempts. If None, it does not find segments that kill the process.
    """

    def __init__(self, config: Config, run: Run, gate: Gate | None, attempts: Attempts | None = None) -> None:
        from rayner.steps.llm_loading import load_answer_engine, load_retriever

        self.gate, self.group_size, self.attempts = gate, config.prompt.group, attempts or Attempts()
        self.max_chars, self.overlap = config.llm.max_chars, config.llm.overlap
        self.scores_candidates, self.shows_hints = candidates_are_scored(config), prompts_show_hints(config)
        self.types = run.entity_types() if self.scores_candidates or self.shows_hints else ()
        self.engine = load_answer_engine(config, run)
        self.retriever = load_retriever(config, run)

    def answer_texts(
        self,
        requests: Sequence["TextRequest"],
        halvings: int = 0,
        known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in batches that were halved `halvings` times."""
        from rayner.decoding.long_texts import answer_texts

        return answer_texts(
            self.engine.with_smaller_batches(2**halvings) if halvings else self.engine,
            requests,
            retriever=self.retriever,
            max_chars=self.max_chars,
            overlap=self.overlap,
            known_vectors=known_vectors,
        )

    def __call__(self, unit: UnitSegments) -> UnitSegments:
        """Add the gate's decision to each segment, and the LLM's answer to each segment that the LLM is asked about.

        The LLM is not asked again where a kept answer goes far enough.
        """
        beat()
        segments, asked = apply_gate(unit.segments, self.gate)
        groups = (
            self._group_texts_sharing_examples(segments)
            if unit.texts_sharing_examples is None
            else unit.texts_sharing_examples
        )
        requests = [self.build_request(segments[i], groups[i]) for i in asked]
        predict = partial(self.answer_texts, known_vectors=unit.text_vectors)
        unit_answers = run_isolating_failures(
            _predict_each_apart(predict) if unit.is_predicted_apart else predict,
            requests,
            self.attempts.note_path(unit.name, "llm"),
            self.attempts.job,
        )
        answers, errors = set_non_finite_aside(
            unit_answers.predictions,
            unit_answers.errors,
            lambda i, answer: find_non_finite_answer(answer, requests[i].stop_mask),
        )
        for i, answer, error in zip(asked, answers, errors, strict=True):
            start, end = bounds_without_whitespace(segments[i].text)
            llm = answer.pad(start, len(segments[i].text) - end) if answer else None
            segments[i] = replace(segments[i], llm=llm, error=error and f"{LLM_ERROR}{error}")
        # Kept predictions without these answers are out of date.
        scores_sha256 = "" if asked else unit.scores_sha256
        halvings = max(unit.llm_halvings, unit_answers.halvings)
        return replace(unit, segments=segments, llm_halvings=halvings, scores_sha256=scores_sha256)

    def build_request(self, segment: SegmentPrediction, texts_sharing_examples: tuple[str, ...] = ()) -> "TextRequest":
        """Build the LLM's request for a segment.

        The request holds the text without white space at its ends, and the SLM's entities as a draft of the answer.
        The stop mask comes from the gate's decision, if the segment has one. A rule with a stop mask reads no scores of
        candidates. If prompts show a hint, it is the SLM's prediction too, whatever the gate decided.
        """
        from rayner.decoding.long_texts import TextRequest

        start, end = bounds_without_whitespace(segment.text)
        stop_mask = segment.gate.stop_mask if segment.gate else None
        candidates = None
        if self.scores_candidates and stop_mask is None:
            candidates = crop_spans(candidates_to_score(segment.slm, self.types), start, end)
        hint = None
        if self.shows_hints:
            hint = crop_hint(build_slm_hint(segment.slm, self.types), start, end)
        return TextRequest(
            segment.text[start:end],
            crop_spans(segment.slm.spans, start, end),
            None if stop_mask is None else stop_mask[start : end + 1],
            texts_sharing_examples,
            candidates,
            hint=hint,
        )

    def _group_texts_sharing_examples(self, segments: Sequence[SegmentPrediction]) -> list[tuple[str, ...]]:
        """For each segment, return the texts of its document that share retrieved examples with it.

        The result is empty for a segment that has examples of its own. Segments that the LLM is not asked about are
        grouped as well, so no prompt depends on the gate.
        """
        groups: list[tuple[str, ...]] = [()] * len(segments)
        if self.group_size == 1:
            return groups
        for _, document in groupby(range(len(segments)), key=lambda i: segments[i].doc_id):
            indices = [i for i in document if segments[i].text.strip()]
            for first in range(0, len(indices), self.group_size):
                members = indices[first : first + self.group_size]
                texts = tuple(segments[i].text[slice(*bounds_without_whitespace(segments[i].text))] for i in members)
                for i in members:
                    groups[i] = texts
        return groups


def load_stages(
    config: Config, run: Run, gate: Gate, *, asks_llm: bool
) -> tuple[Callable[[UnitSegments], UnitSegments], Callable[[UnitSegments], UnitSegments]]:
    """Load the models and return the stages of the small model and of the LLM. If it is not asked, it is not loaded."""
    return SlmStage(config, run), LlmStage(config, run, gate) if asks_llm else partial(skip_llm, gate=gate)


def skip_llm(unit: UnitSegments, gate: Gate) -> UnitSegments:
    """Add to each segment the decision of a gate that never asks the LLM."""
    beat()
    segments, asked = apply_gate(unit.segments, gate)
    if asked:
        raise ValueError(
            f"{unit.name}: expected a gate that never asks the LLM, found {len(asked)} segments to ask about"
        )
    return replace(unit, segments=segments)


def _predict_each_apart(
    predict: Callable[[Sequence[Item], int], list[Prediction]],
) -> Callable[[Sequence[Item], int], list[Prediction]]:
    """Return a function that predicts the same, but each segment in a batch of its own."""
    return lambda segments, halvings: [predict([segment], halvings)[0] for segment in segments]
