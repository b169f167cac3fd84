"""The stages of scoring as Ray Data actors: a row is a unit of work, packed segments in, packed segments out.

Batches are formed inside a unit only, so no score depends on scheduling or on the number of actors. Models are
imported inside the actors: the tasks that only read and write stay small.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import ray.data

from rayner.cluster.attempts import survived
from rayner.cluster.failures import AGAIN, described
from rayner.cluster.session import log, start_logging
from rayner.config import Config
from rayner.corpus.scored import from_table, pack, to_table, unpack
from rayner.errors import JobError
from rayner.ner.budget import Budget
from rayner.ner.deciding import AnyRule, can_change, quiet
from rayner.ner.scores import NOTHING, Scored
from rayner.ner.segment import core
from rayner.ner.span_rule import SpanRule
from rayner.ner.spans import within
from rayner.run import Run
from rayner.storage import Place

if TYPE_CHECKING:
    from rayner.models.decode import Decoder
    from rayner.models.engine_vllm import VllmEngine
    from rayner.models.llm import Llm
    from rayner.models.llm_score import Question
    from rayner.models.reference import Reference

Row = dict[str, Any]


def unit_row(name: str, rows: Sequence[Scored], groups: Sequence[Sequence[str]] | None = None) -> Row:
    """A unit of work as a row.

    groups: the texts that share examples with each segment; None where they are to be cut from the unit itself.
    """
    row = {"unit": name, "segments": pack(to_table(rows))}
    return row if groups is None else {**row, "groups": json.dumps(groups, ensure_ascii=False)}


def packed(vectors: Sequence[npt.NDArray[np.float32] | None]) -> bytes:
    """Vectors of a unit's texts, all of one length; NaN where there is none."""
    size = next((len(vector) for vector in vectors if vector is not None), 0)
    nothing = np.full(size, np.nan, dtype=np.float32)
    return b"".join((nothing if vector is None else vector).tobytes() for vector in vectors)


def unpacked(data: bytes, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """The vectors that were packed, by text, where there is one."""
    if not data:
        return {}
    vectors = np.frombuffer(data, dtype=np.float32).reshape(len(texts), -1)
    return {text: vector for text, vector in zip(texts, vectors, strict=True) if not np.isnan(vector).any()}


def note_of(notes: Place | None, row: Row, stage: str) -> Place | None:
    """Where a stage notes what it is about to do with a unit."""
    return None if notes is None else notes / f"{row['unit']}.{stage}.json"


def segments_of(row: Row) -> list[Scored]:
    """The segments of a unit."""
    return from_table(unpack(row["segments"]))


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
    """Labels and entropies by the small model.

    notes: where it notes what it is about to do; whole: keep its distributions too, which a learned rule reads.
    """

    def __init__(self, config: Config, run: Run, notes: Place | None = None, *, whole: bool = True) -> None:
        from rayner.cluster.trained import tagger
        from rayner.models.training import use_threads

        start_logging()
        use_threads(int(config.score.cpus))
        self.notes, self.whole = notes, whole
        # Retrieval by the tagger's own vectors: its pass over a text has them ready.
        self.vectors = config.llm.examples == "similar" and config.index.encoder == "slm"
        self.score = tagger(config, run, vectors=self.vectors)

    def __call__(self, row: Row) -> Row:
        """Score the segments of a unit."""
        rows = segments_of(row)
        cores = [core(item.text) for item in rows]
        texts = [item.text[start:end] for item, (start, end) in zip(rows, cores, strict=True)]
        found, errors = survived(self.score, texts, note_of(self.notes, row, "slm"))
        done = []
        for item, (start, end), pair, error in zip(rows, cores, found, errors, strict=True):
            score = pair[0] if pair else NOTHING
            if not self.whole:
                score = replace(score, log_probs=None)
            framed = score.framed(start, len(item.text) - (end if pair else start))
            done.append(replace(item, slm=framed, error=error))
        vectors = [None if pair is None else pair[1] for pair in found]
        return {**row, **unit_row(row["unit"], done), **({"vectors": packed(vectors)} if self.vectors else {})}


class LlmStage:
    """Answers and confidences by the LLM; with a gate, only where that is worth it.

    notes: where it notes what it is about to do.
    """

    def __init__(self, config: Config, run: Run, gate: Gate | None, notes: Place | None = None) -> None:
        from rayner.cluster.trained import load_llm, retriever
        from rayner.models.llm_score import answers
        from rayner.models.training import use_threads

        start_logging()
        use_threads(int(config.score.cpus))
        self.gate, self.group, self.notes = gate, config.prompt.group, notes
        self.decoder, self.retriever = decoder(load_llm(config, run), config), retriever(config, run)
        self.answer = partial(
            answers,
            self.decoder.answer,
            retriever=self.retriever,
            size=config.llm.max_chars,
            overlap=config.llm.overlap,
        )

    def __call__(self, row: Row) -> Row:
        """Answer the segments of a unit that are not gated."""
        rows = segments_of(row)
        cores = [core(item.text) for item in rows]
        asked = [i for i, item in enumerate(rows) if self._asks(item)]
        groups = [*map(tuple, json.loads(row["groups"]))] if "groups" in row else self._groups(rows, cores)
        questions = [self._question(rows[i], cores[i], groups[i]) for i in asked]
        texts = [item.text[start:end] for item, (start, end) in zip(rows, cores, strict=True)]
        known = unpacked(row["vectors"], texts) if "vectors" in row else {}
        found, errors = survived(partial(self.answer, known=known), questions, note_of(self.notes, row, "llm"))
        done = [replace(item, gated=item.error is None) for item in rows]
        for i, answer, error in zip(asked, found, errors, strict=True):
            start, end = cores[i]
            framed = answer.framed(start, len(rows[i].text) - end) if answer else None
            done[i] = replace(done[i], llm=framed, gated=False, error=error)
        left = {key: value for key, value in row.items() if key not in ("vectors", "groups")}
        return {**left, **unit_row(row["unit"], done)}

    def _asks(self, item: Scored) -> bool:
        if item.error is not None or not item.text.strip():
            return False
        return self.gate is None or self.gate.asks(item)

    def _question(self, item: Scored, place: tuple[int, int], group: tuple[str, ...]) -> "Question":
        from rayner.models.llm_score import Question

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
        from rayner.models.engine_vllm import VllmEngine

        return VllmEngine(llm, **settings)
    if config.score.draft:
        from rayner.models.decode import Decoder

        return Decoder(llm, **settings)
    from rayner.models.reference import Reference

    return Reference(llm, **settings)


class Scoring:
    """What an actor does with a unit: read it, both stages, write it.

    A model each in actors of their own would pass units on, and what one has scored would be lost with all that waits
    for the other; so a crash costs an actor the unit that it has in hand.
    """

    def __init__(
        self,
        config: Config,
        run: Run,
        gate: Gate | None,
        notes: Place,
        read: Callable[[Row], Row] | None,
        write: Callable[[Row], Row],
    ) -> None:
        whole = gate is None or isinstance(gate.rule, SpanRule)
        self.slm, self.llm = SlmStage(config, run, notes, whole=whole), LlmStage(config, run, gate, notes)
        self.read, self.write = read, write

    def __call__(self, row: Row) -> Row:
        """Score a unit and write it; what `write` tells of it, or what went wrong.

        Ray Data would wrap what is raised here in errors of its own, without its cause.
        """
        try:
            return self.write(self.llm(self.slm(self.read(row) if self.read else row)))
        except Exception as error:
            log.exception("%s failed", row["unit"])
            return {"unit": row["unit"], "failure": described(error)}


def scored(
    rows: Sequence[Row],
    config: Config,
    run: Run,
    gate: Gate | None,
    *,
    notes: Place,
    write: Callable[[Row], Row],
    read: Callable[[Row], Row] | None = None,
) -> Iterator[Row]:
    """Both stages over units, by actors; yields what `write` tells of each, in the order in which they are done.

    read: makes rows that are but planned units with segments; notes: where a process that dies leaves what it did.
    Raises JobError if a unit could not be read or written.
    """
    dataset: ray.data.Dataset = ray.data.from_items(list(rows), override_num_blocks=len(rows))
    remote: Any = {
        "num_cpus": config.score.cpus,
        "num_gpus": config.score.gpus or None,
        # Ray's own defaults start an actor again for ever.
        "max_restarts": config.score.max_restarts,
        "max_task_retries": -1,
    }
    stage: Any = Scoring  # Ray's types know classes only by a protocol without arguments
    done = dataset.map(
        stage,
        fn_constructor_kwargs={
            "config": config, "run": run, "gate": gate, "notes": notes, "read": read, "write": write,
        },
        compute=ray.data.ActorPoolStrategy(size=config.score.actors),
        **remote,
    )  # fmt: skip
    for row in done.iter_rows():
        if row.get("failure"):
            raise JobError(f"{row['unit']}: {row['failure']}; {AGAIN}")
        yield row
