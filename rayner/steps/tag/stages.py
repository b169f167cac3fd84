"""The two stages of scoring, small model and LLM, over a unit of work that an actor has loaded.

Batches are formed inside a unit only, so no score depends on scheduling or on the number of actors. Models are
imported inside the stages: processes that only read and write stay small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rayner.config.settings import Config
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import AnyRule, can_change, quiet
from rayner.runs.run_folder import Run
from rayner.runs.storage import Place
from rayner.steps.tag.attempts import survived
from rayner.text.predictions import NOTHING, Scored
from rayner.text.segmentation import core
from rayner.text.spans import within

if TYPE_CHECKING:
    from rayner.decoding.draft_verify import Decoder
    from rayner.decoding.greedy import Reference
    from rayner.decoding.vllm_engine import VllmEngine
    from rayner.decoding.windowed import Question
    from rayner.llm.model import Llm


@dataclass(frozen=True)
class LoadedUnit:
    """A unit of work: its name and its segments, with what is known of them so far.

    groups: the texts that share examples with each segment; None where they are to be cut from the unit itself.
    vectors: of texts of the segments, where the small model made them in passing.
    """

    name: str
    segments: Sequence[Scored]
    groups: Sequence[tuple[str, ...]] | None = None
    vectors: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def note_of(notes: Place | None, unit: LoadedUnit, stage: str) -> Place | None:
    """Where a stage notes what it is about to do with a unit."""
    return None if notes is None else notes / f"{unit.name}.{stage}.json"


@dataclass(frozen=True)
class Gate:
    """Which segments the LLM is asked about, under a fusion rule.

    exact: not about those that no answer could change, and of the others only as much of the answer as can matter.
    share: about this share of all segments at most.
    """

    rule: AnyRule
    budget: Budget
    exact: bool = True
    share: float = 1.0

    def asks(self, row: Scored) -> bool:
        """Whether the LLM is asked about a segment that the small model has scored."""
        if self.exact and not can_change(row, self.rule):
            return False
        return self.share >= 1 or self.budget.expected(row, self.rule) > self.budget.threshold(self.share)


class SlmStage:
    """Labels and entropies by the small model. notes: where it notes what it is about to do."""

    def __init__(self, config: Config, run: Run, notes: Place | None = None) -> None:
        from rayner.steps.loading import tagger

        self.notes = notes
        # Retrieval by the tagger's own vectors: its pass over a text has them ready.
        own = config.llm.examples == "similar" and config.index.encoder == "slm"
        self.score = tagger(config, run, vectors=own)

    def __call__(self, unit: LoadedUnit) -> LoadedUnit:
        """Score the segments of a unit."""
        cores = [core(item.text) for item in unit.segments]
        texts = [item.text[start:end] for item, (start, end) in zip(unit.segments, cores, strict=True)]
        found, errors = survived(self.score, texts, note_of(self.notes, unit, "slm"))
        done = []
        for item, (start, end), pair, error in zip(unit.segments, cores, found, errors, strict=True):
            score = pair[0] if pair else NOTHING
            framed = score.framed(start, len(item.text) - (end if pair else start))
            done.append(replace(item, slm=framed, error=error))
        vectors = {text: pair[1] for text, pair in zip(texts, found, strict=True) if pair and pair[1] is not None}
        return replace(unit, segments=done, vectors=vectors)


class LlmStage:
    """Answers and confidences by the LLM; with a gate, only where that is worth it.

    notes: where it notes what it is about to do.
    """

    def __init__(self, config: Config, run: Run, gate: Gate | None, notes: Place | None = None) -> None:
        from rayner.decoding.windowed import answers
        from rayner.steps.loading import load_llm, retriever

        self.gate, self.group, self.notes = gate, config.prompt.group, notes
        self.decoder, self.retriever = decoder(load_llm(config, run), config), retriever(config, run)
        self.answer = partial(
            answers,
            self.decoder.answer,
            retriever=self.retriever,
            size=config.llm.max_chars,
            overlap=config.llm.overlap,
        )

    def __call__(self, unit: LoadedUnit) -> LoadedUnit:
        """Answer the segments of a unit that are not gated."""
        rows = unit.segments
        cores = [core(item.text) for item in rows]
        asked = [i for i, item in enumerate(rows) if self._asks(item)]
        groups = self._groups(rows, cores) if unit.groups is None else unit.groups
        questions = [self.question(rows[i], cores[i], groups[i]) for i in asked]
        answer = partial(self.answer, known=unit.vectors)
        found, errors = survived(answer, questions, note_of(self.notes, unit, "llm"))
        done = [replace(item, gated=item.error is None) for item in rows]
        for i, answered, error in zip(asked, found, errors, strict=True):
            start, end = cores[i]
            framed = answered.framed(start, len(rows[i].text) - end) if answered else None
            done[i] = replace(done[i], llm=framed, gated=False, error=error)
        return replace(unit, segments=done)

    def _asks(self, item: Scored) -> bool:
        if item.error is not None or not item.text.strip():
            return False
        return self.gate is None or self.gate.asks(item)

    def question(self, item: Scored, place: tuple[int, int], group: tuple[str, ...] = ()) -> "Question":
        """What is asked about a segment, of which `place` is the core."""
        from rayner.decoding.windowed import Question

        start, end = place
        slots = quiet(item.slm, self.gate.rule) if self.gate and self.gate.exact else None
        slots = None if slots is None else slots[start : end + 1]
        return Question(item.text[start:end], within(item.slm.spans, start, end), slots, group)

    def _groups(self, rows: Sequence[Scored], cores: Sequence[tuple[int, int]]) -> list[tuple[str, ...]]:
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


def decoder(llm: "Llm", config: Config) -> "Decoder | Reference | VllmEngine":
    """How the LLM answers: drafts verified in a few passes, or token by token, by transformers or by vLLM."""
    settings: Any = {"probability": config.llm.probability, "batch_size": config.score.llm.batch_size}
    if config.engine == "vllm":
        from rayner.decoding.vllm_engine import VllmEngine

        return VllmEngine(llm, **settings)
    if config.score.draft:
        from rayner.decoding.draft_verify import Decoder

        return Decoder(llm, **settings)
    from rayner.decoding.greedy import Reference

    return Reference(llm, **settings)
