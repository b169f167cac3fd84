"""Scores of both models on the held-out sentences: what fusion is tuned on, and what it is judged by."""

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa

from rayner.cluster.failures import storage_and_actor_errors_as_job_error
from rayner.config.plugins import plugin_fingerprints
from rayner.config.settings import Config, config_to_dict, json_digest
from rayner.corpus.prediction_tables import (
    PREDICTION_SCHEMA,
    predictions_from_table,
    predictions_to_table,
    read_predictions,
)
from rayner.corpus.tables import read_table, write_table
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.storage import StoragePath, list_file_names
from rayner.steps import data
from rayner.steps.data import FOLD_PART
from rayner.steps.tag.actors import PredictionJob, Row, predict_units
from rayner.steps.tag.stages import UnitPredictions
from rayner.text.predictions import NOTHING, SegmentPrediction

HELD_OUT_PARTS = ("dev", "test")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the scores depend on."""
    return {
        **{step: run.step_digest(step) for step in ("data", "train_slm", "build_index", "train_llm")},
        "probability": config.llm.probability,
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        **plugin_fingerprints({"slm.family": config.slm.family}),
        "prompt": config_to_dict(config.prompt),
        "batches": [config.score.slm.batch_size, config.score.llm.batch_size, config.score.unit_chars],
    }


def score_held_out(config: Config, run: Run) -> dict[str, Any]:
    """Score dev and test sentences, every one by both models; write `scores/dev.parquet` and `scores/test.parquet`.

    Of a fold (`split.fold`), its own sentences alone: `scores/fold.parquet`.
    """

    def work() -> dict[str, Any]:
        rows = {
            name: held_out_segments(run, name) for name in ((FOLD_PART,) if config.split.fold >= 0 else HELD_OUT_PARTS)
        }
        units = [row for name, every in rows.items() for row in rows_of(name, every, config.score.unit_chars)]
        kept = run.path("train", f"scores-{json_digest(inputs(config, run))}")
        _score_missing_units(config, run, units, kept)
        facts = {}
        with replace_folder(run.path("scores")) as folder:
            for name in rows:
                names = [unit["unit"] for unit in units if unit["part"] == name]
                tables = [read_table(kept / f"{unit}.parquet", PREDICTION_SCHEMA) for unit in names]
                table = pa.concat_tables([PREDICTION_SCHEMA.empty_table(), *tables])
                facts[name] = _count_predictions(rows[name], predictions_from_table(table))
                write_table(table, folder / f"{name}.parquet")
        return facts

    return run.run_step("score", inputs(config, run), work)


def _score_missing_units(config: Config, run: Run, units: list[Row], kept: StoragePath) -> None:
    """Score the units that are not kept yet; each is kept, by a rename, when it is scored."""
    done = {name.removesuffix(".parquet") for name in list_file_names(kept, "", ".parquet")}
    todo = [unit for unit in units if unit["unit"] not in done]
    if done:
        log.info("score: %d of %d units are there already", len(done), len(units))
    progress = Progress("score", sum(unit["end"] - unit["start"] for unit in todo), "sentences")
    read = partial(read_held_out_unit, run=run, group=config.prompt.group)
    work = PredictionJob(config, run, None, kept / "attempts", read, write_unit=partial(_write_unit, kept=kept))
    with storage_and_actor_errors_as_job_error(kept):
        for row in predict_units(todo, work):
            progress.advance(int(row["sentences"]))


def rows_of(name: str, sentences: Sequence[SegmentPrediction], size: int) -> list[Row]:
    """The units of a part, of about `size` characters: each the sentences [start, end) of it."""
    cuts = [0, *accumulate(map(len, units_of(sentences, size)))]
    return [
        {"unit": f"{name}-{i:06d}", "part": name, "start": start, "end": end}
        for i, (start, end) in enumerate(pairwise(cuts))
    ]


def read_held_out_unit(row: Row, run: Run, group: int) -> UnitPredictions:
    """The sentences of a unit, with those that share examples with each."""
    sentences, groups = _load_part(run, row["part"], group)
    own = slice(row["start"], row["end"])
    return UnitPredictions(row["unit"], sentences[own], groups[own])


# The units of a part follow each other: it is not read again for each.
@lru_cache(maxsize=1)
def _load_part(run: Run, name: str, group: int) -> tuple[list[SegmentPrediction], list[tuple[str, ...]]]:
    sentences = held_out_segments(run, name)
    return sentences, example_groups(run, sentences, group)


def _write_unit(unit: UnitPredictions, kept: StoragePath) -> Row:
    write_table(predictions_to_table(unit.segments), kept / f"{unit.name}.parquet")
    return {"unit": unit.name, "sentences": len(unit.segments)}


def read_answered(run: Run, name: str) -> list[SegmentPrediction]:
    """The scored sentences of a part that both models answered."""
    return [row for row in read_predictions(run.local_path("scores", f"{name}.parquet")) if row.llm is not None]


def units_of(rows: Sequence[SegmentPrediction], size: int) -> list[list[SegmentPrediction]]:
    """Runs of consecutive segments of about `size` characters."""
    out: list[list[SegmentPrediction]] = []
    full = True
    for row in rows:
        if full:
            out.append([])
        out[-1].append(row)
        full = sum(len(item.text) for item in out[-1]) >= size
    return out


def held_out_segments(run: Run, name: str) -> list[SegmentPrediction]:
    """The sentences of a part, as neighbours in one document."""
    rows, at = [], 0
    for example in data.read_part(run, name):
        end = at + len(example.text)
        rows.append(SegmentPrediction(name, at, end, example.text, NOTHING, gold=example.spans))
        at = end
    return rows


def example_groups(run: Run, rows: Sequence[SegmentPrediction], size: int) -> list[tuple[str, ...]]:
    """The neighbours in the labelled files that share examples with each labelled sentence; none where none share."""
    if size == 1:
        return [()] * len(rows)
    found = data.group_neighbours(run, size)
    return [found.get(row.text, ()) for row in rows]


def _count_predictions(before: list[SegmentPrediction], after: list[SegmentPrediction]) -> dict[str, int]:
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
