"""The HTML report of a run: one page that needs nothing else, on screen, on paper and without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rayner.ner.span_rule import span_rule
from rayner.report import facts, plots
from rayner.report.methods import paragraph
from rayner.report.tagged import GLOSSES, Piece, Sample, colours, gloss, pieces
from rayner.storage import Place, replacing

__all__ = ["Sample", "write_report"]

_SYSTEMS = {"slm": "SLM", "llm": "LLM", "fused": "fused"}
_ALL_SYSTEMS = {
    **_SYSTEMS,
    "fused_regions": "fused by regions",
    "fused_calibrated": "fused by calibrated confidence",
    "fused_characters": "per-character fusion",
}
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
    fusion: {} or any of `chosen` ("regions" | "spans"), `held_out` (F1 of each), `spans` (`SpanRule.plain`),
        `rule` {weight, entropy, probability, evidence}, `basis` ("unmasked" | "allowed"), `curves` and
        `baselines` (see `plots.lambda_curve`; baselines may have "fused"),
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
        best=[_best(curve) for curve in fusion.get("curves", []) if curve["f1"]],
        plots=_plots(evaluation, fusion),
        disagreements=[_disagreement(item) for item in evaluation.get("disagreements", [])],
        shown_at_once=_SHOWN_AT_ONCE,
        samples=[{"title": s.title, "pieces": pieces(s.text, s.entities), "n": len(s.entities)} for s in samples],
    )  # fmt: skip
    with replacing(path) as stream:
        stream.write(page.encode())


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "gloss": gloss, "shown": facts.shown}
    return environment


def percent(share: float) -> str:
    """A share in [0, 1] in percent, two decimals, without the sign."""
    return f"{100 * share:.2f}"


def points(difference: float) -> str:
    """A difference of shares in points, always signed, with a true minus."""
    return f"{100 * difference:+.2f}".replace("-", "\u2212")


def _compared(pair: str, values: Sequence[float]) -> dict[str, str]:
    """A paired difference in words, and its `verdict`: ahead, behind or even."""
    ours, theirs = (_ALL_SYSTEMS.get(name, name) for name in pair.split("-"))
    difference, low, high = values
    between = f"95% interval {points(low)} to {points(high)}"
    if low > 0:
        return {"verdict": "ahead", "text": f"{ours} beats {theirs} by {points(difference)} points, {between}"}
    if high < 0:
        return {"verdict": "behind", "text": f"{theirs} beats {ours} by {points(-difference)} points, "
                f"95% interval {points(-high)} to {points(-low)}"}  # fmt: skip
    text = f"no difference beyond chance between {ours} and {theirs}: {points(difference)} points, {between}"
    return {"verdict": "even", "text": text}


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


def _rule(fusion: Mapping[str, Any]) -> dict[str, str]:
    """The chosen rule in words, {} if there is none."""
    if not fusion.get("rule"):
        return {}
    rule = fusion["rule"]
    evidence = {
        "entities": "the LLM's entities there, and its decision to copy on where it put none",
        "decisions": "every decision that the LLM took there",
    }
    basis = {
        "unmasked": "the softmax over the whole vocabulary",
        "allowed": "the softmax over the choices that the markup allows",
    }
    return {
        "weight": f"{rule['weight']:.4g}",
        "entropy": {"mean": "mean", "max": "maximum"}.get(rule["entropy"], rule["entropy"]),
        "probability": {"min": "minimum"}.get(rule["probability"], rule["probability"]),
        "evidence": evidence.get(rule["evidence"], rule["evidence"]),
        "basis": basis.get(fusion.get("basis", ""), ""),
    }


def _weights(fusion: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The learned rule's weights, the heaviest first; none if it was not chosen."""
    if fusion.get("chosen") != "spans":
        return []
    return sorted(span_rule(fusion["spans"]).named.items(), key=lambda pair: -abs(pair[1]))


def _best(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Where a curve is highest, the lowest such lambda."""
    at = max(range(len(curve["f1"])), key=lambda i: (curve["f1"][i], -curve["weights"][i]))
    return {**{key: curve[key] for key in ("entropy", "probability", "evidence")},
            "weight": f"{curve['weights'][at]:.4g}", "f1": curve["f1"][at]}  # fmt: skip


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
    names = {"gold": "Gold", "slm": "SLM", "llm": "LLM", "fused": "Fused"}
    lines: list[tuple[str, str, list[Piece]]] = []
    for key, name in names.items():
        entities = [{"start": start, "end": end, "type": kind} for start, end, kind in item[key]]
        lines.append((key, name, pieces(item["text"], entities, tuple(item["region"]))))
    winner = _SYSTEMS.get(item["winner"], "")
    if not winner:
        right = _SYSTEMS.get(item["right"], "neither")
        verdict, outcome = "moot", f"each entity was judged by itself; of the two models {right} was right"
    elif item["right"] == item["winner"]:
        verdict, outcome = "good", f"{winner} won and was right"
    elif item["right"] in _SYSTEMS:
        verdict, outcome = "bad", f"{winner} won, {_SYSTEMS[item['right']]} was right"
    else:
        verdict, outcome = "moot", f"{winner} won, neither was right"
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
        "glosses": GLOSSES,
        "classes": {kind: f"t{i}" for i, kind in enumerate(palette)},
    }


def _in_order(kinds: set[str]) -> list[str]:
    """Types with a gloss first, in the order of the glosses."""
    return [kind for kind in GLOSSES if kind in kinds] + sorted(kinds - set(GLOSSES))
