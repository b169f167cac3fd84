"""Measure what scores of candidates are worth to the learned rule: `python studies/candidate_scores.py RUN`.

RUN is the folder of a run that was scored with `score.llm.candidates=true`. The study refits the learned rule on the
run's dev sentences by cross-validation, with the scores, without them, and without the LLM (the control). It repeats
this for several divisions into parts. F1 is strict micro F1. A difference has a paired bootstrap interval over
sentences, which count once for each division.

The study reads no test sentence and asks no model.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rayner.evaluation.metrics import EntityCounts, count_entities, f1_difference_with_bootstrap_interval, micro_score
from rayner.fusion.control import with_empty_answer
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned.lexicon import build_lexicon
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.rule_search import decide_held_out
from rayner.runs.run_folder import Run
from rayner.runs.storage import storage_path
from rayner.steps import data
from rayner.steps.score import read_predictions_with_llm_answer
from rayner.text.predictions import SegmentPrediction

# For each system: whether the LLM's answers count, and whether its scores of candidates do.
SYSTEMS = {"with scores": (True, True), "without scores": (True, False), "control": (False, False)}
COMPARED = (
    ("with scores", "without scores"),
    ("with scores", "control"),
    ("without scores", "control"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the F1 of each system in each division, and the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a run that was scored with score.llm.candidates=true")
    parser.add_argument("--divisions", type=int, default=3, help="divisions of the dev sentences into parts")
    parser.add_argument("--folds", type=int, default=5, help="parts of a division")
    parser.add_argument("--ridge", type=float, default=3.0, help="L2 penalty on the weights")
    options = parser.parse_args(arguments)
    run = Run(storage_path(options.run))
    segments = read_predictions_with_llm_answer(run, "dev")
    if not segments or any(segment.llm is None or segment.llm.candidate_scores is None for segment in segments):
        raise SystemExit(f"{run.root}: expected dev predictions with scores of candidates; run it with "
                         "score.llm.candidates=true")  # fmt: skip
    sample = FittingSample(
        segments, run.entity_types(), build_lexicon(data.read_part(run, "train")), {}, np.zeros(1), options.ridge
    )
    counts: dict[str, list[EntityCounts]] = {name: [] for name in SYSTEMS}
    for seed in range(options.divisions):
        for name in SYSTEMS:
            counts[name].append(_count_held_out(sample, name, options.folds, seed))
        row = ", ".join(f"{name} {100 * micro_score(counts[name][-1]).f1:.2f}" for name in SYSTEMS)
        print(f"division {seed + 1}: {row}")
    pooled = {name: np.concatenate(parts, axis=1) for name, parts in counts.items()}
    for name, other in COMPARED:
        difference, low, high = f1_difference_with_bootstrap_interval(pooled[name], pooled[other], seed=0)
        print(f"{name} - {other}: {100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})")


def _count_held_out(sample: FittingSample, name: str, folds: int, seed: int) -> EntityCounts:
    """Count right, predicted and gold entities of each sentence, decided by rules that were fitted on others."""
    has_answers, has_scores = SYSTEMS[name]
    changed = [_change_answer(segment, has_answers, has_scores) for segment in sample.segments]
    rule = SpanRule.unfitted(sample.types, sample.lexicon)
    entities = decide_held_out(rule, sample.with_segments(changed), folds=folds, seed=seed)
    spans = [[entity.span for entity in found] for found in entities]
    return count_entities([segment.gold for segment in sample.segments], spans, sample.types)


def _change_answer(segment: SegmentPrediction, has_answers: bool, has_scores: bool) -> SegmentPrediction:
    if not has_answers or segment.llm is None:
        return with_empty_answer(segment)
    return segment if has_scores else replace(segment, llm=replace(segment.llm, candidate_scores=None))


if __name__ == "__main__":
    main()
