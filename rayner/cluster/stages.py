"""The stages of scoring as Ray Data actors: a row is a unit of work, packed segments in, packed segments out.

Batches are formed inside a unit only, so no score depends on scheduling or on the number of actors. Models are
imported inside the actors: the tasks that only read and write stay small.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import ray.data

from rayner.cluster.session import start_logging
from rayner.config import Config, PoolConfig
from rayner.corpus.scored import from_table, pack, to_table, unpack
from rayner.ner.fusion import llm_cannot_win
from rayner.ner.scores import NOTHING, Scored
from rayner.ner.segment import core
from rayner.run import Run

Row = dict[str, Any]
Answer = TypeVar("Answer")


def unit_row(name: str, rows: Sequence[Scored]) -> Row:
    """A unit of work as a row."""
    return {"unit": name, "segments": pack(to_table(rows))}


def segments_of(row: Row) -> list[Scored]:
    """The segments of a unit."""
    return from_table(unpack(row["segments"]))


class SlmStage:
    """Labels and entropies by the small model."""

    def __init__(self, config: Config, run: Run) -> None:
        from rayner.models import slm
        from rayner.models.training import device_of, use_threads

        start_logging()
        use_threads(int(config.score.slm.cpus))
        self.slm = slm.load(run.path("models", "slm"), device_of(config.device))
        settings = config.slm
        self.score = partial(
            slm.score,
            self.slm,
            size=settings.max_chars,
            overlap=settings.overlap,
            batch_size=config.score.slm.batch_size,
        )

    def __call__(self, row: Row) -> Row:
        """Score the segments of a unit."""
        rows = segments_of(row)
        cores = [core(item.text) for item in rows]
        texts = [item.text[start:end] for item, (start, end) in zip(rows, cores, strict=True)]
        scores, errors = one_by_one(self.score, texts)
        done = []
        for item, (start, end), score, error in zip(rows, cores, scores, errors, strict=True):
            framed = (score or NOTHING).framed(start, len(item.text) - (end if score else start))
            done.append(replace(item, slm=framed, error=error))
        return {**row, **unit_row(row["unit"], done)}


class LlmStage:
    """Answers and confidences by the LLM; with a gate, only where it could change the fused output.

    gate: lambda of the fusion rule; None asks the LLM about every segment.
    """

    def __init__(self, config: Config, run: Run, gate: float | None) -> None:
        from rayner.cluster.train_llm import load_llm, retriever
        from rayner.models.llm_score import answers
        from rayner.models.training import use_threads

        start_logging()
        use_threads(int(config.score.llm.cpus))
        self.gate = gate
        self.answer = partial(
            answers,
            load_llm(config, run),
            retriever=retriever(config, run),
            probability=config.llm.probability,
            size=config.llm.max_chars,
            overlap=config.llm.overlap,
            batch_size=config.score.llm.batch_size,
        )

    def __call__(self, row: Row) -> Row:
        """Answer the segments of a unit that are not gated."""
        rows = segments_of(row)
        gated = [
            self.gate is not None and llm_cannot_win(item.slm.entropy, self.gate) if item.text.strip() else True
            for item in rows
        ]
        asked = [i for i, skip in enumerate(gated) if not skip and rows[i].error is None]
        cores = {i: core(rows[i].text) for i in asked}
        found, errors = one_by_one(self.answer, [rows[i].text[slice(*cores[i])] for i in asked])
        done = [replace(item, gated=skip) for item, skip in zip(rows, gated, strict=True)]
        for i, answer, error in zip(asked, found, errors, strict=True):
            start, end = cores[i]
            framed = answer.framed(start, len(rows[i].text) - end) if answer else None
            done[i] = replace(done[i], llm=framed, error=error)
        return {**row, **unit_row(row["unit"], done)}


def one_by_one(
    work: Callable[[Sequence[str]], list[Answer]], texts: Sequence[str]
) -> tuple[list[Answer | None], list[str | None]]:
    """Answers and errors of the texts; if the whole batch fails, each text is tried alone.

    So one text that a model cannot take costs itself only. It is set aside with the reason.
    """
    try:
        return [*work(texts)], [None] * len(texts)
    except Exception as failure:
        if len(texts) == 1:
            return [None], [f"{type(failure).__name__}: {failure}"[:500]]
    parts = [one_by_one(work, [text]) for text in texts]
    return [answer for found, _ in parts for answer in found], [error for _, errors in parts for error in errors]


def scored(dataset: ray.data.Dataset, config: Config, run: Run, gate: float | None) -> ray.data.Dataset:
    """Both stages over a dataset of units."""
    dataset = _on_actors(dataset, SlmStage, config.score.slm, {"config": config, "run": run})
    return _on_actors(dataset, LlmStage, config.score.llm, {"config": config, "run": run, "gate": gate})


def _on_actors(dataset: ray.data.Dataset, stage: Any, pool: PoolConfig, settings: Row) -> ray.data.Dataset:  # noqa: ANN401
    return dataset.map(
        stage,
        fn_constructor_kwargs=settings,
        compute=ray.data.ActorPoolStrategy(size=pool.actors),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
    )
