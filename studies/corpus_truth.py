"""Compare a run's scores with the truth of the corpus that it tagged: `python studies/corpus_truth.py LABELLED OUT`.

The first sentences of a labelled file are the labels. The rest, cut into files, is the corpus, and its labels are the
truth. The main job trains and tags as a user would let it. Then:

- the scores of the report stand beside the truth of the corpus, for all names, and for those that the labels have or
  do not have;
- many random samples are drawn, as by `rayner review sample`, and corrected by the truth. The study counts how many of
  the intervals of `rayner review estimate` hold the truth.
- errors are drawn at random and put right by the truth, as by `rayner review apply`: at their place, and for all
  mentions in their document or in the corpus.

Writes OUT/corpus_truth.json. A finished job is not repeated.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.corpus.corrections.correction import Correction
from rayner.corpus.corrections.correction_files import list_changed_spans
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.exports.evahan import format_evahan_sentences
from rayner.corpus.exports.export_format import get_entity_spans
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_file_into_sentences
from rayner.corpus.review.candidates import ReviewCandidate, iter_candidates_by_document
from rayner.corpus.review.random_sample import draw_positions
from rayner.corpus.tables import iter_documents
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.evaluation.sample_estimate import estimate_score
from rayner.evaluation.seen_names import SeenNames
from rayner.runs.json_files import read_json, write_json
from rayner.runs.output_folder import mark_output_folder_as_ours
from rayner.steps.corrected_corpus import FinishedCorpus, compare_with_corpus
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span, crop_spans

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Truth:
    """The gold entities of each document of the corpus, and the strings that the labels tag."""

    spans: Mapping[str, tuple[Span, ...]]
    seen: frozenset[str]


def write_inputs(sentences: Sequence[LabelledSentence], n_labelled: int, file_chars: int, out: Path) -> Truth:
    """Write OUT/labels.txt and the files of OUT/corpus, and return the truth of the corpus."""
    labelled, rest = sentences[:n_labelled], sentences[n_labelled:]
    text = format_evahan_sentences((sentence.text, sentence.spans) for sentence in labelled)
    (out / "labels.txt").write_text(text, encoding="utf-8")
    (out / "corpus").mkdir(exist_ok=True)
    files: list[list[LabelledSentence]] = [[]]
    for sentence in rest:
        if sum(len(other.text) for other in files[-1]) >= file_chars:
            files.append([])
        files[-1].append(sentence)
    spans = {}
    for i, group in enumerate(files):
        found, start = list[Span](), 0
        for sentence in group:
            found += [span.shift(start) for span in sentence.spans]
            start += len(sentence.text)
        name = f"{i:03d}"
        (out / "corpus" / f"{name}.txt").write_text("".join(sentence.text for sentence in group), encoding="utf-8")
        spans[name] = tuple(found)
    seen = {sentence.text[span.start : span.end] for sentence in labelled for span in sentence.spans}
    return Truth(spans, frozenset(seen))


def run_main_job(out: Path, settings: Sequence[str]) -> None:
    """Train on the labels and tag the corpus, as a user would."""
    arguments = ["laptop", f"run={out / 'run'}", f"train={out / 'labels.txt'}", f"corpus={out / 'corpus'}", *settings]
    command = "import sys; from rayner.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", command, "run", *arguments], check=True, cwd=ROOT)


def compare_with_report(run: Path, truth: Truth) -> dict[str, Any]:
    """Return the scores of the report, and the truth: {share: {reported, low, high, truth}}, seen and unseen names."""
    fused = read_json(run / "evaluation.json")["systems"]["fused"]
    documents = list(iter_documents(run / "tagged"))
    gold = [truth.spans[document.doc_id] for document in documents]
    found = [get_entity_spans(document) for document in documents]
    types = sorted({span.type for spans in (*gold, *found) for span in spans})
    known = SeenNames(truth.seen, [document.text for document in documents])
    true_names = known.score(gold, found, types, seed=0)
    true_scores = {
        "all": micro_score(count_entities(gold, found, types)),
        "seen": true_names.seen.micro,
        "unseen": true_names.unseen.micro,
    }
    names = fused["names"]
    intervals = {
        ("all", "precision"): names["precision_interval"],
        ("all", "recall"): names["recall_interval"],
        ("seen", "recall"): names["seen"]["recall_interval"],
        ("unseen", "recall"): names["unseen"]["recall_interval"],
    }
    reported = {"all": fused["micro"], "seen": names["seen"]["micro"], "unseen": names["unseen"]["micro"]}
    table = {}
    for (group, share), (low, high) in intervals.items():
        right, of = reported[group]["right"], reported[group]["predicted" if share == "precision" else "gold"]
        table[f"{share}, {group}"] = {
            "reported": right / of if of else None,
            "low": low,
            "high": high,
            "truth": getattr(true_scores[group], share),
            "names": true_scores[group].predicted if share == "precision" else true_scores[group].gold,
        }
    return table


def simulate_samples(tagged: Path, truth: Truth, n: int, rounds: int) -> dict[str, Any]:
    """Return how many of the intervals of random samples of n sentences hold the truth, and their mean half-width."""
    documents = list(iter_candidates_by_document(tagged))
    sizes = [len(candidates) for candidates in documents]
    counts = count([candidate for candidates in documents for candidate in candidates], truth)
    starts, population = np.cumsum([0, *sizes]), len(counts)
    right, predicted, gold = counts.sum(axis=0)
    true_shares = {"precision": right / predicted, "recall": right / gold, "f1": 2 * right / (predicted + gold)}
    held, widths = dict.fromkeys(true_shares, 0), dict.fromkeys(true_shares, 0.0)
    for seed in range(rounds):
        drawn = draw_positions(sizes, n, random.Random(seed))
        rows = [start + position for start, each in zip(starts, drawn, strict=False) for position in each]
        score = estimate_score(counts[rows], population)
        for name, true_share in true_shares.items():
            share = getattr(score, name)
            held[name] += share.low <= true_share <= share.high
            widths[name] += (share.high - share.low) / 2
    return {
        "population": population,
        "truth": true_shares,
        "held": {name: value / rounds for name, value in held.items()},
        "half_width": {name: value / rounds for name, value in widths.items()},
    }


def count(candidates: Sequence[ReviewCandidate], truth: Truth) -> npt.NDArray[np.int64]:
    """Count right, predicted and gold entities of each sentence, shape [sentences, 3]."""
    gold = [crop_spans(truth.spans[each.doc_id], each.start, each.end) for each in candidates]
    found = [each.spans for each in candidates]
    types = sorted({span.type for spans in (*gold, *found) for span in spans})
    counts: npt.NDArray[np.int64] = count_entities(gold, found, types).sum(axis=1)
    return counts


def simulate_corrections(tagged: Path, truth: Truth, n: int) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 of the corpus after n corrections, by their scope ("none" without them)."""
    corpus = FinishedCorpus(tagged)
    texts = {document.doc_id: document.text for document in iter_documents(tagged)}
    found = {document.doc_id: get_entity_spans(document) for document in iter_documents(tagged)}
    errors = [
        Correction(doc_id, span.start, span.end, texts[doc_id][span.start : span.end], span.type)
        for doc_id, gold in truth.spans.items()
        for span in list_changed_spans(found[doc_id], gold)
    ]
    drawn = random.Random(0).sample(errors, min(n, len(errors)))
    scores = {}
    for scope in ("none", "here", "document", "corpus"):
        given = [] if scope == "none" else [replace(one, scope=scope) for one in drawn]
        index = CorrectionIndex(compare_with_corpus(given, corpus).changing)
        corrected: dict[str, list[Span]] = {doc_id: [] for doc_id in texts}
        for unit in corpus.iter_units():
            for row in unit.correct(index).entities:
                corrected[row["doc_id"]].append(Span(row["start"], row["end"], row["type"]))
        types = sorted({span.type for spans in (*truth.spans.values(), *corrected.values()) for span in spans})
        score = micro_score(count_entities(list(truth.spans.values()), [corrected[key] for key in truth.spans], types))
        scores[scope] = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return scores


def main() -> None:
    """Run the study and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="labelled file")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--first", type=int, default=300, help="sentences that are the labels")
    parser.add_argument("--file-chars", type=int, default=5000, help="characters of a file of the corpus")
    parser.add_argument("--n", type=int, default=100, help="sentences of a random sample")
    parser.add_argument("--rounds", type=int, default=500, help="random samples")
    parser.add_argument("--corrections", type=int, default=200, help="errors that are put right")
    parser.add_argument("--settings", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of the job")
    options = parser.parse_args()
    out = options.out.absolute()
    mark_output_folder_as_ours(out, "study corpus_truth")
    sentences = split_file_into_sentences(read_labelled_file(options.labelled))
    truth = write_inputs(sentences, options.first, options.file_chars, out)
    run_main_job(out, options.settings)
    result = {
        "report": compare_with_report(out / "run", truth),
        "samples": simulate_samples(out / "run" / "tagged", truth, options.n, options.rounds),
        "corrections": simulate_corrections(out / "run" / "tagged", truth, options.corrections),
    }
    write_json(out / "corpus_truth.json", result)
    for name, row in result["report"].items():
        print(name, {key: value if isinstance(value, int) else round(value, 4) for key, value in row.items()})
    print(result["samples"])
    print(result["corrections"])


if __name__ == "__main__":
    main()
