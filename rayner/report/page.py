"""The HTML report of a run: one page that needs nothing else, on screen, on paper and without a network.

It is in English and Chinese: see `rayner.rendering.report_texts` for what it says,
`rayner.rendering.bilingual.BilingualText` for how the page holds it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner.fusion.span_rule import SpanRule
from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.tagged_text import TaggedSample, TextPiece, split_by_entities
from rayner.rendering.templates import load_templates
from rayner.rendering.translation import (
    translate,
    translate_feature,
    translate_setting,
    type_gloss,
    type_with_gloss,
)
from rayner.rendering.type_styles import assign_type_colours
from rayner.report import fact_tables, plots
from rayner.report.methods import compose_methods_paragraph
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.entity_types import sort_types

__all__ = ["TaggedSample", "write_report_page"]

_SYSTEMS = {key: translate(key) for key in ("slm", "llm", "fused")}
_ALL_SYSTEMS = _SYSTEMS | {key: translate(key) for key in ("fused_regions", "fused_characters")}
_OPEN_DISAGREEMENTS = 10  # the others are in a closed <details>


def write_report_page(
    path: StoragePath,
    *,
    title: str,
    evaluation: dict[str, Any],
    fusion: dict[str, Any],
    run: dict[str, Any],
    samples: list[TaggedSample],
) -> None:
    """Write the page to `path` (UTF-8). Sections without data are left out.

    evaluation: of `evaluation.evaluate_fusion`, or {} without labelled test data; with `budget` {share, f1, exact}
        (see `plots.plot_f1_by_llm_share`), if it is to be drawn.
    fusion: {} or any of `chosen` ("regions" | "spans" | module:name), `held_out_f1` (F1 of each), `span_rule`
        (`SpanRule.to_json`), `region_rule` (`RegionRule.to_json`), `softmax_over` ("all" | "allowed"),
        `curves` and `baseline_f1` (see `plots.plot_f1_by_lambda`; it may have "fused"),
        ...
    run: any JSON; the keys of `facts` are shown as tables, the others folded away.
    Raises ValueError where the entities of a sample overlap or leave its text.
    """
    page = (
        _load_templates()
        .get_template("report.html.j2")
        .render(
            title=title,
            facts=fact_tables.main_tables(run),
            more_facts=fact_tables.remaining_tables(run),
            methods=compose_methods_paragraph(run, fusion, evaluation),
            **_type_styles(evaluation, samples),
            systems=_SYSTEMS,
            all_systems=_ALL_SYSTEMS,
            evaluation=evaluation,
            cards=_score_cards(evaluation),
            comparisons=[_describe_difference(pair, values) for pair, values in evaluation.get("paired", {}).items()],
            fusion=fusion,
            rule=_describe_rule(fusion),
            weights=_span_rule_weights(fusion),
            baselines=_describe_baselines(fusion),
            best=[_highest_point(curve) for curve in fusion.get("curves", []) if curve["f1"]],
            plots=_draw_plots(evaluation, fusion),
            disagreements=[_disagreement_lines(item) for item in evaluation.get("disagreements", [])],
            open_disagreements=_OPEN_DISAGREEMENTS,
            samples=[
                {"title": s.title, "pieces": split_by_entities(s.text, s.entities), "n": len(s.entities)}
                for s in samples
            ],
        )
    )
    with atomic_writer(path) as stream:
        stream.write(page.encode())


def _load_templates() -> Environment:
    environment = load_templates(Path(__file__).parent)
    environment.globals["type_gloss"] = type_gloss
    environment.filters |= {"percent": format_percent, "with_gloss": type_with_gloss}
    return environment


def format_percent(share: float) -> str:
    """A share in [0, 1] in percent, two decimals, without the sign."""
    return f"{100 * share:.2f}"


def format_points(difference: float) -> str:
    """A difference of shares in points, always signed, with a true minus."""
    return f"{100 * difference:+.2f}".replace("-", "\u2212")


def _describe_difference(pair: str, values: Sequence[float]) -> dict[str, Any]:
    """Describe a paired difference in F1 in words. `verdict`: ahead, behind or even.

    pair: two systems as in "fused-slm"; values: the first minus the second, and its interval.
    """
    first, second = (_ALL_SYSTEMS.get(name, same_in_both(name)) for name in pair.split("-"))
    difference, low, high = values
    if high < 0:
        first, second, difference, low, high = second, first, -difference, -high, -low
    verdict = "even" if low <= 0 else "behind" if values[2] < 0 else "ahead"
    interval = translate("interval", format_points(low), format_points(high))
    key = "no_clear_difference" if verdict == "even" else "higher"
    text = translate(key, first, second, format_points(difference), interval)
    return {"verdict": verdict, "text": text.capitalized}


def _score_cards(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Micro scores of each system, with its interval placed (percent of the width) on a scale shared by all."""
    systems = [(name, label, evaluation["systems"][name]) for name, label in _SYSTEMS.items()] if evaluation else []
    edges = [edge for _, _, system in systems for edge in (*system["interval"], system["micro"]["f1"])]
    low, wide = min(edges, default=0.0), max(edges, default=1.0) - min(edges, default=0.0) or 1.0
    return [
        {
            "name": name,
            "label": label,
            **system["micro"],
            "interval": system["interval"],
            "left": round(100 * (system["interval"][0] - low) / wide, 2),
            "wide": round(100 * (system["interval"][1] - system["interval"][0]) / wide, 2),
            "at": round(100 * (system["micro"]["f1"] - low) / wide, 2),
        }
        for name, label, system in systems
    ]


def _describe_rule(fusion: Mapping[str, Any]) -> BilingualText | None:
    """The chosen rule in words, None if there is none."""
    if not fusion.get("region_rule"):
        return None
    rule = fusion["region_rule"]
    basis = fusion.get("softmax_over", "")
    return translate(
        "region_rule",
        f"{rule['weight']:.4g}",
        translate_setting(rule["entropy_reduction"]),
        translate_setting(rule["llm_reduction"]),
        translate(f"probs_of_{rule['llm_confidence']}"),
        translate("probabilities_from", translate(f"softmax_{basis}")) if basis in ("all", "allowed") else "",
    )


def _span_rule_weights(fusion: Mapping[str, Any]) -> list[tuple[BilingualText, float]]:
    """The learned rule's weights, the heaviest first; none if it was not chosen."""
    if fusion.get("chosen") != "spans":
        return []
    found = sorted(SpanRule.from_json(fusion["span_rule"]).named_weights.items(), key=lambda pair: -abs(pair[1]))
    return [(translate_feature(name), weight) for name, weight in found]


def _describe_baselines(fusion: Mapping[str, Any]) -> BilingualText:
    """F1 on held-out data of each system that has one."""
    told = (
        translate("name_and_number", _ALL_SYSTEMS.get(name, same_in_both(name)), format_percent(f1))
        for name, f1 in fusion.get("baseline_f1", {}).items()
    )
    return join_texts(told, translate("list_separator"))


def _highest_point(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Where a curve is highest, the lowest such lambda."""
    at = max(range(len(curve["f1"])), key=lambda i: (curve["f1"][i], -curve["weights"][i]))
    words = {key: translate_setting(curve[key]) for key in ("entropy_reduction", "llm_reduction", "llm_confidence")}
    return words | {"weight": f"{curve['weights'][at]:.4g}", "f1": curve["f1"][at]}


def _draw_plots(evaluation: Mapping[str, Any], fusion: Mapping[str, Any]) -> dict[str, Markup]:
    """The plots for which there are numbers."""
    out = {}
    if evaluation and any(s["micro"]["gold"] or s["micro"]["predicted"] for s in evaluation["systems"].values()):
        out["types"] = plots.plot_f1_by_type(evaluation["systems"])
    if fusion.get("curves") and fusion.get("region_rule"):
        out["curve"] = plots.plot_f1_by_lambda(fusion["curves"], fusion["region_rule"], fusion.get("baseline_f1", {}))
    if evaluation.get("budget"):
        out["budget"] = plots.plot_f1_by_llm_share(**evaluation["budget"])
    for system, found in (evaluation.get("calibration") or {}).items():
        out[f"reliability_{system}"] = plots.plot_reliability(found["bins"], system)
    return {name: Markup(svg) for name, svg in out.items()}


def _disagreement_lines(item: Mapping[str, Any]) -> dict[str, Any]:
    """One disagreement as a line of pieces for gold and each system, and the outcome in words."""
    lines: list[tuple[str, BilingualText, list[TextPiece]]] = []
    for key in ("gold", "slm", "llm", "fused"):
        entities = [{"start": start, "end": end, "type": kind} for start, end, kind in item[key]]
        lines.append(
            (key, translate(key).capitalized, split_by_entities(item["text"], entities, tuple(item["region"])))
        )
    winner, right = _SYSTEMS.get(item["winner"]), _SYSTEMS.get(item["right"])
    if not winner:
        verdict, outcome = "moot", translate("judged_by_entity", right or translate("no_model"))
    elif right == winner:
        verdict, outcome = "good", translate("won_and_correct", winner)
    elif right:
        verdict, outcome = "bad", translate("won_but_other_correct", winner, right)
    else:
        verdict, outcome = "moot", translate("won_none_correct", winner)
    return {**item, "lines": lines, "verdict": verdict, "outcome": outcome}


def _type_styles(evaluation: Mapping[str, Any], samples: Sequence[TaggedSample]) -> dict[str, Any]:
    """The types that occur: those scored and those in the samples in order, all with colours and CSS classes."""
    shown = [item[key] for item in evaluation.get("disagreements", []) for key in ("gold", "slm", "llm", "fused")]
    scored = {kind for entities in shown for _, _, kind in entities} | set(evaluation.get("types", []))
    sampled = {entity["type"] for sample in samples for entity in sample.entities}
    palette = assign_type_colours(sorted(scored | sampled))
    return {
        "scored_types": sort_types(scored),
        "sample_types": sort_types(sampled),
        "colours": list(palette.items()),
        "classes": {kind: f"t{i}" for i, kind in enumerate(palette)},
    }
