"""The paper's numbers stand beside ours, and the gain is that of the fused output over the better model."""

import csv
import io

import pytest

from rayner.config.settings import FREE_ANSWERS
from rayner.report.comparison_tables import COLUMNS, rows_to_csv, rows_to_markdown
from rayner.report.paper_comparison import (
    PUBLISHED_F1,
    FreeAnswerRow,
    average_over_seeds,
    list_score_rows_with_oracle,
    measure_fusion_gain,
)
from rayner.text.predictions import FreeAnswerFaults
from tests.report.records import make_evaluation

SETTING = "SFT + similarity prompt"


@pytest.fixture(scope="module")
def evaluation():
    return make_evaluation(weight=0.3, seed=1)


def test_each_system_has_a_row_with_measured_and_published_scores(evaluation):
    rows = {row.system: row for row in list_score_rows_with_oracle("A", 13, SETTING, evaluation)}
    rules = ("", " by characters", " by regions", " by the learned rule")
    fusions = [f"{kind}{rule}" for rule in rules for kind in ("fused", "control")]
    assert list(rows) == ["SLM", "LLM", *fusions, "oracle over regions"]
    for key, name in (("slm", "SLM"), ("llm", "LLM"), ("fused", "fused"), ("control_spans", fusions[-1])):
        system = evaluation.systems[key]
        assert rows[name].micro_f1 == system.micro.f1
        assert (rows[name].low, rows[name].high) == system.interval
        assert rows[name].token == system.token
    published = {name: row.published for name, row in rows.items() if row.published}
    assert published == {"SLM": 0.8305, "LLM": 0.8350, "fused by characters": 0.8855}
    assert rows["oracle over regions"].micro_f1 >= rows["fused"].micro_f1


def test_each_fusion_has_its_difference_from_its_own_control_with_an_interval(evaluation):
    rows = {row.system: row for row in list_score_rows_with_oracle("A", 13, SETTING, evaluation)}
    assert {name for name, row in rows.items() if row.over_control is not None} == {
        name for name in rows if name.startswith("fused")
    }
    for name, row in rows.items():
        if name.startswith("fused"):
            control = rows[name.replace("fused", "control")]
            assert row.over_control == pytest.approx(row.micro_f1 - control.micro_f1)
            assert row.over_control_low <= row.over_control <= row.over_control_high
    strict, *_ = read_markdown(rows_to_markdown([*rows.values()], []))
    row = rows["fused by regions"]
    assert row.over_control != 0
    (cells,) = (cells for cells in strict if cells["system"] == row.system)
    assert cells["over its control"] == f"{100 * row.over_control:+.2f}"
    bounds = (row.over_control_low, row.over_control_high)
    assert cells["95% interval of the difference"] == " to ".join(f"{100 * bound:+.2f}" for bound in bounds)


def test_the_published_numbers_are_those_of_the_papers_table():
    assert {name: [*row.values()] for name, row in PUBLISHED_F1.items()}["fused"] == [0.8855, 0.8824, 0.7733]
    assert all(list(row) == ["A", "B", "C"] for row in PUBLISHED_F1.values())


def test_other_data_and_other_settings_have_no_published_score(evaluation):
    assert {row.published for row in list_score_rows_with_oracle("mine", 13, SETTING, evaluation)} == {None}
    published = {row.system: row.published for row in list_score_rows_with_oracle("A", 13, "as configured", evaluation)}
    assert published["LLM"] is None
    assert published["SLM"] == 0.8305


def test_free_answers_stand_beside_the_score_of_the_same_setup_and_are_counted(evaluation):
    rows = {row.system: row for row in list_score_rows_with_oracle("A", 13, SETTING + FREE_ANSWERS, evaluation)}
    assert (rows["LLM"].setting, rows["LLM"].published) == ("SFT + similarity prompt (free)", 0.8350)
    counts = FreeAnswerRow("A", 13, "few shot (free)", FreeAnswerFaults(answers=9, changed=4, deleted=7))
    *_, table = read_markdown(rows_to_markdown([*rows.values()], [], [counts]))
    assert [(row["LLM"], row["answers"], row["changed"], row["deleted"]) for row in table] == [
        ("few shot (free)", "9", "4", "7")
    ]


def test_the_gain_is_over_the_better_model_and_compared_with_the_oracle(evaluation):
    gain = measure_fusion_gain("A", 13, SETTING, evaluation)
    f1 = {name: evaluation.systems[name].micro.f1 for name in ("slm", "llm", "fused")}
    better = max(f1["slm"], f1["llm"])
    assert gain.micro_gain == pytest.approx(f1["fused"] - better)
    assert gain.low <= gain.micro_gain <= gain.high
    assert gain.way == pytest.approx(gain.micro_gain / (evaluation.regions.oracle_f1 - better))


def test_tables_hold_every_row(evaluation):
    rows = list_score_rows_with_oracle("A", 13, SETTING, evaluation)
    csv_rows = list(csv.DictReader(io.StringIO(rows_to_csv(rows))))
    assert tuple(csv_rows[0]) == COLUMNS
    assert [row["system"] for row in csv_rows] == [row.system for row in rows]
    assert float(csv_rows[0]["micro_f1"]) == rows[0].micro_f1
    token = rows[0].token
    for classes, macro in token.by_name().items():
        found = [float(csv_rows[0][f"{classes}_{column}"]) for column in ("precision", "recall", "f1", "low", "high")]
        assert found == [macro.precision, macro.recall, macro.f1, *macro.interval]
    assert csv_rows[-1]["system"] == "oracle over regions"
    assert csv_rows[-1]["types_with_o_f1"] == ""


def read_markdown(text):
    """The tables of a text, each as a list of rows by column."""
    tables = [[line.strip("|").split("|") for line in part.splitlines()] for part in text.split("\n\n")[1::2]]
    return [
        [dict(zip(map(str.strip, header), map(str.strip, row), strict=True)) for row in rows]
        for header, _, *rows in tables
    ]


def test_the_text_has_a_table_of_strict_and_one_of_token_level_scores_and_one_of_gains(evaluation):
    rows = list_score_rows_with_oracle("A", 13, SETTING, evaluation)
    text = rows_to_markdown(rows, [measure_fusion_gain("A", 13, SETTING, evaluation)])
    strict, token, gains = read_markdown(text)
    assert [row["system"] for row in strict] == [row.system for row in rows]
    assert [row["system"] for row in token] == [row.system for row in rows if row.token]
    assert len(gains) == 1
    macro = evaluation.systems["fused_characters"].token.types_without_o
    shares = ", ".join(f"{100 * share:.2f}" for share in (macro.precision, macro.recall, macro.f1))
    interval = " to ".join(f"{100 * bound:.2f}" for bound in macro.interval)
    fused = next(row for row in token if row["system"] == "fused by characters")
    assert fused["types without O: P, R, F1"] == f"{shares} ({interval})"
    assert fused["published F1"] == "88.55"
    assert "The published P and R were not at hand." in text


def test_several_seeds_have_a_mean_and_the_score_of_each(evaluation):
    other = make_evaluation(weight=0.1, n=25)
    evaluations = {13: evaluation, 14: other}
    rows = [row for seed, one in evaluations.items() for row in list_score_rows_with_oracle("A", seed, SETTING, one)]
    means = {mean.system: mean for mean in average_over_seeds(rows)}
    assert list(means) == [row.system for row in rows[: len(rows) // 2]]
    mean = means["LLM"]
    assert (mean.seeds, mean.published) == ((13, 14), 0.8350)
    f1 = [one.systems["llm"].token.tags_without_o.f1 for one in evaluations.values()]
    assert mean.scores["tags_without_o"] == (pytest.approx(sum(f1) / 2), tuple(f1))
    assert f1[0] != f1[1]
    assert set(means["oracle over regions"].scores) == {"micro_f1"}
    fused = [row for row in rows if row.system == "fused"]
    over_control = tuple(row.over_control for row in fused)
    assert means["fused"].scores["over_control"] == (pytest.approx(sum(over_control) / 2), over_control)
    *_, table = read_markdown(rows_to_markdown(rows, []))
    cell = next(row for row in table if row["system"] == "LLM")["tags without O: F1"]
    assert cell == f"{50 * sum(f1):.2f} ({100 * f1[0]:.2f}, {100 * f1[1]:.2f})"


def test_one_seed_has_no_mean(evaluation):
    rows = list_score_rows_with_oracle("A", 13, SETTING, evaluation)
    assert average_over_seeds(rows) == []
    assert "Means over seeds" not in rows_to_markdown(rows, [])
