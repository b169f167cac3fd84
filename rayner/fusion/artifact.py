"""The file `fusion.json`, which holds the tuned rules of a run and everything needed to tag with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayner.fusion.budget import Budget
from rayner.fusion.calibration import Calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import LlmWorth
from rayner.fusion.custom_rule import CustomRule, FittedCustomRule
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.text.json_records import damaged_record_error, describe_json, parse_record, record_to_json

FUSION_FORMAT_VERSION = 6  # 6: the rule by documents
FUSION_REMEDY = "tune the fusion again: delete steps/tune_fusion.json there and rerun the job"


BUILT_IN_RULES = (CharacterRule.name, RegionRule.name, SpanRule.name, DocumentRule.name)


@dataclass(frozen=True)
class LoadedRules:
    """The fitted rules of one search, ready to decide.

    chosen: the rule that the search chose. It is one of the others, or a user's own rule.
    """

    chosen: FusionRule
    characters: CharacterRule
    regions: RegionRule
    spans: SpanRule
    documents: DocumentRule | None

    @property
    def built_in_rules(self) -> dict[str, FusionRule]:
        """The rules that were fitted and are no user's own, by name."""
        return _by_name(self.characters, self.regions, self.spans, self.documents)


@dataclass(frozen=True)
class TunedRules:
    """The fitted rules of one search.

    chosen: name of the rule with the highest held-out F1 among `fusion.rules`: `characters`, `regions`, `spans`,
        `documents` or `module:name`.
    character_rule: the rule by characters, with a lambda of its own.
    region_rule: the best rule by conflict regions.
    span_rule: the learned rule.
    document_rule: the learned rule in two passes; None if `fusion.rules` does not name it.
    custom_rules: by rule name, what the `fit` of each user's rule returned (a JSON value).
    held_out_f1: by rule name, strict micro F1 on sentences that the rule was not fitted on (`rule_search`).
    calibration: fitted for the chosen rule.
    """

    chosen: str
    character_rule: CharacterRule
    region_rule: RegionRule
    span_rule: SpanRule
    document_rule: DocumentRule | None
    custom_rules: Mapping[str, Any]
    held_out_f1: Mapping[str, float]
    calibration: Calibration

    def load_rule(self, name: str, custom_rules: Mapping[str, CustomRule]) -> FusionRule:
        """Return the fitted rule with this name.

        custom_rules: functions of users' rules, by rule name. Only the functions of the rule `name` are needed.
        """
        if name in BUILT_IN_RULES:
            return self.built_in_rules()[name]
        return FittedCustomRule.from_json(
            self.custom_rules[name], name=name, functions=custom_rules[name], types=self.span_rule.types
        )

    def load_rules(self, custom_rules: Mapping[str, CustomRule]) -> LoadedRules:
        """Return the chosen rule and all built-in rules.

        custom_rules: functions of users' rules, by rule name. Only the functions of the chosen rule are needed.
        """
        chosen = self.load_rule(self.chosen, custom_rules)
        return LoadedRules(chosen, self.character_rule, self.region_rule, self.span_rule, self.document_rule)

    def built_in_rules(self) -> dict[str, FusionRule]:
        """Return the rules that were fitted and are no user's own, by name."""
        return _by_name(self.character_rule, self.region_rule, self.span_rule, self.document_rule)


@dataclass(frozen=True)
class TunedFusion(TunedRules):
    """The result of the search for the fusion rule.

    In a run without an LLM, the rules were fitted on empty LLM answers: they are what is elsewhere the control. Then
    `control`, `llm_worth`, `softmax_over` and `budget` are None.

    control: the result of the same search with every LLM answer empty (`control`).
    llm_worth: the chosen rule compared with the control's chosen rule, on sentences that neither was fitted on.
    baseline_f1: held-out F1 of `slm`, `llm`, `fused` (the chosen rule) and `control` (the control's chosen rule).
    softmax_over: which softmax the LLM's probabilities come from (the setting `llm.softmax_over`).
    budget: the LLM budget, fitted for the chosen rule.
    curves: F1 at each lambda of the rule by regions, one curve for each combination of reductions.
    """

    control: TunedRules | None
    llm_worth: LlmWorth | None
    baseline_f1: Mapping[str, float]
    softmax_over: str | None
    budget: Budget | None
    curves: tuple[WeightCurve, ...]

    @property
    def has_llm(self) -> bool:
        """Whether the fusion was tuned with an LLM."""
        return self.control is not None

    def budget_is_for(self, rule: FusionRule) -> bool:
        """Say whether `budget` was fitted for this rule. Always false for a user's own rule."""
        return self.built_in_rules().get(self.chosen) == rule

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the format version."""
        return {"format_version": FUSION_FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, tree: Any, source: object) -> "TunedFusion":  # noqa: ANN401 - any JSON value
        """Build the fusion from what `to_json` returned.

        source: the file, for the message.

        Raises ConfigError if another version of the format wrote the file, DamagedFileError if the file is damaged.
        """
        fusion = parse_record(
            cls, tree, source, expected="a tuned fusion", remedy=FUSION_REMEDY, format_version=FUSION_FORMAT_VERSION
        )
        of_llm = (fusion.control, fusion.llm_worth, fusion.softmax_over, fusion.budget)
        if None in of_llm and any(value is not None for value in of_llm):
            reason = "expected control, llm_worth, softmax_over and budget, or null for all of them, found some null"
            raise damaged_record_error(source, reason, FUSION_REMEDY)
        for key, rules in (("chosen", fusion), ("control.chosen", fusion.control)):
            if rules is None:
                continue
            names = (*rules.built_in_rules(), *rules.custom_rules)
            if rules.chosen not in names:
                reason = f"{key}: expected {' | '.join(names)}, found {describe_json(rules.chosen)}"
                raise damaged_record_error(source, reason, FUSION_REMEDY)
        return fusion


def _by_name(*rules: FusionRule | None) -> dict[str, FusionRule]:
    return {rule.name: rule for rule in rules if rule is not None}
