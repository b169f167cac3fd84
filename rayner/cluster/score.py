"""Scores of both models on the held-out sentences: what fusion is tuned on, and what it is judged by."""

from collections.abc import Sequence
from typing import Any

import ray.data

from rayner.cluster import data
from rayner.cluster.session import Progress, log
from rayner.cluster.stages import scored, segments_of, unit_row
from rayner.config import Config, resolved
from rayner.corpus.scored import read_scored, to_table
from rayner.corpus.tables import write_table
from rayner.ner.scores import NOTHING, Scored
from rayner.run import Run, whole_folder

PARTS = ("dev", "test")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the scores depend on."""
    return {
        **{step: run.digest(step) for step in ("data", "train_slm", "build_index", "train_llm")},
        "probability": config.llm.probability,
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        "prompt": resolved(config.prompt),
        "batches": [config.score.slm.batch_size, config.score.llm.batch_size, config.score.unit_chars],
    }


def score(config: Config, run: Run) -> dict[str, Any]:
    """Score dev and test sentences, every one by both models; write `scores/dev.parquet` and `scores/test.parquet`."""

    def work() -> dict[str, Any]:
        rows = {name: segments(run, name) for name in PARTS}
        units = [
            unit_row(f"{name}-{i:06d}", unit, groups_of(run, unit, config.prompt.group))
            for name, segments in rows.items()
            for i, unit in enumerate(units_of(segments, config.score.unit_chars))
        ]
        progress = Progress("score", sum(map(len, rows.values())), "sentences")
        done: dict[str, list[Scored]] = {}
        dataset = ray.data.from_items(units, override_num_blocks=len(units))
        for row in scored(dataset, config, run, gate=None).iter_rows():
            done[row["unit"]] = segments_of(row)
            progress.add(len(done[row["unit"]]))
        with whole_folder(run.path("scores")) as folder:
            facts = {}
            for name in PARTS:
                found = [row for unit in sorted(done) if unit.startswith(f"{name}-") for row in done[unit]]
                facts[name] = _count(rows[name], found)
                write_table(to_table(found), folder / f"{name}.parquet")
        return facts

    return run.once("score", inputs(config, run), work)


def read(run: Run, name: str) -> list[Scored]:
    """The scored sentences of a part that both models answered."""
    return [row for row in read_scored(run.path("scores", f"{name}.parquet")) if row.llm is not None]


def units_of(rows: list[Scored], size: int) -> list[list[Scored]]:
    """Runs of consecutive segments of about `size` characters."""
    out: list[list[Scored]] = []
    full = True
    for row in rows:
        if full:
            out.append([])
        out[-1].append(row)
        full = sum(len(item.text) for item in out[-1]) >= size
    return out


def segments(run: Run, name: str) -> list[Scored]:
    """The sentences of a part, as neighbours in one document."""
    rows, at = [], 0
    for example in data.part(run, name):
        end = at + len(example.text)
        rows.append(Scored(name, at, end, example.text, NOTHING, gold=example.spans))
        at = end
    return rows


def groups_of(run: Run, rows: Sequence[Scored], size: int) -> list[tuple[str, ...]]:
    """The neighbours in the labelled files that share examples with each labelled sentence; none where none share."""
    if size == 1:
        return [()] * len(rows)
    found = data.neighbours(run, size)
    return [found.get(row.text, ()) for row in rows]


def _count(before: list[Scored], after: list[Scored]) -> dict[str, int]:
    if [(row.start, row.text) for row in before] != [(row.start, row.text) for row in after]:
        raise RuntimeError("the scored sentences are not those that were sent")
    errors = [row.error for row in after if row.error]
    if errors:
        log.info("score: %d sentences set aside, the first: %s", len(errors), errors[0])
    return {
        "sentences": len(after),
        "characters": sum(len(row.text) for row in after),
        "set_aside": len(errors),
        "passes": sum(row.llm.passes for row in after if row.llm),
    }
