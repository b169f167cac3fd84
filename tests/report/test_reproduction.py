import csv
import io

import pytest

from rayner.evaluation.evaluate import evaluate_fusion
from rayner.fusion.region_rule import RegionRule
from rayner.report.paper_comparison import (
    COLUMNS,
    PUBLISHED_F1,
    list_score_rows,
    measure_fusion_gain,
    rows_to_csv,
    rows_to_markdown,
)
from tests.report.synthetic import TYPES, rows

SETTING = "SFT + similarity prompt"


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_fusion(rows(40), RegionRule(0.3), TYPES, seed=1, region_rule=RegionRule(0.3)).to_json()


def test_each_system_has_a_row_with_what_was_measured_beside_what_was_published(evaluation):
    found = {row["system"]: row for row in list_score_rows("A", 13, SETTING, evaluation)}
    assert list(found) == ["SLM", "LLM", "fused", "fused by characters", "oracle over regions"]
    for key, name in (("slm", "SLM"), ("llm", "LLM"), ("fused", "fused")):
        system = evaluation["systems"][key]
        assert found[name]["micro_f1"] == system["micro"]["f1"]
        assert [found[name]["low"], found[name]["high"]] == system["interval"]
        assert found[name]["token_macro_with_o"] == system["token_macro_with_o"]
    assert [found[name]["published"] for name in ("SLM", "LLM", "fused")] == [0.8305, 0.8350, 0.8855]
    assert found["oracle over regions"]["micro_f1"] >= found["fused"]["micro_f1"]


def test_the_published_numbers_are_those_of_its_table():
    assert {name: [*row.values()] for name, row in PUBLISHED_F1.items()}["fused"] == [0.8855, 0.8824, 0.7733]
    assert all(list(row) == ["A", "B", "C"] for row in PUBLISHED_F1.values())


def test_a_set_or_a_setting_of_ones_own_has_nothing_published_beside_it(evaluation):
    assert {row["published"] for row in list_score_rows("mine", 13, SETTING, evaluation)} == {None}
    own = {row["system"]: row["published"] for row in list_score_rows("A", 13, "as configured", evaluation)}
    assert own["LLM"] is None
    assert own["SLM"] == 0.8305


def test_the_gain_is_on_the_better_model_and_measured_against_the_oracle(evaluation):
    gain = measure_fusion_gain("A", 13, SETTING, evaluation)
    f1 = {name: evaluation["systems"][name]["micro"]["f1"] for name in ("slm", "llm", "fused")}
    better = max(f1["slm"], f1["llm"])
    assert gain["micro_gain"] == pytest.approx(f1["fused"] - better)
    assert gain["low"] <= gain["micro_gain"] <= gain["high"]
    assert gain["way"] == pytest.approx(gain["micro_gain"] / (evaluation["regions"]["oracle_f1"] - better))


def test_tables_hold_every_row(evaluation):
    found = list_score_rows("A", 13, SETTING, evaluation)
    read = list(csv.DictReader(io.StringIO(rows_to_csv(found))))
    assert tuple(read[0]) == COLUMNS
    assert [row["system"] for row in read] == [row["system"] for row in found]
    assert float(read[0]["micro_f1"]) == found[0]["micro_f1"]
    text = rows_to_markdown(found, [measure_fusion_gain("A", 13, SETTING, evaluation)])
    assert text.count("\n") == len(found) + 2 + 1 + 3
    assert len({line.count("|") for line in text.splitlines() if line.startswith("| A | 13 |")}) == 2
