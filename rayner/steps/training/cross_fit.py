"""Scores of the training sentences, each by models that never saw it, so that the search for the fusion has them all.

The training sentences are cut into `split.folds` parts. For each, `RUN/folds/i` is a run of its own: the same steps,
trained without the part, which is then scored. The models that tag are trained on all parts, as without folds.
"""

from dataclasses import replace
from typing import Any

from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.fusion.span_features import Lexicon, build_lexicon
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.build_index import build_index
from rayner.steps.data import FOLD_PART
from rayner.steps.score import read_answered, score_held_out
from rayner.steps.training.train_llm import train_llm
from rayner.steps.training.train_slm import train_slm
from rayner.text.predictions import SegmentPrediction


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return what the scores of the folds depend on: what those of the held-out sentences do, and the folds."""
    return {**step_settings(config, "cross_fit"), "score": run.step_digest("score")}


def cross_fit(config: Config, run: Run) -> dict[str, Any]:
    """Train and score every fold; the facts: how many sentences each has."""

    def work() -> dict[str, Any]:
        sentences = []
        for i in range(config.split.folds):
            log.info("fold %d/%d", i + 1, config.split.folds)
            own = fold_run(run, i)
            train_slm(config, own, fold=i)
            build_index(config, own, fold=i)
            train_llm(config, own)
            facts = score_held_out(config, own, fold=i)
            sentences.append(facts[FOLD_PART]["sentences"])
        return {"sentences": sentences}

    return run.run_step("cross_fit", inputs(config, run), work)


def fold_run(run: Run, i: int) -> Run:
    """The run of a fold."""
    return Run(run.path("folds", str(i)))


def read_tuning_predictions(config: Config, run: Run) -> tuple[list[SegmentPrediction], dict[str, Lexicon]]:
    """What fusion is tuned on: held-out sentences, then those of the folds, `fold-0`, `fold-1` ... by `doc_id`.

    Also the lexicon that each of the latter may be judged by: that of the other folds, which does not hold its tags.
    """
    rows, lexicons = read_answered(run, "dev"), {}
    for i in range(config.split.folds):
        own, name = fold_run(run, i), f"{FOLD_PART}-{i}"
        rows += [replace(row, doc_id=name) for row in read_answered(own, FOLD_PART)]
        lexicons[name] = build_lexicon(data.read_part(own, "train"))
    return rows, lexicons
