"""Cross-fitting: predict the training sentences with models that did not train on them.

This gives more sentences for tuning the fusion of both models. The training sentences are split into `split.folds`
folds. For each fold i, models with the same settings are trained on the other folds and predict fold i. This happens
in a run folder of its own, `RUN/folds/i`. The models that tag the corpus are trained on all folds.
"""

from dataclasses import replace
from typing import Any

from rayner.config.conditions import has_llm
from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.fusion.learned.lexicon import Lexicon, build_lexicon
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.data import FOLD_PART
from rayner.steps.score import (
    predict_held_out_sentences,
    read_predictions_with_empty_answer,
    read_predictions_with_llm_answer,
)
from rayner.steps.training.train_slm import train_slm
from rayner.text.predictions import SegmentPrediction


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings of this step and the digest of step `score`, on which the folds' predictions depend."""
    return {**step_settings(config, "cross_fit"), "score": run.digest_step_manifest("score")}


def cross_fit(config: Config, run: Run) -> dict[str, Any]:
    """Train models for every fold and predict the fold's sentences; return the number of sentences in each fold."""

    def predict_folds() -> dict[str, Any]:
        sentences = []
        for i in range(config.split.folds):
            log.info("fold %d/%d", i + 1, config.split.folds)
            fold = fold_run(run, i)
            train_slm(config, fold, fold=i, full_run=run)
            if has_llm(config):
                _build_index_and_train_llm(config, fold, i)
            sentences.append(predict_held_out_sentences(config, fold, fold=i)[FOLD_PART]["sentences"])
        return {"sentences": sentences}

    return run.run_step("cross_fit", collect_manifest_inputs(config, run), predict_folds)


def _build_index_and_train_llm(config: Config, fold: Run, i: int) -> None:
    from rayner.steps.build_index import build_index  # without an LLM, its code is not needed
    from rayner.steps.training.train_llm import train_llm

    build_index(config, fold, fold=i)
    train_llm(config, fold)


def fold_run(run: Run, i: int) -> Run:
    """Return the run of fold i, whose folder is `RUN/folds/i`."""
    return Run(run.path("folds", str(i)))


def read_tuning_predictions_and_lexicons(
    config: Config, run: Run
) -> tuple[list[SegmentPrediction], dict[str, Lexicon]]:
    """Read the predictions on which fusion is tuned, and a lexicon for each fold.

    The predictions for the `dev` sentences come first, then those of the folds. The predictions of fold i get `fold-i`
    as their `doc_id`. The lexicons have the same names as keys. The lexicon of a fold is built from the other folds, so
    it does not hold the tags of the fold itself.
    """
    read = read_predictions_with_llm_answer if has_llm(config) else read_predictions_with_empty_answer
    predictions, lexicons = read(run, "dev"), {}
    for i in range(config.split.folds):
        fold, name = fold_run(run, i), f"{FOLD_PART}-{i}"
        predictions += [replace(prediction, doc_id=name) for prediction in read(fold, FOLD_PART)]
        lexicons[name] = build_lexicon(data.read_part(fold, "train"))
    return predictions, lexicons
