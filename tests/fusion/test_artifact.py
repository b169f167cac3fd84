"""`fusion.json` is read back as it was written, and refused where another version wrote it."""

import json
from dataclasses import replace

import pytest

from rayner.errors import ConfigError, DamagedFileError
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.custom_rule import CustomRule, FittedCustomRule
from tests.report.records import make_fusion_without_llm
from tests.report.test_run_report import RULE, tuned_fusion

FIRST = CustomRule(lambda segments, types: {}, lambda segment, fitted: [])


def read_back(fusion):
    return TunedFusion.from_json(json.loads(json.dumps(fusion.to_json())), "fusion.json")


def test_what_is_written_is_read_back():
    fusion = replace(tuned_fusion(), custom_rules={"own:FIRST": {"a": [1, 2]}})
    assert read_back(fusion) == fusion
    assert fusion.to_json()["format_version"] == 6


@pytest.mark.parametrize(
    ("tree", "found"),
    [({"rule": {}}, "a file without one"), ({"format_version": 7}, "version 7")],
)
def test_another_version_is_refused(tree, found):
    with pytest.raises(
        ConfigError, match=rf"^run/fusion.json: expected format_version 6, found {found}.*tune the fusion"
    ):
        TunedFusion.from_json(tree, "run/fusion.json")


def test_without_an_llm_there_is_no_control_no_worth_and_no_budget():
    fusion = make_fusion_without_llm(RULE)
    assert read_back(fusion) == fusion
    assert not fusion.has_llm
    assert tuned_fusion().has_llm


@pytest.mark.parametrize("key", ["control", "llm_worth", "softmax_over", "budget"])
def test_a_fusion_with_a_part_of_what_an_llm_needs_is_damaged(key):
    tree = json.loads(json.dumps(tuned_fusion().to_json()))
    with pytest.raises(DamagedFileError, match=r"^fusion\.json: .*control, llm_worth, softmax_over and budget"):
        TunedFusion.from_json({**tree, key: None}, "fusion.json")


def test_a_rule_is_loaded_by_its_name():
    fusion = replace(tuned_fusion(), custom_rules={"own:FIRST": {"a": 1}})
    assert fusion.load_rule("characters", {}) == fusion.character_rule
    assert fusion.load_rule("regions", {}) == fusion.region_rule
    assert fusion.load_rule("spans", {}) == fusion.span_rule
    custom = fusion.load_rule("own:FIRST", {"own:FIRST": FIRST})
    assert custom == FittedCustomRule("own:FIRST", FIRST, fusion.span_rule.types, {"a": 1})
    assert fusion.budget_is_for(fusion.region_rule)
    assert not fusion.budget_is_for(replace(fusion.region_rule, weight=0.9))
    assert not replace(fusion, chosen="spans").budget_is_for(fusion.region_rule)
