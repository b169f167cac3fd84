"""Choose what tags a corpus: the fusion of both models, or its LLM-free control, which asks the LLM about nothing."""

from dataclasses import dataclass

from rayner.config.conditions import candidates_are_scored, has_llm
from rayner.config.settings import Config, config_to_dict
from rayner.errors import ConfigError
from rayner.fusion.artifact import TunedFusion, TunedRules
from rayner.fusion.calibration import Calibration
from rayner.fusion.control import RuleWithoutLlm
from rayner.fusion.fusion_rule import FusionRule
from rayner.steps.fusion_rules import load_chosen_rule, load_rules
from rayner.steps.tag.llm_gate import Gate

NO_LLM_REASON = "no LLM is asked: the run has none (llm.model=none)"


@dataclass(frozen=True)
class TaggingRule:
    """The rule that tags a corpus.

    rule: the fitted rule. If the LLM is not asked, it reads no LLM answer.
    calibration: fitted for this rule.
    gate: decides which segments the LLM is asked about.
    asks_llm: whether the LLM is asked about any segment.
    reason: one sentence that says whether the LLM is asked, and why.
    """

    rule: FusionRule
    calibration: Calibration
    gate: Gate
    asks_llm: bool
    reason: str


def choose_tagging_rule(config: Config, fusion: TunedFusion) -> TaggingRule:
    """Choose the fusion or its control by `fusion.llm` and by what the LLM is worth on the held-out sentences.

    Raises ConfigError if the settings and the run do not agree about whether there is an LLM, or if the chosen rule is
    a user's rule and cannot be imported.
    """
    if has_llm(config) != fusion.has_llm:
        raise other_llm_error(config)
    reason = describe_llm_use(config, fusion)
    if fusion.control is None:
        return _rule_without_llm(fusion, reason)
    if not _asks_llm(config, fusion):
        return _rule_without_llm(fusion.control, reason)
    rule = load_chosen_rule(fusion)
    scores = candidates_are_scored(config)
    gate = Gate(rule, fusion.budget, **config_to_dict(config.gate), candidate_scores=scores)
    return TaggingRule(rule, fusion.calibration, gate, asks_llm=True, reason=reason)


def _rule_without_llm(rules: TunedRules, reason: str) -> TaggingRule:
    rule = RuleWithoutLlm(load_rules(rules).chosen)
    return TaggingRule(rule, rules.calibration, Gate(rule, None), asks_llm=False, reason=reason)


def _asks_llm(config: Config, fusion: TunedFusion) -> bool:
    if config.fusion.llm == "never":
        return False
    is_worth_it = fusion.llm_worth is not None and fusion.llm_worth.is_beyond_chance
    return is_worth_it or config.fusion.llm == "always"


def describe_llm_use(config: Config, fusion: TunedFusion | None) -> str:
    """Say in one sentence whether tagging asks the LLM, and why. fusion: None if it is not tuned yet."""
    if not has_llm(config):
        return NO_LLM_REASON
    if config.fusion.llm == "never":
        return "the LLM is not asked, because fusion.llm=never: the LLM-free control tags"
    if fusion is None or fusion.llm_worth is None:
        when = "always" if config.fusion.llm == "always" else "if its worth on held-out sentences is beyond chance"
        return f"the LLM is asked {when} (fusion.llm={config.fusion.llm})"
    verdict = "beyond chance" if fusion.llm_worth.is_beyond_chance else "not beyond chance"
    worth = f"its worth is {verdict} on {fusion.llm_worth.n_sentences:,} held-out sentences"
    if fusion.llm_worth.is_beyond_chance:
        return f"the LLM is asked: {worth}"
    if config.fusion.llm == "always":
        return f"the LLM is asked because fusion.llm=always, although {worth}"
    return f"the LLM is not asked: {worth}, so its LLM-free control tags (fusion.llm=always would ask it)"


def other_llm_error(config: Config) -> ConfigError:
    """Return the error for a run whose use of an LLM differs from the settings."""
    was, expected = ("without an LLM", "none") if has_llm(config) else ("with an LLM", "that of the run")
    return ConfigError(
        f"llm.model: expected {expected}, because the run was made {was}, found {config.llm.model!r}: take another run "
        "folder, or start over beside it with --fresh"
    )
