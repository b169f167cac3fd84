"""The HTML report of a run: one page that needs nothing else, on screen, on paper and without a network.

It is in English and Chinese: see `rayner.rendering.report_messages` for what it says,
`rayner.rendering.translation.Both` for how the page holds it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner.fusion.span_rule import span_rule
from rayner.rendering.report_messages import feature, gloss, say, setting
from rayner.rendering.tagged_text import Piece, Sample, colours, pieces
from rayner.rendering.templates import environment, shown
from rayner.rendering.translation import GLOSSES, Both, attribute, filled, joined, same
from rayner.report import facts, plots
from rayner.report.methods import paragraph
from rayner.runs.storage import Place, replacing

__all__ = ["Sample", "write_report"]

_SYSTEMS = {key: say(key) for key in ("slm", "llm", "fused")}
_ALL_SYSTEMS = _SYSTEMS | {key: say(key) for key in ("fused_regions", "fused_calibrated", "fused_characters")}
_SHOWN_AT_ONCE = 10  # disagreements; the others are folded away


def write_report(
    path: Place,
    *,
    title: str,
    evaluation: dict[str, Any],
    fusion: dict[str, Any],
    run: dict[str, Any],
    samples: list[Sample],
) -> None:
    """Write the page to `path` (UTF-8). Sections without data are left out.

    evaluation: of `evaluation.evaluate_fusion`, or {} without labelled test data; with `budget` {share, f1, exact}
        (see `plots.budget_curve`), if it is to be drawn.
    fusion: {} or any of `chosen` ("regions" | "spans" | module:name), `held_out` (F1 of each), `spans`
        (`SpanRule.plain`), `rule` {weight, entropy, probability, evidence}, `basis` ("unmasked" | "allowed"),
        `curves` and `baselines` (see `plots.lambda_curve`; baselines may have "fused"),
        ...
    run: any JSON; the keys of `facts` are shown as tables, the others folded away.
    Raises ValueError where the entities of a sample overlap or leave its text.
    """
    page = _environment().get_template("report.html.j2").render(
        title=title,
        facts=facts.known(run),
        more_facts=facts.others(run),
        methods=paragraph(run, fusion, evaluation),
        **_types(evaluation, samples),
        systems=_SYSTEMS,
        all_systems=_ALL_SYSTEMS,
        evaluation=evaluation,
        cards=_cards(evaluation),
        comparisons=[_compared(pair, values) for pair, values in evaluation.get("paired", {}).items()],
        fusion=fusion,
        rule=_rule(fusion),
        weights=_weights(fusion),
        baselines=_baselines(fusion),
        best=[_best(curve) for curve in fusion.get("curves", []) if curve["f1"]],
        plots=_plots(evaluation, fusion),
        disagreements=[_disagreement(item) for item in evaluation.get("disagreements", [])],
        shown_at_once=_SHOWN_AT_ONCE,
        samples=[{"title": s.title, "pieces": pieces(s.text, s.entities), "n": len(s.entities)} for s in samples],
    )  # fmt: skip
    with replacing(path) as stream:
        stream.write(page.encode())


def _environment() -> Environment:
    made = environment(Path(__file__).parent)
    made.globals |= {"m": say, "attribute": attribute}
    made.filters |= {"percent": percent, "points": points, "gloss": gloss, "shown": shown}
    return made


def percent(share: float) -> str:
    """A share in [0, 1] in percent, two decimals, without the sign."""
    return f"{100 * share:.2f}"


def points(difference: float) -> str:
    """A difference of shares in points, always signed, with a true minus."""
    return f"{100 * difference:+.2f}".replace("-", "\u2212")


def _compared(pair: str, values: Sequence[float]) -> dict[str, Any]:
    """A paired difference in words, and its `verdict`: ahead, behind or even."""
    ours, theirs = (_ALL_SYSTEMS.get(name, same(name)) for name in pair.split("-"))
    difference, low, high = values
    if high < 0:
        ours, theirs, difference, low, high = theirs, ours, -difference, -high, -low
    verdict = "even" if low <= 0 else "behind" if values[2] < 0 else "ahead"
    between = say("interval", points(low), points(high))
    said = say("even" if verdict == "even" else "ahead", ours, theirs, points(difference), between)
    return {"verdict": verdict, "text": said.capital}


def _cards(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _rule(fusion: Mapping[str, Any]) -> Both | None:
    """The chosen rule in words, None if there is none."""
    if not fusion.get("rule"):
        return None
    rule = fusion["rule"]
    basis = fusion.get("basis", "")
    return say(
        "rule_lead",
        f"{rule['weight']:.4g}",
        setting(rule["entropy"]),
        setting(rule["probability"]),
        say(f"of_{rule['evidence']}"),
        say("under", say(basis)) if basis in ("unmasked", "allowed") else "",
    )


def _weights(fusion: Mapping[str, Any]) -> list[tuple[Both, float]]:
    """The learned rule's weights, the heaviest first; none if it was not chosen."""
    if fusion.get("chosen") != "spans":
        return []
    found = sorted(span_rule(fusion["spans"]).named.items(), key=lambda pair: -abs(pair[1]))
    return [(feature(name), weight) for name, weight in found]


def _baselines(fusion: Mapping[str, Any]) -> Both:
    """F1 on held-out data of each system that has one."""
    told = (
        filled(("{0} {1}", "{0} {1}"), _ALL_SYSTEMS.get(name, same(name)), percent(f1))
        for name, f1 in fusion.get("baselines", {}).items()
    )
    return joined(told, ", ", "，")


def _best(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Where a curve is highest, the lowest such lambda."""
    at = max(range(len(curve["f1"])), key=lambda i: (curve["f1"][i], -curve["weights"][i]))
    words = {key: setting(curve[key]) for key in ("entropy", "probability", "evidence")}
    return words | {"weight": f"{curve['weights'][at]:.4g}", "f1": curve["f1"][at]}


def _plots(evaluation: Mapping[str, Any], fusion: Mapping[str, Any]) -> dict[str, Markup]:
    """The plots for which there are numbers."""
    out = {}
    if evaluation and any(s["micro"]["gold"] or s["micro"]["predicted"] for s in evaluation["systems"].values()):
        out["types"] = plots.type_bars(evaluation["systems"])
    if fusion.get("curves") and fusion.get("rule"):
        out["curve"] = plots.lambda_curve(fusion["curves"], fusion["rule"], fusion.get("baselines", {}))
    if evaluation.get("budget"):
        out["budget"] = plots.budget_curve(**evaluation["budget"])
    for system, found in (evaluation.get("calibration") or {}).items():
        out[f"reliability_{system}"] = plots.reliability(found["bins"], system)
    return {name: Markup(svg) for name, svg in out.items()}


def _disagreement(item: Mapping[str, Any]) -> dict[str, Any]:
    """One disagreement as a line of pieces for gold and each system, and the outcome in words."""
    lines: list[tuple[str, Both, list[Piece]]] = []
    for key in ("gold", "slm", "llm", "fused"):
        entities = [{"start": start, "end": end, "type": kind} for start, end, kind in item[key]]
        lines.append((key, say(key).capital, pieces(item["text"], entities, tuple(item["region"]))))
    winner, right = _SYSTEMS.get(item["winner"]), _SYSTEMS.get(item["right"])
    if not winner:
        verdict, outcome = "moot", say("judged_singly", right or say("neither_model"))
    elif right == winner:
        verdict, outcome = "good", say("won_right", winner)
    elif right:
        verdict, outcome = "bad", say("won_wrong", winner, right)
    else:
        verdict, outcome = "moot", say("won_neither", winner)
    return {**item, "lines": lines, "verdict": verdict, "outcome": outcome}


def _types(evaluation: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    """The types that occur: those scored and those in the samples in order, all with colours and CSS classes."""
    shown = [item[key] for item in evaluation.get("disagreements", []) for key in ("gold", "slm", "llm", "fused")]
    scored = {kind for entities in shown for _, _, kind in entities} | set(evaluation.get("types", []))
    sampled = {entity["type"] for sample in samples for entity in sample.entities}
    palette = colours(sorted(scored | sampled))
    return {
        "scored_kinds": _in_order(scored),
        "sample_kinds": _in_order(sampled),
        "colours": list(palette.items()),
        "glosses": {kind: Both(*words) for kind, words in GLOSSES.items()},
        "classes": {kind: f"t{i}" for i, kind in enumerate(palette)},
    }


def _in_order(kinds: set[str]) -> list[str]:
    """Types with a gloss first, in the order of the glosses."""
    return [kind for kind in GLOSSES if kind in kinds] + sorted(kinds - set(GLOSSES))
