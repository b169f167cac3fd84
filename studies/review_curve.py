"""What choosing the sentences to correct is worth: `python studies/review_curve.py LABELLED OUT`.

The CRF is trained on a part of a labelled file's training sentences. The others, taken for unlabelled, are scored by
it; some are picked by value (rayner.corpus.review.ranking), get their gold labels, and it is trained anew; and so on,
a round for each number asked for. Beside that stand as many sentences drawn at random, and as many as have the
characters that were picked. All of it for several starting parts and draws; strict F1, bootstrap intervals over
sentences of dev.

Writes OUT/review_curve.json and OUT/review_curve.svg. The split is that of a run: `--part test` is for the very end.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rayner.config.settings import CrfConfig, SplitConfig
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text, split_train_dev_test
from rayner.corpus.review.candidates import make_candidate
from rayner.corpus.review.ranking import pick_candidates
from rayner.evaluation.metrics import (
    EntityCounts,
    bootstrap_interval,
    count_entities,
    micro_score,
    paired_bootstrap_interval,
)
from rayner.runs.run_folder import write_json
from rayner.taggers import crf as crfs
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SegmentPrediction
from rayner.text.tags import bmes_labels

# A tagged corpus tells of entities alone, not of the entropy outside of them: `rayner review` picks in the second way.
CHOSEN = ("by value", "by entities alone")
DRAWN = ("at random", "at random, as many characters")


@dataclass(frozen=True)
class Study:
    """The data: a pool of distinct training sentences, and those to be judged on."""

    pool: tuple[LabelledSentence, ...]
    judged: tuple[LabelledSentence, ...]
    types: tuple[str, ...]
    iterations: int

    def trained(self, examples: Sequence[LabelledSentence]) -> crfs.CrfTagger:
        """A field trained on these."""
        with tempfile.TemporaryDirectory() as folder:
            crfs.train_crf(examples, bmes_labels(self.types), CrfConfig(iterations=self.iterations), Path(folder))
            return crfs.load_crf(Path(folder))  # which keeps it in memory

    def counts(self, crf: crfs.CrfTagger) -> EntityCounts:
        """How it does on the judged sentences."""
        answers = crf.predict([example.text for example in self.judged])
        return count_entities([e.spans for e in self.judged], [answer.spans for answer in answers], self.types)

    def most_valuable(
        self, crf: crfs.CrfTagger, rest: Sequence[LabelledSentence], n: int, way: str
    ) -> list[LabelledSentence]:
        """The n of these that a human should label first, by a field that has not seen them."""
        scores = crf.predict([example.text for example in rest])
        rows = [
            SegmentPrediction("pool", i, i + len(example.text), example.text, score)
            for i, (example, score) in enumerate(zip(rest, scores, strict=True))
        ]
        found = [make_candidate(row, self.types) for row in rows]
        if way == CHOSEN[1]:
            found = [replace(candidate, outside_entropy=0.0) for candidate in found]
        chosen = pick_candidates(found, n, n)
        return [rest[candidate.start] for candidate in chosen]


def drawn(
    rest: Sequence[LabelledSentence], n: int, characters: int | None, rng: random.Random
) -> list[LabelledSentence]:
    """Sentences at random: n of them, or as many as it takes to read so many characters."""
    order = rng.sample(list(rest), len(rest))
    if characters is None:
        return order[:n]
    sizes = np.cumsum([len(example.text) for example in order])
    return order[: int(np.searchsorted(sizes, characters)) + 1]


def curve(
    study: Study, start: Sequence[LabelledSentence], budgets: Sequence[int], way: str, seed: int, read: Sequence[int]
) -> tuple[list[EntityCounts], list[int]]:
    """Counts on the judged sentences, and characters added so far, with nothing added and at each budget.

    read: the characters that picking by value added at each budget, where the way asks for as many.
    """
    rng = random.Random(seed)
    examples = list(start)
    crf = study.trained(examples)
    found, characters = [study.counts(crf)], [0]
    for i, budget in enumerate(budgets):
        had = {example.text for example in examples}
        rest = [example for example in study.pool if example.text not in had]
        n = budget - (budgets[i - 1] if i else 0)
        if way in CHOSEN:
            examples += study.most_valuable(crf, rest, n, way)
        else:
            wanted = read[i] - characters[-1] if way == DRAWN[1] else None
            examples += drawn(rest, n, wanted, rng)
        crf = study.trained(examples)
        found.append(study.counts(crf))
        characters.append(sum(len(example.text) for example in examples[len(start) :]))
    return found, characters


def main() -> None:
    """Run it, write the numbers and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="labelled file, char-tab-tag")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--start", type=int, default=1000, help="sentences to start from")
    parser.add_argument("--add", type=int, nargs="+", default=[200, 400, 800], help="sentences added, in all")
    parser.add_argument("--starts", type=int, default=5, help="starting parts")
    parser.add_argument("--draws", type=int, default=3, help="random draws for each")
    parser.add_argument("--iterations", type=int, default=CrfConfig().iterations)
    parser.add_argument("--seed", type=int, default=13, help="of the split, as a run has it")
    parser.add_argument("--part", choices=["dev", "test"], default="dev", help="what to judge on")
    given = parser.parse_args()
    labelled, split = read_labelled_file(given.labelled), SplitConfig()
    parts = split_train_dev_test(split_labelled_text(labelled.text, labelled.spans), split.dev, split.test, given.seed)
    pool = tuple({example.text: example for example in parts["train"] if example.text.strip()}.values())
    types = tuple(sorted({span.type for span in labelled.spans}))
    study = Study(pool, tuple(parts[given.part]), types, given.iterations)
    begun, runs = time.monotonic(), dict[str, list[Any]]({way: [] for way in CHOSEN + DRAWN})
    for i in range(given.starts):
        start = random.Random(i).sample(pool, given.start)
        for way in CHOSEN:
            runs[way].append(curve(study, start, given.add, way, 0, []))
        read = runs[CHOSEN[0]][-1][1][1:]
        for way in DRAWN:
            runs[way] += [curve(study, start, given.add, way, 1000 * i + k, read) for k in range(given.draws)]
        print(f"start {i + 1}/{given.starts}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    told: dict[str, Any] = {
        "settings": {key: value for key, value in vars(given).items() if key not in ("labelled", "out")},
        "pool": len(pool),
        "judged": len(study.judged),
        "ways": summary(runs, [0, *given.add], given.seed),
    }
    write_json(given.out.absolute() / "review_curve.json", told)
    plot(told["ways"], given.out / "review_curve.svg", given.part)
    print(table(told["ways"]))


def summary(runs: dict[str, list[Any]], budgets: Sequence[int], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Of each way and budget, over starts and draws: characters, F1 and its spread, and the gain over random draws.

    Intervals: bootstrap over the judged sentences, of the counts of all starts and draws together; paired for gains.
    """
    told: dict[str, list[dict[str, Any]]] = {}
    for way, done in runs.items():
        told[way] = []
        for k, budget in enumerate(budgets):
            counts = sum(found[k] for found, _ in done)
            single = [micro_score(found[k]).f1 for found, _ in done]
            row = {
                "sentences": budget,
                "characters": round(float(np.mean([characters[k] for _, characters in done]))),
                "f1": micro_score(counts).f1,
                "interval": bootstrap_interval(counts, seed=seed),
                "standard_deviation_of_runs": float(np.std(single)),
            }
            for other in DRAWN if way in CHOSEN else ():
                theirs = sum(found[k] for found, _ in runs[other])
                # The number of draws does not matter: F1 is a ratio of sums.
                row[f"gain over {other}"] = paired_bootstrap_interval(counts, theirs, seed=seed)
            told[way].append(row)
    return told


def table(ways: dict[str, list[dict[str, Any]]]) -> str:
    """The summary as lines."""
    lines = [f"{'':<30} added  characters     F1  interval        gain over: {', '.join(DRAWN)}"]
    for way, rows in ways.items():
        for row in rows:
            low, high = row["interval"]
            gains = [row.get(f"gain over {other}") for other in DRAWN]
            said = [f"{100 * g[0]:+.2f} [{100 * g[1]:+.2f}, {100 * g[2]:+.2f}]" for g in gains if g]
            lines.append(
                f"{way:<30} {row['sentences']:>5} {row['characters']:>11,}  {100 * row['f1']:.2f}  "
                f"[{100 * low:.2f}, {100 * high:.2f}]  {'  '.join(said)}".rstrip()
            )
    return "\n".join(lines)


def plot(ways: dict[str, list[dict[str, Any]]], path: Path, part: str) -> None:
    """F1 over sentences and over characters, with the standard deviation of the runs."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "rayner"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, key in zip(axes, ("sentences", "characters"), strict=True):
        for way, rows in ways.items():
            if key == "sentences" and way == DRAWN[1]:
                continue  # it adds other numbers of sentences
            x, f1 = [row[key] for row in rows], [100 * row["f1"] for row in rows]
            spread = [100 * row["standard_deviation_of_runs"] for row in rows]
            axis.errorbar(x, f1, yerr=spread, label=way, capsize=3, marker="o", markersize=3)
        axis.set_xlabel(f"{key} added")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"strict F1 on {part}")
    axes[1].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
