"""The methods paragraph says what the run did: its own settings, counts and scores."""

import dataclasses

import pytest

from rayner.config.settings import Config, CrfConfig, LlmConfig, SlmConfig, SplitConfig, config_to_dict
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.fusion.region_rule import RegionRule
from rayner.report.methods import compose_methods_paragraph
from tests.report.synthetic import TYPES, rows

PARTS = {name: {"sentences": 1000 * n, "entities": 10 * n} for n, name in enumerate(("train", "dev", "test"), 1)}
FUSION = {"chosen": "regions", "region_rule": config_to_dict(RegionRule(0.125))}


def about(config, **counts):
    return {"config": config_to_dict(config), "counts": {"labelled": PARTS, **counts}, "versions": {"rayner": "9.9"}}


def test_it_names_the_division_both_models_the_rule_and_the_versions():
    config = Config(seed=7, llm=LlmConfig(model="some/model", epochs=3, examples="similar"))
    said = compose_methods_paragraph(about(config), FUSION, {}).en
    for part in ("(seed 7)", "1,000 training sentences (10 entities)", "3,000 test sentences", "for 10 epochs",
                 "the language model some/model", "for 3 epochs by LoRA (rank 64", "the 5 most similar training",
                 "lambda = 0.125", "H reduced by mean", "rayner 9.9"):  # fmt: skip
        assert part in said
    assert "corpus" not in said
    assert "F1 on the test" not in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"slm": SlmConfig(family="crf", crf=CrfConfig(unlabelled="x"))}, "with 32 and 512 character clusters"),
        ({"slm": SlmConfig(family="crf")}, "conditional random field over characters (L1 0.1"),
        ({"slm": SlmConfig(family="my_tagger:COUNTS")}, "The small model is a custom tagger (my_tagger:COUNTS)."),
        ({"llm": LlmConfig(full_epochs=4, epochs=0)}, "trained from scratch, trained for 4 epochs with all parameters"),
        ({"llm": LlmConfig(epochs=0, examples="none")}, "not fine-tuned. Its prompt contains no examples"),
        ({"split": SplitConfig(folds=3)}, "by 3-fold cross-fitting"),
    ],
)
def test_it_follows_the_settings(change, expected):
    assert expected in compose_methods_paragraph(about(dataclasses.replace(Config(), **change)), FUSION, {}).en


def test_it_names_a_rule_of_the_users_own():
    said = compose_methods_paragraph(about(Config()), {**FUSION, "chosen": "my_rule:BY_TYPE"}, {})
    assert "fused by a custom rule (my_rule:BY_TYPE). The rule was fitted on held-out sentences." in said.en
    assert "由自行编写的规则（my_rule:BY_TYPE）融合" in said.zh


def test_it_tells_scores_and_the_tagged_corpus():
    counts = {"documents": 2, "characters": 1234, "segments": 200, "gated": 50, "entities": 77, "set_aside": 1}
    evaluation = evaluate_fusion(rows(), RegionRule(0.125), TYPES, seed=0, region_rule=RegionRule(0.125)).to_json()
    said = compose_methods_paragraph(about(Config(corpus="c"), **counts), {**FUSION, "chosen": "spans"}, evaluation).en
    assert f"fused {100 * evaluation['systems']['fused']['micro']['f1']:.2f} (" in said
    assert "2 documents (1,234 characters, 200 sentences) and 77 entities" in said
    assert "not asked about 25.0% of the sentences. 1 sentences were set aside" in said
    assert "a logistic regression" in said


def test_without_settings_nothing_is_said():
    assert (
        compose_methods_paragraph({"counts": {}}, FUSION, {})
        is compose_methods_paragraph(about(Config()), {}, {})
        is None
    )
