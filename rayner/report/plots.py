"""Draw the plots of the report as SVG elements (`svg_figures`). Shares and F1 are in [0, 1]."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.evaluation.artifact import LlmShareCurve, SystemScores
from rayner.evaluation.calibration_records import ReliabilityBin
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.translation import translate, translate_setting
from rayner.report.svg_figures import INK, SOFT, SYSTEM_COLOURS, PlotTexts, figure_to_svg, make_figure, use_plot_style

MAX_POINTS = 400  # in a line
_LINE_STYLES = {"entities": ":", "slots": "-"}  # by `llm_confidence`
_Floats = npt.NDArray[np.floating]
_Line = tuple[_Floats, _Floats]  # lambda, F1


def plot_f1_by_lambda(curves: Sequence[WeightCurve], chosen_rule: RegionRule, baseline_f1: Mapping[str, float]) -> str:
    """Plot F1 on held-out data against lambda, one line for each curve.

    chosen_rule: The best rule by conflict regions. The curve with its settings is emphasised.
    baseline_f1: The F1 of `slm` and `llm` alone, drawn as horizontal lines.
    """
    with use_plot_style("lambda"):
        figure, axes = make_figure(7.6, 3.7)
        texts = PlotTexts()
        lines = [(curve, _sort_finite_points(curve)) for curve in curves]
        bounds = _find_changing_weight_range([line for _, line in lines], chosen_rule.weight)
        for llm_confidence, line_style in _LINE_STYLES.items():
            label = texts.get_english_and_keep_chinese("other_rules", translate_setting(llm_confidence))
            others = [
                line
                for curve, line in lines
                if curve.llm_confidence == llm_confidence and not _has_same_settings(curve, chosen_rule)
            ]
            for i, (weights, f1) in enumerate(others):
                points = thin_keeping_extremes(*_clip_to_range_with_neighbours(weights, 100 * f1, bounds))
                axes.plot(*points, color=SOFT, ls=line_style, lw=0.9, alpha=0.6, label="" if i else label)
        for name in ("slm", "llm"):
            if name in baseline_f1:
                label = texts.get_english_and_keep_chinese("alone", translate(name))
                axes.axhline(100 * baseline_f1[name], color=SYSTEM_COLOURS[name], lw=1.5, ls=(0, (6, 3)), label=label)
        for weights, f1 in [line for curve, line in lines if curve.weights and _has_same_settings(curve, chosen_rule)]:
            colour = SYSTEM_COLOURS["fused"]
            axes.plot(
                *thin_keeping_extremes(*_clip_to_range_with_neighbours(weights, 100 * f1, bounds)), color=colour, lw=1.9
            )
            i = int(np.abs(weights - chosen_rule.weight).argmin())
            label = texts.get_english_and_keep_chinese("chosen_rule", f"{chosen_rule.weight:.4g}")
            axes.plot(weights[i], 100 * f1[i], "-o", ms=7, lw=1.9, color=colour, zorder=5, label=label)
        axes.set_xlim(*bounds)
        axes.margins(y=0.1)
        axes.set(
            xlabel=texts.get_english_and_keep_chinese("lambda_axis"),
            ylabel=texts.get_english_and_keep_chinese("micro_axis"),
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
        return figure_to_svg(figure, "lambda", translate("lambda_plot"), texts)


def plot_f1_by_llm_share(curve: LlmShareCurve) -> str:
    """Plot the F1 of the fused output against the share of the sentences about which the LLM is asked."""
    with use_plot_style("budget"):
        figure, axes = make_figure(7.6, 3.2)
        texts = PlotTexts()
        colour = SYSTEM_COLOURS["fused"]
        points = thin_keeping_extremes(
            100 * np.asarray(curve.share, dtype=float), 100 * np.asarray(curve.f1, dtype=float)
        )
        axes.plot(*points, color=colour, lw=1.9, label=texts.get_english_and_keep_chinese("fused"))
        label = texts.get_english_and_keep_chinese("alone", translate("slm"))
        axes.axhline(100 * curve.f1[0], color=SYSTEM_COLOURS["slm"], lw=1.5, ls=(0, (6, 3)), label=label)
        label = texts.get_english_and_keep_chinese("exact_gate", f"{100 * curve.exact.share:.3g}")
        axes.plot(100 * curve.exact.share, 100 * curve.exact.f1, "o", ms=7, color=colour, zorder=5, label=label)
        axes.margins(y=0.1)
        axes.set(
            xlim=(-2, 102),
            xlabel=texts.get_english_and_keep_chinese("asked_axis"),
            ylabel=texts.get_english_and_keep_chinese("micro_axis"),
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
        return figure_to_svg(figure, "budget", translate("budget_plot"), texts)


def plot_reliability(bins: Sequence[ReliabilityBin], system: str = "fused", name: BilingualText | None = None) -> str:
    """Plot the share of correct entities in each bin against the mean score in the bin.

    system: slm, llm or fused.
    name: what the system is called; by default its own name.
    """
    with use_plot_style(f"reliability-{system}"):
        figure, axes = make_figure(3.8, 3.5)
        texts = PlotTexts()
        filled = [b for b in bins if b.n]
        scores, correct = [b.mean for b in filled], [b.right for b in filled]
        largest = max((b.n for b in filled), default=1)
        axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":", label=texts.get_english_and_keep_chinese("ideal"))
        axes.plot(scores, correct, color=SYSTEM_COLOURS[system], lw=1.2)
        axes.scatter(
            scores, correct, s=[16 + 130 * b.n / largest for b in filled], color=SYSTEM_COLOURS[system],
            label=texts.get_english_and_keep_chinese("entities_size"), zorder=4,
        )  # fmt: skip
        axes.set(
            xlim=(-0.03, 1.05),
            ylim=(-0.03, 1.05),
            xlabel=texts.get_english_and_keep_chinese("score_axis"),
            ylabel=texts.get_english_and_keep_chinese("correct_axis"),
        )
        axes.legend(loc="upper left", fontsize=8, markerscale=0.6)
        label = translate("reliability_plot", name or translate(system))
        return figure_to_svg(figure, f"reliability-{system}", label, texts)


def plot_f1_by_type(systems: Mapping[str, SystemScores], fused_key: str = "fused") -> str:
    """Plot the F1 of each type with its interval, with a bar for each of `slm`, `llm` and `fused`.

    A type is left out if it has neither gold nor predicted entities.

    fused_key: the key of the text that names `fused`.
    """
    names = [name for name in SYSTEM_COLOURS if name in systems]
    types = list(
        dict.fromkeys(
            type_name
            for name in names
            for type_name, score in systems[name].per_type.items()
            if score.gold or score.predicted
        )
    )
    with use_plot_style("types"):
        figure, axes = make_figure(max(3.6, 1.6 + 0.85 * len(types)), 3.2)
        texts = PlotTexts()
        width = 0.8 / max(1, len(names))
        for i, name in enumerate(names):
            scores = [systems[name].per_type[type_name] for type_name in types]
            f1 = np.array([100 * score.f1 for score in scores])
            bounds = np.array([score.interval for score in scores]).reshape(-1, 2).T * 100
            x = np.arange(len(types)) + (i - (len(names) - 1) / 2) * width
            label = texts.get_english_and_keep_chinese(fused_key if name == "fused" else name)
            axes.bar(x, f1, width * 0.88, color=SYSTEM_COLOURS[name], label=label)
            errors = np.abs(bounds - f1)
            axes.errorbar(x, f1, yerr=errors, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2, alpha=0.7)
        axes.grid(visible=False, axis="x")
        axes.set_xticks(range(len(types)), types)
        axes.set(ylim=(0, 104), ylabel="F1, %")
        if names:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
        return figure_to_svg(figure, "types", translate("types_plot"), texts)


def thin_keeping_extremes(x: _Floats, y: _Floats, max_points: int = MAX_POINTS) -> tuple[_Floats, _Floats]:
    """Return at most `max_points` of the points, in order, so that a line keeps its outline and its maximum.

    The first and the last point are kept. The points between them are divided into stretches, and the lowest and the
    highest point of each stretch are kept. `max_points` must be at least 4.
    """
    if len(x) <= max_points:
        return x, y
    kept = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(1, len(x) - 1), (max_points - 2) // 2):
        kept |= {int(stretch[y[stretch].argmin()]), int(stretch[y[stretch].argmax()])}
    indices = sorted(kept)
    return x[indices], y[indices]


def _sort_finite_points(curve: WeightCurve) -> _Line:
    weights, f1 = np.asarray(curve.weights, dtype=float), np.asarray(curve.f1, dtype=float)
    finite = np.isfinite(weights) & np.isfinite(f1)
    order = np.argsort(weights[finite], kind="stable")
    return weights[finite][order], f1[finite][order]


def _has_same_settings(curve: WeightCurve, rule: RegionRule) -> bool:
    return (curve.entropy_reduction, curve.llm_reduction, curve.llm_confidence) == (
        rule.entropy_reduction,
        rule.llm_reduction,
        rule.llm_confidence,
    )


def _find_changing_weight_range(lines: Sequence[_Line], chosen_weight: float) -> tuple[float, float]:
    """Return the range of lambda in which any line changes. It includes the chosen lambda and a margin."""
    bounds = [chosen_weight]
    for weights, f1 in lines:
        changes = np.flatnonzero(np.diff(f1))
        bounds += [float(weights[i]) for i in (*changes[:1], *(changes[-1:] + 1))]
    margin = 0.04 * (max(bounds) - min(bounds)) or 0.1
    return min(bounds) - margin, max(bounds) + margin


def _clip_to_range_with_neighbours(weights: _Floats, f1: _Floats, bounds: tuple[float, float]) -> _Line:
    """Return the points inside the bounds and the next point on either side, so that the line reaches the bounds."""
    first, last = np.searchsorted(weights, bounds[0]), np.searchsorted(weights, bounds[1])
    part = slice(max(0, int(first) - 1), int(last) + 1)
    return weights[part], f1[part]
