"""Cross-fitting: predict the training sentences by models that never saw them, so that fusion is tuned on them as well.

The training sentences are split into `split.folds` parts. For each part, `RUN/folds/i` is a run of its own: the same
models, trained without the part, predict it. The models that tag the corpus are trained on all parts.
"""

from dataclasses import replace
from typing import Any

from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.fusion.lexicon import Lexicon, build_lexicon
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.build_index import build_index
from rayner.steps.data import FOLD_PART
from rayner.steps.score import predict_held_out_sentences, read_predictions_with_llm_answer
from rayner.steps.training.train_llm import train_llm
from rayner.steps.training.train_slm import train_slm
from rayner.text.predictions import SegmentPrediction


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return what the scores of the folds depend on: what those of the held-out sentences do, and the folds."""
    return {**step_settings(config, "cross_fit"), "score": run.digest_step_manifest("score")}


def cross_fit(config: Config, run: Run) -> dict[str, Any]:
    """Train the models of every fold and predict its sentences; return how many sentences each fold has."""

    def predict_folds() -> dict[str, Any]:
        sentences = []
        for i in range(config.split.folds):
            log.info("fold %d/%d", i + 1, config.split.folds)
            fold = fold_run(run, i)
            train_slm(config, fold, fold=i)
            build_index(config, fold, fold=i)
            train_llm(config, fold)
            sentences.append(predict_held_out_sentences(config, fold, fold=i)[FOLD_PART]["sentences"])
        return {"sentences": sentences}

    return run.run_step("cross_fit", collect_manifest_inputs(config, run), predict_folds)


def fold_run(run: Run, i: int) -> Run:
    """Return the run of a fold."""
    return Run(run.path("folds", str(i)))


def read_tuning_predictions_and_lexicons(
    config: Config, run: Run
) -> tuple[list[SegmentPrediction], dict[str, Lexicon]]:
    """Read the predictions that fusion is tuned on: those of `dev`, then those of the folds (`doc_id` is `fold-0` ...).

    Also returns, by that `doc_id`, the lexicon of the other folds: it does not hold the tags of the fold itself.
    """
    predictions, lexicons = read_predictions_with_llm_answer(run, "dev"), {}
    for i in range(config.split.folds):
        fold, name = fold_run(run, i), f"{FOLD_PART}-{i}"
        predictions += [
            replace(prediction, doc_id=name) for prediction in read_predictions_with_llm_answer(fold, FOLD_PART)
        ]
        lexicons[name] = build_lexicon(data.read_part(fold, "train"))
    return predictions, lexicons
