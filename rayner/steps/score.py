"""Scores of both models on the held-out sentences: what fusion is tuned on, and what it is judged by."""

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa

from rayner.cluster.failures import plainly
from rayner.config.plugins import code
from rayner.config.settings import Config, digest, resolved
from rayner.corpus.prediction_tables import SCORED, from_table, read_scored, to_table
from rayner.corpus.tables import read_table, write_table
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, whole_folder
from rayner.runs.storage import Place, names_in
from rayner.steps import data
from rayner.steps.data import FOLD
from rayner.steps.tag.actors import Row, Work, scored
from rayner.steps.tag.stages import LoadedUnit
from rayner.text.predictions import NOTHING, Scored

PARTS = ("dev", "test")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the scores depend on."""
    return {
        **{step: run.digest(step) for step in ("data", "train_slm", "build_index", "train_llm")},
        "probability": config.llm.probability,
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        **code({"slm.family": config.slm.family}),
        "prompt": resolved(config.prompt),
        "batches": [config.score.slm.batch_size, config.score.llm.batch_size, config.score.unit_chars],
    }


def score(config: Config, run: Run) -> dict[str, Any]:
    """Score dev and test sentences, every one by both models; write `scores/dev.parquet` and `scores/test.parquet`.

    Of a fold (`split.fold`), its own sentences alone: `scores/fold.parquet`.
    """

    def work() -> dict[str, Any]:
        rows = {name: segments(run, name) for name in ((FOLD,) if config.split.fold >= 0 else PARTS)}
        units = [row for name, every in rows.items() for row in rows_of(name, every, config.score.unit_chars)]
        kept = run.path("train", f"scores-{digest(inputs(config, run))}")
        _score_units(config, run, units, kept)
        facts = {}
        with whole_folder(run.path("scores")) as folder:
            for name in rows:
                names = [unit["unit"] for unit in units if unit["part"] == name]
                tables = [read_table(kept / f"{unit}.parquet", SCORED) for unit in names]
                table = pa.concat_tables([SCORED.empty_table(), *tables])
                facts[name] = _count(rows[name], from_table(table))
                write_table(table, folder / f"{name}.parquet")
        return facts

    return run.once("score", inputs(config, run), work)


def _score_units(config: Config, run: Run, units: list[Row], kept: Place) -> None:
    """Score the units that are not kept yet; each is kept, by a rename, when it is scored."""
    done = {name.removesuffix(".parquet") for name in names_in(kept, "", ".parquet")}
    todo = [unit for unit in units if unit["unit"] not in done]
    if done:
        log.info("score: %d of %d units are there already", len(done), len(units))
    progress = Progress("score", sum(unit["end"] - unit["start"] for unit in todo), "sentences")
    read = partial(read_unit, run=run, group=config.prompt.group)
    work = Work(config, run, None, kept / "attempts", read, write=partial(_keep, kept=kept))
    with plainly(kept):
        for row in scored(todo, work):
            progress.add(int(row["sentences"]))


def rows_of(name: str, sentences: Sequence[Scored], size: int) -> list[Row]:
    """The units of a part, of about `size` characters: each the sentences [start, end) of it."""
    cuts = [0, *accumulate(map(len, units_of(sentences, size)))]
    return [
        {"unit": f"{name}-{i:06d}", "part": name, "start": start, "end": end}
        for i, (start, end) in enumerate(pairwise(cuts))
    ]


def read_unit(row: Row, run: Run, group: int) -> LoadedUnit:
    """The sentences of a unit, with those that share examples with each."""
    sentences, groups = _part(run, row["part"], group)
    own = slice(row["start"], row["end"])
    return LoadedUnit(row["unit"], sentences[own], groups[own])


# The units of a part follow each other: it is not read again for each.
@lru_cache(maxsize=1)
def _part(run: Run, name: str, group: int) -> tuple[list[Scored], list[tuple[str, ...]]]:
    sentences = segments(run, name)
    return sentences, groups_of(run, sentences, group)


def _keep(unit: LoadedUnit, kept: Place) -> Row:
    write_table(to_table(unit.segments), kept / f"{unit.name}.parquet")
    return {"unit": unit.name, "sentences": len(unit.segments)}


def read(run: Run, name: str) -> list[Scored]:
    """The scored sentences of a part that both models answered."""
    return [row for row in read_scored(run.local("scores", f"{name}.parquet")) if row.llm is not None]


def units_of(rows: Sequence[Scored], size: int) -> list[list[Scored]]:
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
