"""The CSV tables hold the numbers of the evaluation, each once, and any reader of CSV gets them back."""

import csv
import io

import pytest

from rayner.evaluation.evaluate import evaluate_fusion
from rayner.fusion.region_rule import RegionRule
from rayner.report.csv_tables import evaluation_to_csv_tables
from tests.report.synthetic import TYPES, rows

BINS = [{"low": 0.9, "high": 1.0, "mean": 0.95, "right": 0.9, "n": 7}]


@pytest.fixture(scope="module")
def evaluation():
    made = evaluate_fusion(rows(), RegionRule(0.35), TYPES, seed=0, region_rule=RegionRule(0.35)).to_json()
    made["calibration"] = {
        "slm": {"n": 7, "before": 0.2, "after": 0.1, "bins": BINS},
        "fused": {"n": 7, "after": 0.05, "bins": BINS, "by_type": {"NR": {"n": 7, "after": 0.05}}},
    }
    return made


def read(content):
    return list(csv.DictReader(io.StringIO(content)))


def test_scores_are_those_of_the_evaluation(evaluation):
    found = {(row["system"], row["type"]): row for row in read(evaluation_to_csv_tables(evaluation)["scores.csv"])}
    assert len(found) == len(evaluation["systems"]) * (len(TYPES) + 1)
    for name, system in evaluation["systems"].items():
        assert float(found[name, ""]["f1"]) == system["micro"]["f1"]
        assert [float(found[name, "NR"][key]) for key in ("f1_low", "f1_high")] == system["per_type"]["NR"]["interval"]


def test_errors_add_up_to_the_gold_entities_and_confusion_to_the_found_ones(evaluation):
    made = evaluation_to_csv_tables(evaluation)
    for name, system in evaluation["systems"].items():
        errors = [row for row in read(made["errors.csv"]) if row["system"] == name]
        kinds = ("right", "boundary", "type", "both", "missed")
        assert sum(int(row[kind]) for row in errors for kind in kinds) == system["micro"]["gold"]
        assert sum(int(row["right"]) for row in errors) == system["micro"]["right"]
        pairs = [row for row in read(made["confusion.csv"]) if row["system"] == name]
        assert sum(int(row["entities"]) for row in pairs if row["predicted_type"]) == system["micro"]["predicted"]


def test_calibration_and_reliability(evaluation):
    made = evaluation_to_csv_tables(evaluation)
    found = read(made["calibration.csv"])
    assert [(row["system"], row["type"], row["error_before"]) for row in found] == [
        ("slm", "", "0.2"), ("fused", "", ""), ("fused", "NR", ""),
    ]  # fmt: skip
    assert [float(row["share_right"]) for row in read(made["reliability.csv"])] == [0.9, 0.9]


def test_without_calibration_or_pairs_there_are_the_names_alone(evaluation):
    made = evaluation_to_csv_tables({"systems": evaluation["systems"]})
    assert made["calibration.csv"].count("\n") == made["differences.csv"].count("\n") == 1
