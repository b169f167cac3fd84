"""Cross-fitting of the small model: predict the training sentences with small models that did not train on them.

An LLM that sees the small model's prediction in its prompt (`llm.hint`) must learn when to disagree with it. The small
model makes far fewer errors on sentences that it was trained on. So the training sentences are divided into
`llm.hint_folds` folds. For each fold i, a small model with the same settings is trained on the other folds and predicts
fold i. This happens in a run folder of its own, `RUN/slm_folds/i`.
"""

from pathlib import Path
from typing import Any

import ray

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.corpus.parquet_files import write_table
from rayner.corpus.prediction_tables import predictions_to_table, read_predictions
from rayner.errors import JobError
from rayner.evaluation.metrics import micro_f1
from rayner.fusion.model_confidence import build_slm_hint
from rayner.modeling.devices import set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps.data import FOLD_PART, copy_data_without_fold
from rayner.steps.score import read_unpredicted_segments
from rayner.steps.tag.stages import SlmStage, UnitSegments
from rayner.text.hints import HintEntity
from rayner.text.predictions import SegmentPrediction

_PREDICTIONS = ("scores", f"{FOLD_PART}.parquet")


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings of this step and the digest of step `train_slm`, whose settings the folds share."""
    return {**step_settings(config, "cross_fit_slm"), "train_slm": run.digest_step_manifest("train_slm")}


def cross_fit_slm(config: Config, run: Run) -> dict[str, Any]:
    """Train a small model for every fold and predict the fold's sentences.

    Returns the number of sentences in each fold, the digests of their predictions, and the F1 of the predictions.
    """
    from rayner.steps.training.train_slm import train_slm_on_split_data  # processes that only predict do not need it

    inputs = collect_manifest_inputs(config, run)

    def predict_folds() -> dict[str, Any]:
        digests = []
        for i in range(config.llm.hint_folds):
            log.info("SLM, fold %d/%d", i + 1, config.llm.hint_folds)
            fold = fold_run(run, i)
            copy_data_without_fold(run, fold, i, config.llm.hint_folds, config.seed)
            train_slm_on_split_data(config, fold, full_run=run)
            digests.append(_predict_fold(config, fold, inputs)["digest"])
        predictions = [read_predictions(_local_predictions(run, i)) for i in range(config.llm.hint_folds)]
        segments = [segment for fold in predictions for segment in fold]
        gold, predicted = [segment.gold for segment in segments], [segment.slm.spans for segment in segments]
        f1 = micro_f1(gold, predicted, run.entity_types())
        log.info("SLM: F1 %.4f on the training sentences, by models that were not trained on them", f1)
        return {"sentences": [len(fold) for fold in predictions], "digests": digests, "f1": f1}

    return run.run_step("cross_fit_slm", inputs, predict_folds)


def fold_run(run: Run, i: int) -> Run:
    """Return the run of fold i, whose folder is `RUN/slm_folds/i`."""
    return Run(run.path("slm_folds", str(i)))


def read_hints_by_text(config: Config, run: Run) -> dict[str, tuple[HintEntity, ...]]:
    """Return the hint of each training sentence, by the text of the sentence.

    All copies of a sentence are in one fold, so they have one prediction.
    """
    types = run.entity_types()
    return {
        segment.text: build_slm_hint(segment.slm, types)
        for i in range(config.llm.hint_folds)
        for segment in read_predictions(_local_predictions(run, i))
    }


def _predict_fold(config: Config, fold: Run, inputs: dict[str, Any]) -> dict[str, Any]:
    """Predict the sentences of a fold as a step of the fold's run; return the digest of the file."""

    def predict() -> dict[str, Any]:
        task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_predict_in_task)
        with unwrap_ray_task_error():
            segments: list[SegmentPrediction] = ray.get(task.remote(config, fold))
        return {"digest": write_table(predictions_to_table(segments), fold.path(*_PREDICTIONS))}

    return fold.run_step("predict_fold", {**inputs, "fold_train_slm": fold.digest_step_manifest("train_slm")}, predict)


def _predict_in_task(config: Config, fold: Run) -> list[SegmentPrediction]:
    """Predict the sentences of a fold. Raises JobError if the small model fails at one."""
    set_torch_threads(int(config.score.cpus))
    unit = SlmStage(config, fold)(UnitSegments(FOLD_PART, read_unpredicted_segments(fold, FOLD_PART)))
    errors = [segment.error for segment in unit.segments if segment.error]
    if errors:
        raise JobError(
            f"{fold.root}: expected predictions for {len(unit.segments)} training sentences, found {len(errors)} that "
            f"the small model failed at; the first: {errors[0]}"
        )
    return list(unit.segments)


def _local_predictions(run: Run, i: int) -> Path:
    return fold_run(run, i).local_path(*_PREDICTIONS)
