"""Measure what picking the sentences to correct is worth: `python studies/review_curve.py LABELLED OUT`.

The study trains the CRF on a part of a labelled file's training sentences and scores the others as if they had no
labels. It picks some by value (`rayner.corpus.review.ranking`), adds them with their gold labels, trains anew, and
repeats this for each number in `--add`. For comparison it adds as many random sentences, and random sentences with as
many characters. It repeats all of this for several starting parts and draws. F1 is strict, on dev, with bootstrap
intervals over sentences.

Writes OUT/review_curve.json and OUT/review_curve.svg. The split is that of a run. Use `--part test` at the very end
only.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rayner.config.model_settings import CrfConfig
from rayner.config.settings import SplitConfig
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_file_into_sentences, split_train_dev_test
from rayner.corpus.review.candidates import make_candidate
from rayner.corpus.review.ranking import pick_candidates
from rayner.evaluation.metrics import (
    EntityCounts,
    bootstrap_f1_interval,
    count_entities,
    f1_difference_with_bootstrap_interval,
    micro_score,
)
from rayner.runs.json_files import write_json
from rayner.runs.output_folder import mark_output_folder_as_ours
from rayner.taggers.crf import CrfTagger, load_crf, train_crf
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SegmentPrediction
from rayner.text.tags import bmes_labels

# `rayner review` picks in the second way: a tagged corpus holds no entropy of characters outside entities.
PICKING = ("by value", "by entities alone")
DRAWING = ("at random", "at random, as many characters")


@dataclass(frozen=True)
class Curve:
    """Results of one way from one starting part: with nothing added, then after each addition.

    n_chars: characters added so far.
    """

    counts: list[EntityCounts]
    n_chars: list[int]


@dataclass(frozen=True)
class Study:
    """The data: a pool of distinct training sentences, and the sentences on which F1 is measured."""

    pool: tuple[LabelledSentence, ...]
    evaluation: tuple[LabelledSentence, ...]
    types: tuple[str, ...]
    iterations: int

    def train(self, sentences: Sequence[LabelledSentence]) -> CrfTagger:
        """Train a CRF."""
        with tempfile.TemporaryDirectory() as folder:
            train_crf(sentences, bmes_labels(self.types), CrfConfig(max_iterations=self.iterations), Path(folder))
            return load_crf(Path(folder))  # the CRF is now in memory

    def evaluate(self, crf: CrfTagger) -> EntityCounts:
        """Count the CRF's entities on the evaluation sentences."""
        predictions = crf.predict([sentence.text for sentence in self.evaluation])
        gold = [sentence.spans for sentence in self.evaluation]
        return count_entities(gold, [prediction.spans for prediction in predictions], self.types)

    def pick_sentences(
        self, crf: CrfTagger, sentences: Sequence[LabelledSentence], n: int, *, use_outside_entropy: bool
    ) -> list[LabelledSentence]:
        """Pick the n most valuable of sentences that the CRF was not trained on."""
        predictions = crf.predict([sentence.text for sentence in sentences])
        candidates = [
            # `start` is the index of the sentence here.
            make_candidate(SegmentPrediction("pool", i, i + len(sentence.text), sentence.text, prediction), self.types)
            for i, (sentence, prediction) in enumerate(zip(sentences, predictions, strict=True))
        ]
        if not use_outside_entropy:
            candidates = [replace(candidate, outside_entropy=0.0) for candidate in candidates]
        return [sentences[candidate.start] for candidate in pick_candidates(candidates, n, n)]


def draw_sentences(
    sentences: Sequence[LabelledSentence], n: int, n_chars: int | None, rng: random.Random
) -> list[LabelledSentence]:
    """Draw n random sentences, or, if `n_chars` is given, as many as have that number of characters."""
    shuffled = rng.sample(list(sentences), len(sentences))
    if n_chars is None:
        return shuffled[:n]
    lengths = np.cumsum([len(sentence.text) for sentence in shuffled])
    return shuffled[: int(np.searchsorted(lengths, n_chars)) + 1]


def compute_curve(
    study: Study,
    start: Sequence[LabelledSentence],
    additions: Sequence[int],
    way: str,
    seed: int,
    picked_chars: Sequence[int] = (),
) -> Curve:
    """Train and evaluate on a starting part, then after each addition.

    picked_chars: characters that picking by value had added at each addition, for the way that draws as many.
    """
    rng = random.Random(seed)
    sentences = list(start)
    crf = study.train(sentences)
    curve = Curve([study.evaluate(crf)], [0])
    for i, n_added in enumerate(additions):
        used_texts = {sentence.text for sentence in sentences}
        unused = [sentence for sentence in study.pool if sentence.text not in used_texts]
        n = n_added - (additions[i - 1] if i else 0)
        if way in PICKING:
            sentences += study.pick_sentences(crf, unused, n, use_outside_entropy=way == PICKING[0])
        else:
            n_chars = picked_chars[i] - curve.n_chars[-1] if way == DRAWING[1] else None
            sentences += draw_sentences(unused, n, n_chars, rng)
        crf = study.train(sentences)
        curve.counts.append(study.evaluate(crf))
        curve.n_chars.append(sum(len(sentence.text) for sentence in sentences[len(start) :]))
    return curve


def compute_all_curves(study: Study, options: argparse.Namespace) -> dict[str, list[Curve]]:
    """Compute the curves of every way, for every starting part and draw."""
    started = time.monotonic()
    curves: dict[str, list[Curve]] = {way: [] for way in PICKING + DRAWING}
    for i in range(options.starts):
        start = random.Random(i).sample(study.pool, options.start)
        for way in PICKING:
            curves[way].append(compute_curve(study, start, options.add, way, 0))
        picked_chars = curves[PICKING[0]][-1].n_chars[1:]
        for way in DRAWING:
            for k in range(options.draws):
                curves[way].append(compute_curve(study, start, options.add, way, 1000 * i + k, picked_chars))
        print(f"start {i + 1}/{options.starts}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return curves


def summarize(
    curves: Mapping[str, list[Curve]], additions: Sequence[int], seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return, for each way and addition, F1 with its interval and spread, and the gain over random sentences.

    Intervals are bootstraps over the evaluation sentences, with the counts of all starts and draws added; paired for
    gains.
    """
    rows_by_way: dict[str, list[dict[str, Any]]] = {}
    for way, of_way in curves.items():
        rows_by_way[way] = []
        for k, n_added in enumerate(additions):
            counts = np.sum([curve.counts[k] for curve in of_way], axis=0)
            row = {
                "sentences": n_added,
                "characters": round(float(np.mean([curve.n_chars[k] for curve in of_way]))),
                "f1": micro_score(counts).f1,
                "interval": bootstrap_f1_interval(counts, seed=seed),
                "standard_deviation_of_runs": float(np.std([micro_score(curve.counts[k]).f1 for curve in of_way])),
            }
            for baseline in DRAWING if way in PICKING else ():
                # There are more draws than starts. That does not matter: F1 is a ratio of sums.
                baseline_counts = np.sum([curve.counts[k] for curve in curves[baseline]], axis=0)
                row[f"gain over {baseline}"] = f1_difference_with_bootstrap_interval(counts, baseline_counts, seed=seed)
            rows_by_way[way].append(row)
    return rows_by_way


def format_table(rows_by_way: Mapping[str, list[dict[str, Any]]]) -> str:
    """Format the summary as a table for the terminal."""
    lines = [f"{'':<30} added  characters     F1  interval        gain over: {', '.join(DRAWING)}"]
    for way, rows in rows_by_way.items():
        for row in rows:
            low, high = row["interval"]
            gains = [row[f"gain over {baseline}"] for baseline in DRAWING if f"gain over {baseline}" in row]
            cells = [f"{100 * gain:+.2f} [{100 * least:+.2f}, {100 * most:+.2f}]" for gain, least, most in gains]
            lines.append(
                f"{way:<30} {row['sentences']:>5} {row['characters']:>11,}  {100 * row['f1']:.2f}  "
                f"[{100 * low:.2f}, {100 * high:.2f}]  {'  '.join(cells)}".rstrip()
            )
    return "\n".join(lines)


def write_plot(rows_by_way: Mapping[str, list[dict[str, Any]]], path: Path, part: str) -> None:
    """Plot F1 over sentences and over characters, with the standard deviation of the runs."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "rayner"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, key in zip(axes, ("sentences", "characters"), strict=True):
        for way, rows in rows_by_way.items():
            if key == "sentences" and way == DRAWING[1]:
                continue  # this way adds other numbers of sentences
            x, f1 = [row[key] for row in rows], [100 * row["f1"] for row in rows]
            spread = [100 * row["standard_deviation_of_runs"] for row in rows]
            axis.errorbar(x, f1, yerr=spread, label=way, capsize=3, marker="o", markersize=3)
        axis.set_xlabel(f"{key} added")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"strict F1 on {part}")
    axes[1].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Run the study, write the numbers and the plot, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="labelled file, char-tab-tag")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--start", type=int, default=1000, help="sentences in a starting part")
    parser.add_argument("--add", type=int, nargs="+", default=[200, 400, 800], help="sentences added, in total")
    parser.add_argument("--starts", type=int, default=5, help="number of starting parts")
    parser.add_argument("--draws", type=int, default=3, help="random draws for each starting part")
    parser.add_argument("--iterations", type=int, default=CrfConfig().max_iterations, help="iterations of the CRF")
    parser.add_argument("--seed", type=int, default=13, help="seed of the split, as in a run")
    parser.add_argument("--part", choices=["dev", "test"], default="dev", help="part on which F1 is measured")
    options = parser.parse_args()
    mark_output_folder_as_ours(options.out.absolute(), "study review_curve")
    labelled, split = read_labelled_file(options.labelled), SplitConfig()
    sentences = split_file_into_sentences(labelled)
    parts = split_train_dev_test(sentences, split.dev, split.test, options.seed)
    pool = tuple({sentence.text: sentence for sentence in parts["train"] if sentence.text.strip()}.values())
    types = tuple(sorted({span.type for span in labelled.spans}))
    study = Study(pool, tuple(parts[options.part]), types, options.iterations)
    summary = summarize(compute_all_curves(study, options), [0, *options.add], options.seed)
    result: dict[str, Any] = {
        "settings": {key: value for key, value in vars(options).items() if key not in ("labelled", "out")},
        "pool": len(pool),
        "judged": len(study.evaluation),
        "ways": summary,
    }
    write_json(options.out.absolute() / "review_curve.json", result)
    write_plot(summary, options.out / "review_curve.svg", options.part)
    print(format_table(summary))


if __name__ == "__main__":
    main()
