"""The review loop as a user goes it, with the whole system: `python studies/review_loop.py LABELLED OUT`.

A part of a labelled file's training sentences is labelled, the others are a corpus: the main job trains on the first
and tags the others; `rayner review` picks sentences, which get their gold labels and come back; the main job trains
anew. Beside that stand as many sentences at random. Judged on the test part that a run would have, by fused F1.

Writes OUT/review_loop.json after each starting part; what is done stays done.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rayner.config.settings import SplitConfig
from rayner.corpus.exports.evahan import format_evahan_sentences
from rayner.corpus.exports.export_format import get_entity_spans
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text, split_train_dev_test
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.tables import iter_documents
from rayner.evaluation.metrics import (
    EntityCounts,
    bootstrap_interval,
    count_entities,
    micro_score,
    paired_bootstrap_interval,
)
from rayner.runs.run_folder import read_json, write_json
from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span, crop_spans

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Study:
    """Sentences that are not labelled yet, those to be judged on, and where and how the jobs run."""

    pool: dict[str, LabelledSentence]
    judged: tuple[LabelledSentence, ...]
    types: tuple[str, ...]
    out: Path
    settings: tuple[str, ...]

    def job(self, name: str, run: Path, *more: str) -> None:
        """A job of ours, as a command."""
        _command(str(ROOT / "jobs" / f"{name}.py"), *self.settings, f"run={run}", *more)

    def counts(self, name: str, labelled: Sequence[Path]) -> EntityCounts:
        """Train on these files, tag the judged sentences, and count."""
        run = self.out / name
        train = ",".join(map(str, labelled))
        self.job("pipeline", run, f"train={train}", f"corpus={self.out / 'judged'}")
        return count_entities([e.spans for e in self.judged], _tagged(run / "tagged", self.judged), self.types)

    def picked(self, name: str, n: int) -> Path:
        """The n sentences of the pool that `rayner review` picks by the models of a run, with their gold labels."""
        run, folder, back = self.out / name, self.out / f"{name}-review", self.out / f"{name}-picked.txt"
        known, corrected = folder / "provenance.json", folder / "corrected.txt"
        if not known.exists():
            self.job("tag_corpus", run, f"corpus={self.out / f'{name}-pool'}", f"out={run / 'pool'}")
            _rayner("review", "pick", str(run / "pool"), str(folder), "--n", str(n), "--to", "evahan")
        if not back.exists():
            write_labelled(corrected, [self.pool[text.strip()] for text in read_provenance([known]).sentences])
            # Gold may have types that the models never put.
            types = f"--types={','.join(self.types)}"
            _rayner("review", "import", str(corrected), str(back), "--from", str(known), types)
        return back


def _command(*arguments: str) -> None:
    print(" ".join(arguments), file=sys.stderr, flush=True)
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)


def _rayner(*arguments: str) -> None:
    _command("-c", "import sys; from rayner.cli import main; sys.exit(main())", *arguments)


def _tagged(tagged: Path, examples: Sequence[LabelledSentence]) -> list[list[Span]]:
    """The entities of each sentence in a corpus that is these, a line each."""
    (document,) = iter_documents(tagged)
    spans, at, found = get_entity_spans(document), 0, []
    for example in examples:
        found.append(list(crop_spans(spans, at, at + len(example.text))))
        at += len(example.text) + 1
    return found


def write_labelled(path: Path, examples: Iterable[LabelledSentence]) -> None:
    """A char-tab-tag file of these, blank lines between."""
    path.write_text(format_evahan_sentences((e.text, e.spans) for e in examples), encoding="utf-8")


def write_texts(folder: Path, examples: Iterable[LabelledSentence]) -> None:
    """A corpus of one document, a sentence a line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text("".join(f"{e.text}\n" for e in examples), encoding="utf-8")


def _alone(text: str) -> bool:
    """Whether a text, on a line of its own, is cut into itself: what is judged must not depend on its neighbours."""
    return text.strip() == text and len(list(split_sentences(text + "\n"))) == 1


def main() -> None:
    """Run it and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="labelled file, char-tab-tag")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--start", type=int, default=1000, help="sentences to start from")
    parser.add_argument("--add", type=int, default=200, help="sentences added")
    parser.add_argument("--starts", type=int, default=3, help="starting parts")
    parser.add_argument("--seed", type=int, default=13, help="of the split, as a run has it")
    parser.add_argument("--config", default="jobs/conf/tiny.yaml", help="of the jobs")
    parser.add_argument("--settings", nargs="+", default=[], metavar="KEY=VALUE", help="of the jobs, beside these")
    given = parser.parse_args()
    labelled, split = read_labelled_file(given.labelled), SplitConfig()
    parts = split_train_dev_test(split_labelled_text(labelled.text, labelled.spans), split.dev, split.test, given.seed)
    study = Study(
        {e.text: e for e in parts["train"] if _alone(e.text)},
        tuple(e for e in parts["test"] if _alone(e.text)),
        tuple(sorted({span.type for span in labelled.spans})),
        given.out.absolute(),
        ("--config", given.config, *given.settings),
    )
    write_texts(study.out / "judged", study.judged)
    done: dict[str, list[EntityCounts]] = {"start": [], "picked": [], "at random": []}
    for i in range(given.starts):
        one_start(study, i, given.start, given.add, done)
        write_json(study.out / "review_loop.json", told(done, given.seed))
    print(read_json(study.out / "review_loop.json"))


def one_start(study: Study, i: int, start: int, add: int, done: dict[str, list[EntityCounts]]) -> None:
    """Train on a starting part, on it and the sentences picked, on it and as many at random."""
    rng, name = random.Random(i), f"start-{i}"
    first = rng.sample(list(study.pool.values()), start)
    had = {example.text for example in first}
    rest = [example for example in study.pool.values() if example.text not in had]
    base, drawn = study.out / f"{name}.txt", study.out / f"{name}-drawn.txt"
    write_labelled(base, first)
    write_labelled(drawn, rng.sample(rest, add))
    write_texts(study.out / f"{name}-pool", rest)
    done["start"].append(study.counts(name, [base]))
    done["picked"].append(study.counts(f"{name}-and-picked", [base, study.picked(name, add)]))
    done["at random"].append(study.counts(f"{name}-and-drawn", [base, drawn]))


def told(done: dict[str, list[EntityCounts]], seed: int) -> dict[str, object]:
    """F1 of each way, over all starts; gains of picking over drawing, with a paired bootstrap over sentences."""
    total = {way: np.sum(counts, axis=0) for way, counts in done.items()}
    return {
        "starts": len(done["start"]),
        "f1": {way: micro_score(counts).f1 for way, counts in total.items()},
        "interval": {way: bootstrap_interval(counts, seed=seed) for way, counts in total.items()},
        "each": {way: [micro_score(counts).f1 for counts in each] for way, each in done.items()},
        "picked - at random": paired_bootstrap_interval(total["picked"], total["at random"], seed=seed),
    }


if __name__ == "__main__":
    main()
