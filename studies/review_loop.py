"""Measure the review loop with the whole system: `python studies/review_loop.py LABELLED OUT`.

A part of a labelled file's training sentences is labelled, the others are a corpus. The main job trains on the first
part and tags the corpus. `rayner review` picks sentences, which come back with their gold labels, and the main job
trains anew. For comparison it trains with as many random sentences. The result is fused F1 on the test part that a run
would have.

Writes OUT/review_loop.json after each starting part. Finished jobs are not repeated.
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
from rayner.corpus.labelled_sentences import split_file_into_sentences, split_train_dev_test
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.tables import iter_documents
from rayner.evaluation.metrics import (
    EntityCounts,
    bootstrap_f1_interval,
    count_entities,
    f1_difference_with_bootstrap_interval,
    micro_score,
)
from rayner.runs.json_files import read_json, write_json
from rayner.runs.output_folder import mark_output_folder_as_ours
from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span, crop_spans

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Study:
    """The unlabelled sentences by text, the evaluation sentences, the output folder, and arguments of the jobs."""

    pool: dict[str, LabelledSentence]
    evaluation: tuple[LabelledSentence, ...]
    types: tuple[str, ...]
    out: Path
    job_arguments: tuple[str, ...]

    def run_job(self, name: str, run: Path, *settings: str) -> None:
        """Run a job as a command."""
        _run_python(str(ROOT / "jobs" / f"{name}.py"), *self.job_arguments, f"run={run}", *settings)

    def train_and_evaluate(self, name: str, labelled_files: Sequence[Path]) -> EntityCounts:
        """Train on these files, tag the evaluation sentences, and count their entities."""
        run = self.out / name
        train = ",".join(map(str, labelled_files))
        self.run_job("pipeline", run, f"train={train}", f"corpus={self.out / 'judged'}")
        gold = [sentence.spans for sentence in self.evaluation]
        return count_entities(gold, _read_sentence_spans(run / "tagged", self.evaluation), self.types)

    def pick_sentences(self, name: str, n: int) -> Path:
        """Let `rayner review` pick n sentences with the models of a run; return a file of them with gold labels."""
        run, review, reviewed = self.out / name, self.out / f"{name}-review", self.out / f"{name}-picked.txt"
        provenance, corrected = review / "provenance.json", review / "corrected.txt"
        if not provenance.exists():
            self.run_job("tag_corpus", run, f"corpus={self.out / f'{name}-pool'}", f"out={run / 'pool'}")
            _run_rayner("review", "pick", str(run / "pool"), str(review), "--n", str(n), "--to", "evahan")
        if not reviewed.exists():
            write_labelled(corrected, [self.pool[text.strip()] for text in read_provenance([provenance]).by_text])
            types = f"--types={','.join(self.types)}"  # gold labels may have types that the models never predict
            _run_rayner("review", "import", str(corrected), str(reviewed), "--from", str(provenance), types)
        return reviewed


def _run_python(*arguments: str) -> None:
    print(" ".join(arguments), file=sys.stderr, flush=True)
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)


def _run_rayner(*arguments: str) -> None:
    _run_python("-c", "import sys; from rayner.cli import main; sys.exit(main())", *arguments)


def _read_sentence_spans(tagged: Path, sentences: Sequence[LabelledSentence]) -> list[list[Span]]:
    """Read the entities of each sentence from a tagged corpus with one sentence a line."""
    (document,) = iter_documents(tagged)
    spans, start, spans_by_sentence = get_entity_spans(document), 0, []
    for sentence in sentences:
        end = start + len(sentence.text)
        spans_by_sentence.append(list(crop_spans(spans, start, end)))
        start = end + 1
    return spans_by_sentence


def write_labelled(path: Path, sentences: Iterable[LabelledSentence]) -> None:
    """Write a char-tab-tag file with a blank line between sentences."""
    path.write_text(
        format_evahan_sentences((sentence.text, sentence.spans) for sentence in sentences), encoding="utf-8"
    )


def write_corpus(folder: Path, sentences: Iterable[LabelledSentence]) -> None:
    """Write a corpus of one document with one sentence a line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text("".join(f"{sentence.text}\n" for sentence in sentences), encoding="utf-8")


def _is_whole_sentence(text: str) -> bool:
    """Whether a line with this text is one sentence, so that its tags do not depend on the lines around it."""
    return text.strip() == text and len(list(split_sentences(text + "\n"))) == 1


def measure_start(study: Study, i: int, n_start: int, n_added: int, counts: dict[str, list[EntityCounts]]) -> None:
    """Append counts for a starting part alone, with picked sentences, and with as many random ones."""
    rng, name = random.Random(i), f"start-{i}"
    start = rng.sample(list(study.pool.values()), n_start)
    start_texts = {sentence.text for sentence in start}
    unused = [sentence for sentence in study.pool.values() if sentence.text not in start_texts]
    start_file, drawn_file = study.out / f"{name}.txt", study.out / f"{name}-drawn.txt"
    write_labelled(start_file, start)
    write_labelled(drawn_file, rng.sample(unused, n_added))
    write_corpus(study.out / f"{name}-pool", unused)
    counts["start"].append(study.train_and_evaluate(name, [start_file]))
    picked_file = study.pick_sentences(name, n_added)
    counts["picked"].append(study.train_and_evaluate(f"{name}-and-picked", [start_file, picked_file]))
    counts["at random"].append(study.train_and_evaluate(f"{name}-and-drawn", [start_file, drawn_file]))


def summarize(counts: dict[str, list[EntityCounts]], seed: int) -> dict[str, object]:
    """Return F1 over all starts, and the gain of picked over random sentences by a paired bootstrap over sentences."""
    totals = {way: np.sum(of_way, axis=0) for way, of_way in counts.items()}
    return {
        "starts": len(counts["start"]),
        "f1": {way: micro_score(total).f1 for way, total in totals.items()},
        "interval": {way: bootstrap_f1_interval(total, seed=seed) for way, total in totals.items()},
        "each": {way: [micro_score(of_start).f1 for of_start in of_way] for way, of_way in counts.items()},
        "picked - at random": f1_difference_with_bootstrap_interval(totals["picked"], totals["at random"], seed=seed),
    }


def main() -> None:
    """Run the study and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="labelled file, char-tab-tag")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--start", type=int, default=1000, help="sentences in a starting part")
    parser.add_argument("--add", type=int, default=200, help="sentences added")
    parser.add_argument("--starts", type=int, default=3, help="number of starting parts")
    parser.add_argument("--seed", type=int, default=13, help="seed of the split, as in a run")
    parser.add_argument("--config", default="jobs/conf/laptop.yaml", help="settings file of the jobs")
    parser.add_argument("--settings", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of the jobs")
    options = parser.parse_args()
    mark_output_folder_as_ours(options.out.absolute(), "study review_loop")
    labelled, split = read_labelled_file(options.labelled), SplitConfig()
    sentences = split_file_into_sentences(labelled)
    parts = split_train_dev_test(sentences, split.dev, split.test, options.seed)
    study = Study(
        {sentence.text: sentence for sentence in parts["train"] if _is_whole_sentence(sentence.text)},
        tuple(sentence for sentence in parts["test"] if _is_whole_sentence(sentence.text)),
        tuple(sorted({span.type for span in labelled.spans})),
        options.out.absolute(),
        ("--config", options.config, *options.settings),
    )
    write_corpus(study.out / "judged", study.evaluation)
    counts: dict[str, list[EntityCounts]] = {"start": [], "picked": [], "at random": []}
    for i in range(options.starts):
        measure_start(study, i, options.start, options.add, counts)
        write_json(study.out / "review_loop.json", summarize(counts, options.seed))
    print(read_json(study.out / "review_loop.json"))


if __name__ == "__main__":
    main()
