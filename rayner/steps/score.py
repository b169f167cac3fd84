"""Step score: predict the held-out sentences with the models.

Fusion is tuned on the dev predictions and evaluated on the test predictions.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from itertools import accumulate
from typing import Any

import pyarrow as pa

from rayner.cluster.failures import storage_and_actor_errors_as_job_error
from rayner.config.conditions import (
    candidates_are_scored,
    examples_are_fixed,
    examples_are_retrieved,
    has_llm,
    prompts_show_hints,
)
from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.corpus.parquet_files import list_readable_tables, read_table, write_table
from rayner.corpus.prediction_tables import (
    OPTIONAL_COLUMNS,
    PREDICTION_SCHEMA,
    predictions_from_table,
    predictions_to_table,
    read_predictions,
)
from rayner.corpus.silent_models import EntityCounts, SilentModel
from rayner.fusion.control import give_empty_answer
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.storage import StoragePath
from rayner.steps import data
from rayner.steps.data import FOLD_PART
from rayner.steps.tag.actors import BOTH_MODELS, SLM_ALONE, PredictionJob, predict_units
from rayner.steps.tag.not_finite import require_mostly_finite
from rayner.steps.tag.slices import group_segment_ends, unit_number
from rayner.steps.tag.stages import Attempts, PredictedUnit, UnitSegments
from rayner.text.candidate_scores import CANDIDATE_SCORES_VERSION
from rayner.text.finite_predictions import is_not_finite_reason
from rayner.text.hints import HINT_VERSION
from rayner.text.predictions import LLM_ANSWER_VERSION, SegmentPrediction, add_up_faults, empty_prediction

HELD_OUT_PARTS = ("dev", "test")


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings, versions and digests that the predictions depend on."""
    steps = ["data", "train_slm", *(["train_llm"] if has_llm(config) else [])]
    if examples_are_retrieved(config):
        steps.append("build_index")
    digests = {step: run.digest_step_manifest(step) for step in steps}
    versions = {"llm_answers": LLM_ANSWER_VERSION} if has_llm(config) else {}
    if examples_are_fixed(config):
        from rayner.llm.prompts import FIXED_EXAMPLES_VERSION  # without an LLM, its code is not needed

        versions["fixed_examples"] = FIXED_EXAMPLES_VERSION
    if candidates_are_scored(config):
        versions["candidate_scores"] = CANDIDATE_SCORES_VERSION
    if prompts_show_hints(config):
        versions["hint"] = HINT_VERSION
    return {**step_settings(config, "score"), **versions, **digests}


def predict_held_out_sentences(config: Config, run: Run, fold: int | None = None) -> dict[str, Any]:
    """Predict the dev and test sentences with the models; write `scores/dev.parquet` and `scores/test.parquet`.

    fold: see `data.read_and_split_labelled_files`. In the run of a fold, only the sentences of the fold are predicted.
        They are written to `scores/fold.parquet`.
    """

    def predict_parts() -> dict[str, Any]:
        names = HELD_OUT_PARTS if fold is None else (FOLD_PART,)
        segments = {name: read_unpredicted_segments(run, name) for name in names}
        units = {name: group_into_units(name, segments[name], config.score.unit_chars) for name in names}
        folder = run.path("train", f"scores-{json_digest(collect_manifest_inputs(config, run))}")
        _predict_missing_units(config, run, [unit for part in units.values() for unit in part], folder)
        facts = {}
        with replace_folder(run.path("scores")) as scores:
            for name in names:
                paths = [folder / f"{unit.name}.parquet" for unit in units[name]]
                tables = [read_table(path, PREDICTION_SCHEMA, optional=OPTIONAL_COLUMNS) for path in paths]
                table = pa.concat_tables([PREDICTION_SCHEMA.empty_table(), *tables])
                facts[name] = _verify_and_count_predictions(name, segments[name], predictions_from_table(table))
                write_table(table, scores / f"{name}.parquet")
        return facts

    step_result = run.run_step("score", collect_manifest_inputs(config, run), predict_parts)
    run.remove_resume_files("scores-")
    return step_result


def _predict_missing_units(config: Config, run: Run, units: list[UnitSegments], folder: StoragePath) -> None:
    """Predict the units that have no readable file in `folder` yet."""
    done = list_readable_tables(folder, PREDICTION_SCHEMA, optional=OPTIONAL_COLUMNS)
    missing = [unit for unit in units if f"{unit.name}.parquet" not in done]
    if done:
        log.info("score: %d of %d units are there already", len(done), len(units))
    progress = Progress("score", sum(len(unit.segments) for unit in missing), "sentences")
    if missing:
        progress.show_start()
    read_unit = partial(read_held_out_unit, run=run, group_size=config.prompt.group, unit_chars=config.score.unit_chars)
    write_unit = partial(_write_unit, folder=folder)
    attempts = Attempts(folder / "attempts", uuid.uuid4().hex)
    models = BOTH_MODELS if has_llm(config) else SLM_ALONE
    job = PredictionJob(
        config, run, None, attempts, read_unit, write_unit, models=models,
        on_reports=lambda n_texts, n_chars: progress.show_unfinished(n_texts),
    )  # fmt: skip
    with storage_and_actor_errors_as_job_error(folder):
        for predicted in predict_units([unit.name for unit in missing], job):
            progress.advance(predicted.amount)


def group_into_units(part: str, segments: Sequence[SegmentPrediction], unit_chars: int) -> list[UnitSegments]:
    """Group the sentences of a held-out part into units of about `unit_chars` characters."""
    ends = list(accumulate(len(segment.text) for segment in segments))
    sizes = [len(run) for run in group_segment_ends(ends, unit_chars, overfill=True)]
    return [
        UnitSegments(f"{part}-{i:06d}", segments[end - size : end])
        for i, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True))
    ]


def read_held_out_unit(name: str, run: Run, group_size: int, unit_chars: int) -> UnitSegments:
    """Read the sentences of a unit and, for each sentence, the texts that share examples with it."""
    unit = _load_units(run, name.rpartition("-")[0], unit_chars)[unit_number(name)]
    return replace(unit, texts_sharing_examples=find_texts_sharing_examples(run, unit.segments, group_size))


# One part is cached, because an actor reads the units of a part one after the other.
@lru_cache(maxsize=1)
def _load_units(run: Run, part: str, unit_chars: int) -> list[UnitSegments]:
    return group_into_units(part, read_unpredicted_segments(run, part), unit_chars)


@lru_cache(maxsize=1)
def _load_groups(run: Run, group_size: int) -> dict[str, tuple[str, ...]]:
    return data.group_neighbours_by_text(run, group_size)


def _write_unit(unit: UnitSegments, folder: StoragePath) -> PredictedUnit:
    """Write the predictions of a unit, and return its number of sentences as amount."""
    write_table(predictions_to_table(unit.segments), folder / f"{unit.name}.parquet")
    not_finite = sum(is_not_finite_reason(segment.error) for segment in unit.segments)
    return PredictedUnit(len(unit.segments), not_finite)


def read_predictions_with_llm_answer(run: Run, part: str) -> list[SegmentPrediction]:
    """Read the predictions of a part, but only of sentences that the LLM answered too."""
    return [row for row in read_predictions(run.local_path("scores", f"{part}.parquet")) if row.llm is not None]


def read_predictions_with_empty_answer(run: Run, part: str) -> list[SegmentPrediction]:
    """Read the predictions of a part for a run without an LLM, with an empty LLM answer to each sentence.

    Sentences that were set aside are left out.
    """
    rows = read_predictions(run.local_path("scores", f"{part}.parquet"))
    return [give_empty_answer(row) for row in rows if row.error is None]


def read_unpredicted_segments(run: Run, part: str) -> list[SegmentPrediction]:
    """Read the labelled sentences of a part as consecutive segments of one document, without predictions."""
    segments, start = [], 0
    for sentence in data.read_part(run, part):
        end = start + len(sentence.text)
        segments.append(
            SegmentPrediction(
                part, start, end, sentence.text, empty_prediction(), gold=sentence.spans, passage=sentence.passage
            )
        )
        start = end
    return segments


def find_texts_sharing_examples(
    run: Run, segments: Sequence[SegmentPrediction], group_size: int
) -> list[tuple[str, ...]]:
    """Return, for each held-out sentence, the group of sentences in its labelled file that share examples.

    A group is empty if sentences do not share examples (`group_size` 1).
    """
    if group_size == 1:
        return [()] * len(segments)
    groups = _load_groups(run, group_size)
    return [groups.get(segment.text, ()) for segment in segments]


def _verify_and_count_predictions(
    part: str, planned: list[SegmentPrediction], predicted: list[SegmentPrediction]
) -> dict[str, Any]:
    """Return the counts of a part, and how its free answers differ from a copy if there are any.

    Raises RuntimeError if the predicted sentences are not the planned ones, and NotFiniteError if the predictions for
    too many sentences are not finite: a fusion rule that is tuned without them would be another one.
    """
    if [(segment.start, segment.text) for segment in planned] != [
        (segment.start, segment.text) for segment in predicted
    ]:
        raise RuntimeError("score: the sentences in the scores are not the held-out sentences")
    errors = [segment.error for segment in predicted if segment.error]
    not_finite = sum(map(is_not_finite_reason, errors))
    require_mostly_finite(not_finite, len(predicted), f"score: {part} sentences")
    if errors:
        log.warning(
            "WARNING: score: %d of %d %s sentences were set aside, and the fusion is tuned and scored without them; "
            "the first: %s", len(errors), len(predicted), part, errors[0],
        )  # fmt: skip
    answered = [(len(segment.text), segment.llm) for segment in predicted if segment.llm is not None]
    counts: dict[str, Any] = {
        "sentences": len(predicted),
        "characters": sum(len(segment.text) for segment in predicted),
        "set_aside": len(errors),
        "not_finite": not_finite,
        "passes": sum(answer.passes for _, answer in answered),
        "slm_entities": sum(len(segment.slm.spans) for segment in predicted),
        "llm_characters": sum(n_chars for n_chars, _ in answered),
        "llm_entities": sum(len(answer.entities) for _, answer in answered),
    }
    faults = [answer.faults for _, answer in answered if answer.faults is not None]
    if faults:
        total = add_up_faults(faults)
        counts["free_answers"] = asdict(total)
        log.info("score: %s: %s", part, total.describe())
    for model in find_silent_models(counts):
        log.warning("WARNING: score: %s", model.describe(f"the held-out {part} sentences"))
    return counts


def find_silent_models(counts: Mapping[str, int]) -> list[SilentModel]:
    """Return the models that found no entity in a part. counts: the part's counts in the result of the step."""
    if "slm_entities" not in counts:  # an older rayner scored the part
        return []
    return EntityCounts(
        counts["characters"], counts["slm_entities"], counts["llm_characters"], counts["llm_entities"]
    ).find_silent_models()
