"""Scores of the training sentences, each by models that never saw it, so that the search for the fusion has them all.

The training sentences are cut into `split.folds` parts. For each, `RUN/folds/i` is a run of its own: the same steps,
trained without the part, which is then scored. The models that tag are trained on all parts, as without folds.
"""

from dataclasses import replace
from typing import Any

from rayner.config.settings import Config
from rayner.fusion.span_features import Lexicon, lexicon
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.build_index import build_index
from rayner.steps.data import FOLD
from rayner.steps.score import read, score
from rayner.steps.training.train_llm import train_llm
from rayner.steps.training.train_slm import train_slm
from rayner.text.predictions import Scored


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the scores of the folds depend on: what those of the held-out sentences do, and the number of folds."""
    return {"score": run.digest("score"), "folds": config.split.folds}


def cross_fit(config: Config, run: Run) -> dict[str, Any]:
    """Train and score every fold; the facts: how many sentences each has."""

    def work() -> dict[str, Any]:
        sentences = []
        for i in range(config.split.folds):
            log.info("fold %d/%d", i + 1, config.split.folds)
            own, settings = fold(run, i), replace(config, split=replace(config.split, fold=i))
            for step in (train_slm, build_index, train_llm, score):
                facts = step(settings, own)
            sentences.append(facts[FOLD]["sentences"])
        return {"sentences": sentences}

    return run.once("cross_fit", inputs(config, run), work)


def fold(run: Run, i: int) -> Run:
    """The run of a fold."""
    return Run(run.path("folds", str(i)))


def scored_sentences(config: Config, run: Run) -> tuple[list[Scored], dict[str, Lexicon]]:
    """What fusion is tuned on: held-out sentences, then those of the folds, `fold-0`, `fold-1` ... by `doc_id`.

    Also the lexicon that each of the latter may be judged by: that of the other folds, which does not hold its tags.
    """
    rows, lexicons = read(run, "dev"), {}
    for i in range(config.split.folds):
        own, name = fold(run, i), f"{FOLD}-{i}"
        rows += [replace(row, doc_id=name) for row in read(own, FOLD)]
        lexicons[name] = lexicon(data.part(own, "train"))
    return rows, lexicons
