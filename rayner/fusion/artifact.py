"""The file `fusion.json`, which holds the tuned rules of a run and everything needed to tag with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayner.fusion.budget import Budget
from rayner.fusion.calibration import Calibration
from rayner.fusion.custom_rule import CustomRule, FittedCustomRule
from rayner.fusion.fusion_rule import FusionRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.span_rule import SpanRule
from rayner.fusion.weight_search import WeightCurve
from rayner.text.json_records import damaged_record_error, describe_json, parse_record, record_to_json

FUSION_FORMAT_VERSION = 1
FUSION_REMEDY = "tune the fusion again: delete steps/tune_fusion.json there and rerun the job"


@dataclass(frozen=True)
class TunedFusion:
    """The result of the search for the fusion rule.

    chosen: name of the rule that the run tags with: `regions`, `spans` or `module:name`.
    region_rule: the best rule by conflict regions.
    span_rule: the learned rule.
    custom_rules: by rule name, what the `fit` of each user's rule returned (a JSON value).
    held_out_f1: by rule name, strict micro F1 on sentences that the rule was not fitted on (`rule_search`).
    baseline_f1: the same F1 for `slm`, `llm` and `fused` (the chosen rule).
    softmax_over: which softmax the LLM's probabilities come from (the setting `llm.softmax_over`).
    budget: the LLM budget, fitted for the chosen rule.
    curves: F1 at each lambda, one curve for each combination of reductions.
    """

    chosen: str
    region_rule: RegionRule
    span_rule: SpanRule
    custom_rules: Mapping[str, Any]
    held_out_f1: Mapping[str, float]
    baseline_f1: Mapping[str, float]
    softmax_over: str
    calibration: Calibration
    budget: Budget
    curves: tuple[WeightCurve, ...]

    def load_rule(self, name: str, custom_rules: Mapping[str, CustomRule]) -> FusionRule:
        """Return the fitted rule with this name.

        custom_rules: functions of users' rules, by rule name. Only the functions of the rule `name` are needed.
        """
        rules: dict[str, FusionRule] = {RegionRule.name: self.region_rule, SpanRule.name: self.span_rule}
        if name in rules:
            return rules[name]
        return FittedCustomRule.from_json(
            self.custom_rules[name], name=name, functions=custom_rules[name], types=self.span_rule.types
        )

    def budget_is_for(self, rule: FusionRule) -> bool:
        """Say whether `budget` was fitted for this rule. Always false for a user's own rule."""
        rules: dict[str, FusionRule] = {RegionRule.name: self.region_rule, SpanRule.name: self.span_rule}
        return rules.get(self.chosen) == rule

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
        names = (RegionRule.name, SpanRule.name, *fusion.custom_rules)
        if fusion.chosen not in names:
            reason = f"chosen: expected {' | '.join(names)}, found {describe_json(fusion.chosen)}"
            raise damaged_record_error(source, reason, FUSION_REMEDY)
        return fusion
