"""The two stages of scoring, small model and LLM, over a unit of work that an actor has loaded.

Batches are formed inside a unit only, so no score depends on scheduling or on the number of actors. Models are
imported inside the stages: processes that only read and write stay small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rayner.config.settings import Config
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import FusionRule, llm_could_change, stop_mask
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath
from rayner.steps.tag.attempts import run_isolating_failures
from rayner.text.predictions import NOTHING, SegmentPrediction
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import crop_spans

if TYPE_CHECKING:
    from rayner.decoding.draft_verify import DraftVerifyEngine
    from rayner.decoding.greedy import GreedyEngine
    from rayner.decoding.long_texts import TextRequest
    from rayner.decoding.vllm_engine import VllmEngine
    from rayner.llm.model import Llm


@dataclass(frozen=True)
class UnitPredictions:
    """A unit of work: its name and its segments, with what is known of them so far.

    groups: the texts that share examples with each segment; None where they are to be cut from the unit itself.
    vectors: of texts of the segments, where the small model made them in passing.
    """

    name: str
    segments: Sequence[SegmentPrediction]
    example_groups: Sequence[tuple[str, ...]] | None = None
    text_vectors: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def attempt_path(notes: StoragePath | None, unit: UnitPredictions, stage: str) -> StoragePath | None:
    """Where a stage notes what it is about to do with a unit."""
    return None if notes is None else notes / f"{unit.name}.{stage}.json"


@dataclass(frozen=True)
class Gate:
    """Which segments the LLM is asked about, under a fusion rule.

    exact: not about those that no answer could change, and of the others only as much of the answer as can matter.
    share: about this share of all segments at most.
    """

    rule: FusionRule
    budget: Budget
    exact: bool = True
    share: float = 1.0

    def should_ask_llm(self, row: SegmentPrediction) -> bool:
        """Whether the LLM is asked about a segment that the small model has scored."""
        if self.exact and not llm_could_change(row, self.rule):
            return False
        return self.share >= 1 or self.budget.expected_overturned_tags(
            row, self.rule
        ) > self.budget.threshold_for_share(self.share)


class SlmStage:
    """Labels and entropies by the small model. notes: where it notes what it is about to do."""

    def __init__(self, config: Config, run: Run, notes: StoragePath | None = None) -> None:
        from rayner.steps.loading import load_tagger

        self.attempts_folder = notes
        # Retrieval by the tagger's own vectors: its pass over a text has them ready.
        own = config.llm.examples == "similar" and config.index.encoder == "slm"
        self.tagger = load_tagger(config, run, sentence_vectors=own)

    def __call__(self, unit: UnitPredictions) -> UnitPredictions:
        """Score the segments of a unit."""
        cores = [bounds_without_whitespace(item.text) for item in unit.segments]
        texts = [item.text[start:end] for item, (start, end) in zip(unit.segments, cores, strict=True)]
        found, errors = run_isolating_failures(
            self.tagger.predict, texts, attempt_path(self.attempts_folder, unit, "slm")
        )
        done = []
        for item, (start, end), prediction, error in zip(unit.segments, cores, found, errors, strict=True):
            framed = (prediction or NOTHING).pad(start, len(item.text) - (end if prediction else start))
            done.append(replace(item, slm=framed, error=error))
        vectors = {
            text: prediction.sentence_vector
            for text, prediction in zip(texts, found, strict=True)
            if prediction and prediction.sentence_vector is not None
        }
        return replace(unit, segments=done, text_vectors=vectors)


class LlmStage:
    """Answers and confidences by the LLM; with a gate, only where that is worth it.

    notes: where it notes what it is about to do.
    """

    def __init__(self, config: Config, run: Run, gate: Gate | None, notes: StoragePath | None = None) -> None:
        from rayner.decoding.long_texts import answer_texts
        from rayner.steps.loading import load_llm, load_retriever

        self.gate, self.group, self.attempts_folder = gate, config.prompt.group, notes
        self.decoder, self.retriever = build_decoder(load_llm(config, run), config), load_retriever(config, run)
        self.answer = partial(
            answer_texts,
            self.decoder.answer_requests,
            retriever=self.retriever,
            size=config.llm.max_chars,
            overlap=config.llm.overlap,
        )

    def __call__(self, unit: UnitPredictions) -> UnitPredictions:
        """Answer the segments of a unit that are not gated."""
        rows = unit.segments
        cores = [bounds_without_whitespace(item.text) for item in rows]
        asked = [i for i, item in enumerate(rows) if self._asks(item)]
        groups = self._group_texts(rows, cores) if unit.example_groups is None else unit.example_groups
        questions = [self.build_question(rows[i], cores[i], groups[i]) for i in asked]
        answer = partial(self.answer, known_vectors=unit.text_vectors)
        found, errors = run_isolating_failures(answer, questions, attempt_path(self.attempts_folder, unit, "llm"))
        done = [replace(item, gated=item.error is None) for item in rows]
        for i, answered, error in zip(asked, found, errors, strict=True):
            start, end = cores[i]
            framed = answered.pad(start, len(rows[i].text) - end) if answered else None
            done[i] = replace(done[i], llm=framed, gated=False, error=error)
        return replace(unit, segments=done)

    def _asks(self, item: SegmentPrediction) -> bool:
        if item.error is not None or not item.text.strip():
            return False
        return self.gate is None or self.gate.should_ask_llm(item)

    def build_question(
        self, item: SegmentPrediction, place: tuple[int, int], group: tuple[str, ...] = ()
    ) -> "TextRequest":
        """What is asked about a segment, of which `place` is the core."""
        from rayner.decoding.long_texts import TextRequest

        start, end = place
        slots = stop_mask(item.slm, self.gate.rule) if self.gate and self.gate.exact else None
        slots = None if slots is None else slots[start : end + 1]
        return TextRequest(item.text[start:end], crop_spans(item.slm.spans, start, end), slots, group)

    def _group_texts(
        self, rows: Sequence[SegmentPrediction], cores: Sequence[tuple[int, int]]
    ) -> list[tuple[str, ...]]:
        """The texts that share examples with each segment, whether the LLM is asked about them or not.

        So no prompt depends on the gate.
        """
        groups: list[tuple[str, ...]] = [()] * len(rows)
        if self.group == 1:
            return groups
        for _, document in groupby(range(len(rows)), key=lambda i: rows[i].doc_id):
            written = [i for i in document if rows[i].text.strip()]
            for at in range(0, len(written), self.group):
                members = written[at : at + self.group]
                texts = tuple(rows[i].text[slice(*cores[i])] for i in members)
                for i in members:
                    groups[i] = texts
        return groups


def build_decoder(llm: "Llm", config: Config) -> "DraftVerifyEngine | GreedyEngine | VllmEngine":
    """How the LLM answers: drafts verified in a few passes, or token by token, by transformers or by vLLM."""
    softmax_over, batch_size = config.llm.softmax_over, config.score.llm.batch_size
    if config.llm.engine == "vllm":
        from rayner.decoding.vllm_engine import VllmEngine

        return VllmEngine(llm, probability=softmax_over, batch_size=batch_size)
    if config.score.draft:
        from rayner.decoding.draft_verify import DraftVerifyEngine

        return DraftVerifyEngine(llm, softmax_over=softmax_over, batch_size=batch_size)
    from rayner.decoding.greedy import GreedyEngine

    return GreedyEngine(llm, probability=softmax_over, batch_size=batch_size)
