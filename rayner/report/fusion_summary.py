"""What the report says of the fusion: the chosen rule, its weights, the baselines and the search curves."""

from collections.abc import Mapping
from dataclasses import dataclass

from rayner.fusion.artifact import TunedFusion
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import LlmWorth
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.templates import format_percent, format_value
from rayner.rendering.translation import (
    translate,
    translate_feature_name,
    translate_setting,
)
from rayner.report.system_texts import get_all_system_texts


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
    """Describe the best rule by conflict regions in words. Without an LLM, say what decides instead."""
    if not fusion.has_llm:
        return translate("no_llm")
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
    """Describe the paper's rule with its own lambda. Return None without an LLM, or if its F1 was not measured."""
    f1 = fusion.held_out_f1.get(CharacterRule.name)
    if f1 is None or not fusion.has_llm:
        return None
    return translate("character_rule", f"{fusion.character_rule.weight:.4g}", format_percent(f1))


def describe_rule_choice(fusion: TunedFusion) -> BilingualText | None:
    """Describe which rule was chosen, with the F1 of the rules on held-out data. Return None if no F1 was measured."""
    f1 = {name: format_percent(value) for name, value in fusion.held_out_f1.items()}
    if not fusion.has_llm:
        return _describe_rule_choice_without_llm(fusion, f1)
    if fusion.chosen == CharacterRule.name:
        return translate("characters_chosen", f1[CharacterRule.name], f1[RegionRule.name], f1[SpanRule.name])
    if fusion.chosen == DocumentRule.name:
        return translate("documents_chosen", f1[DocumentRule.name], f1[SpanRule.name], f1[RegionRule.name])
    if fusion.chosen == SpanRule.name:
        return translate("spans_chosen", f1[SpanRule.name], f1[RegionRule.name])
    if fusion.chosen != RegionRule.name:
        return translate("custom_chosen", fusion.chosen, f1[fusion.chosen], f1[RegionRule.name])
    return translate("spans_not_chosen", f1[SpanRule.name], f1[RegionRule.name]) if f1 else None


def _describe_rule_choice_without_llm(fusion: TunedFusion, f1: Mapping[str, str]) -> BilingualText | None:
    """Name the rule that decides without an LLM, and the F1 of all rules on held-out data."""
    names = get_all_system_texts(has_llm=False)
    parts = (
        translate("name_and_number", names.get(f"fused_{name}", same_in_both(name)), percent)
        for name, percent in f1.items()
    )
    chosen = names.get(f"fused_{fusion.chosen}", same_in_both(fusion.chosen))
    return translate("rule_chosen", chosen, join_texts(parts, translate("list_separator"))) if f1 else None


def describe_llm_use(fusion: TunedFusion, *, asks_llm: bool) -> BilingualText | None:
    """Say what the LLM is worth on the held-out sentences, and whether tagging asks it. Return None without an LLM."""
    worth = fusion.llm_worth
    if worth is None:
        return None
    if worth.is_beyond_chance:
        use = "llm_asked" if asks_llm else "llm_not_asked_anyway"
    else:
        use = "llm_asked_anyway" if asks_llm else "llm_not_asked"
    sentences = [
        translate("tuned_worth", format_value(worth.n_sentences), describe_llm_worth(worth)),
        translate(use),
    ]
    return join_texts(sentences, translate("methods_space"))


def describe_llm_worth(worth: LlmWorth) -> BilingualText:
    """Say what the LLM is worth, with the interval, and whether this is beyond chance."""
    low, high = worth.interval
    verdict = "ahead" if worth.is_beyond_chance else "behind" if high < 0 else "even"
    interval = translate("interval", format_points(low), format_points(high))
    f1 = map(format_percent, (worth.fused_f1, worth.control_f1))
    return translate(f"worth_{verdict}", format_points(worth.difference), *f1, interval)


def format_points(difference: float) -> str:
    """Format a difference of two shares in percentage points, with + or the minus character U+2212."""
    return f"{100 * difference:+.2f}".replace("-", "\u2212")


def rank_span_rule_weights(fusion: TunedFusion) -> list[tuple[BilingualText, float]]:
    """Return the features and weights of the learned rule, sorted by absolute weight, the largest first.

    The list is empty if no learned rule was chosen. Without an LLM, the columns of its answers are left out.
    """
    rule = {SpanRule.name: fusion.span_rule, DocumentRule.name: fusion.document_rule}.get(fusion.chosen)
    if rule is None:
        return []
    weights = sorted(rule.named_weights.items(), key=lambda item: -abs(item[1]))
    return [
        (translate_feature_name(name), weight)
        for name, weight in weights
        if fusion.has_llm or not name.startswith("LLM")
    ]


def describe_baseline_f1(fusion: TunedFusion) -> BilingualText | None:
    """Describe the F1 of each system on held-out data. Return None if there are no held-out data."""
    if not fusion.baseline_f1:
        return None
    names = get_all_system_texts(has_llm=fusion.has_llm)
    parts = (
        translate("name_and_number", names.get(name, same_in_both(name)), format_percent(f1))
        for name, f1 in fusion.baseline_f1.items()
    )
    key = "baselines" if fusion.has_llm else "baselines_alone"
    return translate(key, join_texts(parts, translate("list_separator")))


def list_curve_maxima(fusion: TunedFusion) -> list[CurveMaximum]:
    """Return the maximum of each curve, sorted by F1, the highest first. The list is empty without an LLM."""
    if not fusion.has_llm:
        return []
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
