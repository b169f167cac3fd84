"""`fusion.json`: the tuned rules of a run, and all that tagging with them takes."""

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
from rayner.text.json_records import check_format_version, record_from_json, record_to_json

FUSION_FORMAT_VERSION = 1


@dataclass(frozen=True)
class TunedFusion:
    """What the search for the fusion rule found.

    chosen: the name of the rule that tags: `regions`, `spans` or `module:name`.
    region_rule: the best rule by regions; span_rule: the learned rule.
    custom_rules: what users' own rules fitted (JSON values), by name.
    held_out_f1: strict micro F1 of each rule, by name, on sentences that it was not fitted on (`rule_search`).
    baseline_f1: the same of `slm`, `llm` and `fused` (the chosen rule).
    softmax_over: which softmax the LLM's probabilities come from (the setting `llm.softmax_over`).
    budget: fitted for the chosen rule.
    curves: F1 by lambda for each combination of reductions.
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
        """Return the fitted rule of that name.

        custom_rules: by name, the functions of users' own rules; only that of the wanted name is needed.
        """
        rules: dict[str, FusionRule] = {RegionRule.name: self.region_rule, SpanRule.name: self.span_rule}
        if name in rules:
            return rules[name]
        return FittedCustomRule.from_json(
            self.custom_rules[name], name=name, functions=custom_rules[name], types=self.span_rule.types
        )

    def budget_is_for(self, rule: FusionRule) -> bool:
        """Say whether `budget` was fitted for this rule by regions or by spans."""
        rules: dict[str, FusionRule] = {RegionRule.name: self.region_rule, SpanRule.name: self.span_rule}
        return rules.get(self.chosen) == rule

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the format version."""
        return {"format_version": FUSION_FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], source: object) -> "TunedFusion":
        """Read what `to_json` wrote. source: the file, for the message.

        Raises ConfigError if another version of the format wrote it.
        """
        check_format_version(
            tree,
            FUSION_FORMAT_VERSION,
            source,
            "tune the fusion again: delete steps/tune_fusion.json there and rerun the job",
        )
        return record_from_json(cls, {key: value for key, value in tree.items() if key != "format_version"})
