"""What the report says of the fusion: the chosen rule, its weights, the baselines and the search curves."""

from dataclasses import dataclass

from rayner.fusion.artifact import TunedFusion
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.templates import format_percent
from rayner.rendering.translation import (
    translate,
    translate_feature_name,
    translate_setting,
)
from rayner.report.system_texts import ALL_SYSTEM_TEXTS


@dataclass(frozen=True)
class CurveMaximum:
    """The highest F1 of the rule by conflict regions with some settings, and the lowest lambda that reaches it.

    weight: lambda, as text.
    """

    entropy_reduction: BilingualText
    llm_reduction: BilingualText
    llm_confidence: BilingualText
    weight: str
    f1: float


def describe_region_rule(fusion: TunedFusion) -> BilingualText:
    """Describe the best rule by conflict regions in words."""
    rule = fusion.region_rule
    return translate(
        "region_rule",
        f"{rule.weight:.4g}",
        translate_setting(rule.entropy_reduction),
        translate_setting(rule.llm_reduction),
        translate(f"probs_of_{rule.llm_confidence}"),
        translate("probabilities_from", translate(f"softmax_{fusion.softmax_over}")),
    )


def describe_character_rule(fusion: TunedFusion) -> BilingualText | None:
    """Describe the paper's rule with its own lambda. Return None if its F1 was not measured."""
    f1 = fusion.held_out_f1.get(CharacterRule.name)
    if f1 is None:
        return None
    return translate("character_rule", f"{fusion.character_rule.weight:.4g}", format_percent(f1))


def describe_rule_choice(fusion: TunedFusion) -> BilingualText | None:
    """Describe which rule was chosen, with the F1 of the rules on held-out data. Return None if no F1 was measured."""
    f1 = {name: format_percent(value) for name, value in fusion.held_out_f1.items()}
    if fusion.chosen == CharacterRule.name:
        return translate("characters_chosen", f1[CharacterRule.name], f1[RegionRule.name], f1[SpanRule.name])
    if fusion.chosen == SpanRule.name:
        return translate("spans_chosen", f1[SpanRule.name], f1[RegionRule.name])
    if fusion.chosen != RegionRule.name:
        return translate("custom_chosen", fusion.chosen, f1[fusion.chosen], f1[RegionRule.name])
    return translate("spans_not_chosen", f1[SpanRule.name], f1[RegionRule.name]) if f1 else None


def rank_span_rule_weights(fusion: TunedFusion) -> list[tuple[BilingualText, float]]:
    """Return the features and weights of the learned rule, sorted by absolute weight, the largest first.

    The list is empty if the learned rule was not chosen.
    """
    if fusion.chosen != SpanRule.name:
        return []
    weights = sorted(fusion.span_rule.named_weights.items(), key=lambda item: -abs(item[1]))
    return [(translate_feature_name(name), weight) for name, weight in weights]


def describe_baseline_f1(fusion: TunedFusion) -> BilingualText | None:
    """Describe the F1 of each system on held-out data. Return None if there are no held-out data."""
    if not fusion.baseline_f1:
        return None
    parts = (
        translate("name_and_number", ALL_SYSTEM_TEXTS.get(name, same_in_both(name)), format_percent(f1))
        for name, f1 in fusion.baseline_f1.items()
    )
    return translate("baselines", join_texts(parts, translate("list_separator")))


def list_curve_maxima(fusion: TunedFusion) -> list[CurveMaximum]:
    """Return the maximum of each curve, sorted by F1, the highest first."""
    return sorted((_find_maximum(curve) for curve in fusion.curves if curve.f1), key=lambda maximum: -maximum.f1)


def _find_maximum(curve: WeightCurve) -> CurveMaximum:
    i = max(range(len(curve.f1)), key=lambda i: (curve.f1[i], -curve.weights[i]))
    return CurveMaximum(
        translate_setting(curve.entropy_reduction),
        translate_setting(curve.llm_reduction),
        translate_setting(curve.llm_confidence),
        f"{curve.weights[i]:.4g}",
        curve.f1[i],
    )
