"""The CSV tables hold the numbers of the evaluation, each once, and CSV readers get them back."""

import csv
import io
from dataclasses import replace

import pytest

from rayner.evaluation.calibration_records import PerfectCalibration, ReliabilityBin, SystemCalibration, TypeCalibration
from rayner.report.csv_tables import evaluation_to_csv_tables
from tests.report.records import make_evaluation
from tests.report.synthetic import TYPES

BINS = (ReliabilityBin(0.9, 1.0, 0.95, 0.9, 7),)
PERFECT = PerfectCalibration(0.03, 0.06)


@pytest.fixture(scope="module")
def evaluation():
    calibration = {
        "slm": SystemCalibration(7, 0.1, BINS, PERFECT, before=0.2),
        "fused": SystemCalibration(7, 0.05, BINS, PERFECT, by_type={"NR": TypeCalibration(7, 0.05, PERFECT)}),
    }
    return replace(make_evaluation(), calibration=calibration)


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content)))


def test_scores_are_those_of_the_evaluation(evaluation):
    rows = read_csv(evaluation_to_csv_tables(evaluation)["scores.csv"])
    by_system_and_type = {(row["system"], row["type"]): row for row in rows}
    assert len(by_system_and_type) == len(evaluation.systems) * (len(TYPES) + 1)
    for name, system in evaluation.systems.items():
        assert float(by_system_and_type[name, ""]["f1"]) == system.micro.f1
        bounds = [float(by_system_and_type[name, "NR"][column]) for column in ("f1_low", "f1_high")]
        assert bounds == list(system.per_type["NR"].interval)


def test_token_level_macro_scores_have_a_row_for_each_definition(evaluation):
    rows = read_csv(evaluation_to_csv_tables(evaluation)["token_macro.csv"])
    assert len(rows) == 4 * len(evaluation.systems)
    (row,) = (row for row in rows if (row["system"], row["classes"]) == ("llm", "types_with_o"))
    macro = evaluation.systems["llm"].token.types_with_o
    found = [float(row[column]) for column in ("precision", "recall", "f1", "f1_low", "f1_high")]
    assert found == [macro.precision, macro.recall, macro.f1, *macro.interval]


def test_errors_add_up_to_the_gold_entities_and_confusion_to_the_predicted_ones(evaluation):
    tables = evaluation_to_csv_tables(evaluation)
    for name, system in evaluation.systems.items():
        errors = [row for row in read_csv(tables["errors.csv"]) if row["system"] == name]
        outcomes = ("right", "boundary", "type", "both", "missed")
        assert sum(int(row[outcome]) for row in errors for outcome in outcomes) == system.micro.gold
        assert sum(int(row["right"]) for row in errors) == system.micro.right
        pairs = [row for row in read_csv(tables["confusion.csv"]) if row["system"] == name]
        assert sum(int(row["entities"]) for row in pairs if row["predicted_type"]) == system.micro.predicted


def test_calibration_and_reliability(evaluation):
    tables = evaluation_to_csv_tables(evaluation)
    calibration = read_csv(tables["calibration.csv"])
    assert [(row["system"], row["type"], row["error_before"]) for row in calibration] == [
        ("slm", "", "0.2"), ("fused", "", ""), ("fused", "NR", ""),
    ]  # fmt: skip
    assert {(row["error_if_perfect"], row["error_if_perfect_high"]) for row in calibration} == {("0.03", "0.06")}
    assert [float(row["share_right"]) for row in read_csv(tables["reliability.csv"])] == [0.9, 0.9]


def test_tables_without_calibration_or_pairs_have_a_header_only():
    tables = evaluation_to_csv_tables(replace(make_evaluation(), paired={}))
    assert tables["calibration.csv"].count("\n") == tables["differences.csv"].count("\n") == 1
