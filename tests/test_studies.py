"""The studies run, on the bundled sample and at a size too small for real results."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.corpus.parquet_files import write_table
from rayner.corpus.prediction_tables import predictions_to_table, read_predictions
from rayner.fusion.learned.span_features import candidate_spans
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import CandidateScore
from rayner.text.spans import Span
from tests.report.synthetic import TYPES
from tests.report.synthetic import rows as synthetic_rows

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def test_the_review_curve_compares_all_ways_at_each_number_of_sentences(tmp_path):
    small = ["--start", "60", "--add", "10", "20", "--starts", "1", "--draws", "1", "--iterations", "10"]
    command = [sys.executable, "studies/review_curve.py", "sample/labelled.txt", str(tmp_path), *small]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    ways = json.loads((tmp_path / "review_curve.json").read_text(encoding="utf-8"))["ways"]
    assert {way: [row["sentences"] for row in rows] for way, rows in ways.items()} == {
        way: [0, 10, 20] for way in ("by value", "by entities alone", "at random", "at random, as many characters")
    }
    assert len({rows[0]["f1"] for rows in ways.values()}) == 1  # all start from the same sentences
    assert all(way in result.stdout for way in ways)
    assert (tmp_path / "review_curve.svg").read_text(encoding="utf-8").startswith("<?xml")


def scored_row(row, rng):
    """The row with scores of its candidates, which are higher where the candidate is right."""
    scores = tuple(
        CandidateScore(span, *(rng.normal(2 if span in row.gold else -2, 2, size=4).tolist()))
        for span in candidate_spans(row, TYPES)
    )
    return replace(row, llm=replace(row.llm, candidate_scores=scores))


@pytest.fixture
def scored_run(tmp_path):
    """A run of invented models, with what the study reads of it."""
    run, rng = Run(tmp_path / "run"), np.random.default_rng(1)
    rows = [replace(row, text=row.text[:-1] + chr(0x4E00 + i)) for i, row in enumerate(synthetic_rows(40, seed=2))]
    write_table(predictions_to_table([scored_row(row, rng) for row in rows]), run.path("scores", "dev.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    run.path("data").mkdir()
    write_labelled_sentences(run.path("data", "train.jsonl"), [LabelledSentence("楚王", (Span(0, 1, "NG"),))])
    return run


def study_of_candidates(run):
    command = [sys.executable, "studies/candidate_scores.py", str(run.root), "--divisions", "2"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_study_of_candidates_compares_the_rule_with_scores_without_them_and_without_the_llm(scored_run):
    result = study_of_candidates(scored_run)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "division 1", "division 2", "with scores - without scores", "with scores - control",
        "without scores - control",
    ]  # fmt: skip
    differences = [float(line.partition(": ")[2].split()[0]) for line in lines[2:]]
    assert differences[0] > 0
    assert differences[1] == pytest.approx(differences[0] + differences[2], abs=0.02)


def test_the_study_of_candidates_refuses_a_run_without_scores(scored_run):
    rows = read_predictions(scored_run.path("scores", "dev.parquet"))
    blind = [replace(row, llm=replace(row.llm, candidate_scores=None)) for row in rows]
    write_table(predictions_to_table(blind), scored_run.path("scores", "dev.parquet"))
    result = study_of_candidates(scored_run)
    assert result.returncode == 1
    assert "expected dev predictions with scores of candidates; run it with score.llm.candidates=true" in result.stderr


@pytest.mark.drill
def test_the_truth_of_a_corpus_stands_beside_the_report_and_samples_are_drawn(tmp_path):
    small = ["--first", "150", "--file-chars", "400", "--n", "20", "--rounds", "12", "--settings", "score.actors=1"]
    command = [sys.executable, "studies/corpus_truth.py", "sample/labelled.txt", str(tmp_path / "out"), *small]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "out" / "corpus_truth.json").read_text(encoding="utf-8"))
    assert set(found["report"]) == {"precision, all", "recall, all", "recall, seen", "recall, unseen"}
    names = {name.partition(", ")[2]: row["names"] for name, row in found["report"].items() if "recall" in name}
    assert names["seen"] + names["unseen"] == names["all"] > 50
    samples = found["samples"]
    assert samples["truth"]["recall"] == pytest.approx(found["report"]["recall, all"]["truth"], abs=0.02)
    assert all(held >= 8 / 12 for held in samples["held"].values())
    corrected = found["corrections"]
    assert corrected["none"]["recall"] == pytest.approx(found["report"]["recall, all"]["truth"])
    assert corrected["here"]["f1"] > corrected["none"]["f1"]
    assert corrected.keys() == {"none", "here", "document", "corpus"}
