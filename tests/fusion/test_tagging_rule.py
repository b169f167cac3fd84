"""Which rule tags a corpus, the fusion or its LLM-free control, and what is said about it."""

from dataclasses import replace

import pytest

from rayner.config.loading import load_config
from rayner.errors import ConfigError
from rayner.fusion.calibration import Calibration
from rayner.fusion.control import LlmWorth, RuleWithoutLlm
from rayner.fusion.region_rule import RegionRule
from rayner.steps.tag.tagging_rule import choose_tagging_rule, describe_llm_use
from tests.report.records import make_fusion, make_fusion_without_llm

RULE, CONTROL = RegionRule(0.25), RegionRule(0.125)
CALIBRATIONS = Calibration(with_llm=(1.0,)), Calibration(with_llm=(2.0,))


def fusion_worth(low, high):
    """A fusion with a control of its own, whose LLM has a worth with this interval."""
    fusion = make_fusion(RULE, llm_worth=LlmWorth(1234, 0.8, 0.79, 0.01, (low, high)), calibration=CALIBRATIONS[0])
    return replace(fusion, control=replace(fusion.control, region_rule=CONTROL, calibration=CALIBRATIONS[1]))


@pytest.mark.parametrize(
    ("interval", "setting", "asks"),
    [
        ((0.001, 0.02), "auto", True),
        ((0.0, 0.02), "auto", False),
        ((-0.01, 0.02), "auto", False),
        ((-0.02, -0.01), "auto", False),
        ((0.001, 0.02), "always", True),
        ((-0.02, -0.01), "always", True),
        ((0.001, 0.02), "never", False),
        ((-0.02, -0.01), "never", False),
    ],
)
def test_the_llm_is_asked_where_its_worth_is_beyond_chance_or_always(interval, setting, asks):
    config = load_config(None, [f"fusion.llm={setting}", "gate.share=0.5"])
    tagging = choose_tagging_rule(config, fusion_worth(*interval))
    assert tagging.asks_llm == asks
    assert tagging.rule == (RULE if asks else RuleWithoutLlm(CONTROL))
    assert tagging.gate.rule == tagging.rule
    assert tagging.gate.share == (0.5 if asks else 1.0)
    assert tagging.calibration == CALIBRATIONS[not asks]


@pytest.mark.parametrize("exact", ["true", "false"])
def test_without_an_llm_the_rules_of_the_run_tag_and_nothing_is_asked(exact):
    config = load_config(None, ["llm.model=none", f"gate.exact={exact}"])
    tagging = choose_tagging_rule(config, make_fusion_without_llm(RULE))
    assert (tagging.rule, tagging.asks_llm) == (RuleWithoutLlm(RULE), False)
    assert tagging.reason == "no LLM is asked: the run has none (llm.model=none)"


@pytest.mark.parametrize(
    ("interval", "setting", "sentence"),
    [
        ((0.01, 0.02), "auto", "the LLM is asked: its worth is beyond chance on 1,234 held-out sentences"),
        (
            (-0.01, 0.02),
            "auto",
            "the LLM is not asked: its worth is not beyond chance on 1,234 held-out sentences, so its LLM-free control "
            "tags (fusion.llm=always would ask it)",
        ),
        (
            (-0.01, 0.02),
            "always",
            "the LLM is asked because fusion.llm=always, although its worth is not beyond chance on 1,234 held-out "
            "sentences",
        ),
        ((0.01, 0.02), "never", "the LLM is not asked, because fusion.llm=never: the LLM-free control tags"),
    ],
)
def test_one_sentence_says_whether_the_llm_is_asked_and_why(interval, setting, sentence):
    config = load_config(None, [f"fusion.llm={setting}"])
    assert choose_tagging_rule(config, fusion_worth(*interval)).reason == sentence
    assert (describe_llm_use(config, None) == sentence) == (setting == "never")


def test_before_the_fusion_is_tuned_the_setting_is_said():
    assert describe_llm_use(load_config(None), None) == (
        "the LLM is asked if its worth on held-out sentences is beyond chance (fusion.llm=auto)"
    )


@pytest.mark.parametrize(
    ("setting", "fusion", "expected"),
    [
        ("llm.model=none", make_fusion(RULE), "that of the run, because the run was made with an LLM"),
        ("llm.model=scratch", make_fusion_without_llm(RULE), "none, because the run was made without an LLM"),
    ],
)
def test_a_run_with_an_llm_and_settings_without_one_are_refused_and_the_other_way_round(setting, fusion, expected):
    with pytest.raises(ConfigError, match=f"^llm.model: expected {expected}, found "):
        choose_tagging_rule(load_config(None, [setting]), fusion)
