"""Plots as inline SVG: one string each, no file, no date, the same for the same numbers.

Colours are CSS variables of the page around them (with fallbacks), so that a plot follows its dark mode; letters
stay letters, in the page's font, and have the Chinese beside them for its script: it needs no font here.
"""

import html
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rayner.rendering.bilingual import BilingualText, bilingual_attribute
from rayner.rendering.translation import translate, translate_setting
from rayner.text.escaping import escape_attribute

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 400

# Stand-ins that matplotlib can draw with, and what the page gets in their place.
_INK, _SOFT, _RULE = "#010101", "#010102", "#010103"
_SYSTEMS = {"slm": "#010104", "llm": "#010105", "fused": "#010106"}
_EVIDENCE = {"entities": ":", "slots": "-"}
_CSS = {
    _INK: "currentColor",
    _SOFT: "var(--soft, #6b6760)",
    _RULE: "var(--rule, #ddd8cc)",
    _SYSTEMS["slm"]: "var(--slm, #2c5f8a)",
    _SYSTEMS["llm"]: "var(--llm, #a86a12)",
    _SYSTEMS["fused"]: "var(--fused, #a8322a)",
}
_STYLE: dict[Any, Any] = {  # matplotlib types the keys as the names of its settings
    "svg.fonttype": "none",
    "text.parse_math": False,  # a type may be called anything
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def plot_f1_by_lambda(
    curves: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], baselines: Mapping[str, float]
) -> str:
    """F1 on held-out data against lambda, a line for each way to reduce H and P.

    curves: [{entropy, probability, evidence, weights: [...], f1: [...]}]; chosen: the rule {weight, entropy,
    probability, evidence}; baselines: F1 of "slm" and "llm" alone. F1 in [0, 1], drawn in percent.
    """
    with _plot_style("lambda"):
        figure, axes = _canvas(7.6, 3.7)
        words = _PlotTexts()
        lines = [(curve, *_finite_sorted_points(curve)) for curve in curves]
        edges = _changing_range([(weights, f1) for _, weights, f1 in lines], float(chosen["weight"]))
        for kind, dash in _EVIDENCE.items():
            label = words.translate("other_rules", translate_setting(kind))
            others = [
                line
                for line in lines
                if line[0]["llm_confidence"] == kind and not _has_same_reductions(line[0], chosen)
            ]
            for place, (_, weights, f1) in enumerate(others):
                points = thin_points(*_clip_to_range(weights, 100 * f1, edges))
                axes.plot(*points, color=_SOFT, ls=dash, lw=0.9, alpha=0.6, label="" if place else label)
        for system in ("slm", "llm"):
            if system in baselines:
                label = words.translate("alone", translate(system))
                axes.axhline(100 * baselines[system], color=_SYSTEMS[system], lw=1.5, ls=(0, (6, 3)), label=label)
        for weights, f1 in [(weights, f1) for curve, weights, f1 in lines if _has_same_reductions(curve, chosen)]:
            axes.plot(*thin_points(*_clip_to_range(weights, 100 * f1, edges)), color=_SYSTEMS["fused"], lw=1.9)
            at = int(np.abs(weights - chosen["weight"]).argmin())
            label = words.translate("chosen_rule", f"{chosen['weight']:.4g}")
            axes.plot(weights[at], 100 * f1[at], "-o", ms=7, lw=1.9, color=_SYSTEMS["fused"], zorder=5, label=label)
        axes.set_xlim(*edges)
        axes.margins(y=0.1)
        axes.set(xlabel=words.translate("lambda_axis"), ylabel=words.translate("micro_axis"))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
        return _figure_to_svg(figure, "lambda", translate("lambda_plot"), words)


def plot_f1_by_llm_share(share: Sequence[float], f1: Sequence[float], exact: Mapping[str, float]) -> str:
    """F1 of the fused output against the share of sentences that the LLM is asked about.

    share, f1: points in [0, 1]; exact: {share, f1} of the exact gate, beyond which nothing changes.
    """
    with _plot_style("budget"):
        figure, axes = _canvas(7.6, 3.2)
        words = _PlotTexts()
        points = thin_points(100 * np.asarray(share, dtype=float), 100 * np.asarray(f1, dtype=float))
        axes.plot(*points, color=_SYSTEMS["fused"], lw=1.9, label=words.translate("fused"))
        alone = words.translate("alone", translate("slm"))
        axes.axhline(100 * f1[0], color=_SYSTEMS["slm"], lw=1.5, ls=(0, (6, 3)), label=alone)
        label = words.translate("exact_gate", f"{100 * exact['share']:.3g}")
        axes.plot(100 * exact["share"], 100 * exact["f1"], "o", ms=7, color=_SYSTEMS["fused"], zorder=5, label=label)
        axes.margins(y=0.1)
        axes.set(xlim=(-2, 102), xlabel=words.translate("asked_axis"), ylabel=words.translate("micro_axis"))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
        return _figure_to_svg(figure, "budget", translate("budget_plot"), words)


def plot_reliability(bins: Sequence[Mapping[str, float]], system: str = "fused") -> str:
    """Calibration: the share of entities that were right against the score that they had been given.

    bins: [{low, high: edges; mean: mean score; right: share that was right; n: entities}]; all but n in [0, 1].
    system: "slm", "llm" or "fused".
    """
    with _plot_style(f"reliability-{system}"):
        figure, axes = _canvas(3.8, 3.5)
        words = _PlotTexts()
        full = [b for b in bins if b["n"]]
        axes.plot([0, 1], [0, 1], color=_SOFT, lw=1, ls=":", label=words.translate("ideal"))
        axes.plot([b["mean"] for b in full], [b["right"] for b in full], color=_SYSTEMS[system], lw=1.2)
        most = max((b["n"] for b in full), default=1)
        axes.scatter(
            [b["mean"] for b in full], [b["right"] for b in full], s=[16 + 130 * b["n"] / most for b in full],
            color=_SYSTEMS[system], label=words.translate("entities_size"), zorder=4,
        )  # fmt: skip
        axes.set(
            xlim=(-0.03, 1.05),
            ylim=(-0.03, 1.05),
            xlabel=words.translate("score_axis"),
            ylabel=words.translate("correct_axis"),
        )
        axes.legend(loc="upper left", fontsize=8, markerscale=0.6)
        return _figure_to_svg(figure, f"reliability-{system}", translate("reliability_plot", translate(system)), words)


def plot_f1_by_type(systems: Mapping[str, Mapping[str, Any]]) -> str:
    """F1 of each type with its interval, a bar for each of "slm", "llm" and "fused" that is there.

    systems: as in the `systems` of `evaluation.evaluate_fusion`; types that do not occur are left out.
    """
    shown = [name for name in _SYSTEMS if name in systems]
    kinds = list(dict.fromkeys(k for n in shown for k, row in systems[n]["per_type"].items() if _occurs(row)))
    with _plot_style("types"):
        figure, axes = _canvas(max(3.6, 1.6 + 0.85 * len(kinds)), 3.2)
        words = _PlotTexts()
        width = 0.8 / max(1, len(shown))
        for place, name in enumerate(shown):
            rows = [systems[name]["per_type"][kind] for kind in kinds]
            f1 = np.array([100 * row["f1"] for row in rows])
            edges = np.array([row["interval"] for row in rows]).reshape(-1, 2).T * 100
            x = np.arange(len(kinds)) + (place - (len(shown) - 1) / 2) * width
            axes.bar(x, f1, width * 0.88, color=_SYSTEMS[name], label=words.translate(name))
            reach = np.abs(edges - f1)
            axes.errorbar(x, f1, yerr=reach, fmt="none", ecolor=_INK, elinewidth=0.8, capsize=2, alpha=0.7)
        axes.grid(visible=False, axis="x")
        axes.set_xticks(range(len(kinds)), kinds)
        axes.set(ylim=(0, 104), ylabel="F1, %")
        if shown:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
        return _figure_to_svg(figure, "types", translate("types_plot"), words)


def thin_points(
    x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], max_points: int = MAX_POINTS
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """At most `limit` of the points, in order: the ends, and the lowest and highest of each stretch between.

    The outline stays, and no maximum is lost. limit: at least 4.
    """
    if len(x) <= max_points:
        return x, y
    kept = {0, len(x) - 1}
    for part in np.array_split(np.arange(1, len(x) - 1), (max_points - 2) // 2):
        kept |= {int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    order = sorted(kept)
    return x[order], y[order]


def _finite_sorted_points(curve: Mapping[str, Any]) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    weights, f1 = np.asarray(curve["weights"], dtype=float), np.asarray(curve["f1"], dtype=float)
    keep = np.isfinite(weights) & np.isfinite(f1)
    order = np.argsort(weights[keep], kind="stable")
    return weights[keep][order], f1[keep][order]


def _has_same_reductions(curve: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    return all(curve[key] == chosen[key] for key in ("entropy_reduction", "llm_reduction", "llm_confidence")) and bool(
        curve["weights"]
    )


def _occurs(row: Mapping[str, Any]) -> bool:
    return bool(row["gold"] or row["predicted"])


def _changing_range(
    lines: Sequence[tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]], chosen: float
) -> tuple[float, float]:
    """The range of lambda in which any curve still changes, and the chosen one; beyond it every line is flat."""
    edges = [chosen]
    for weights, f1 in lines:
        moving = np.flatnonzero(np.diff(f1))
        edges += [float(weights[i]) for i in (*moving[:1], *(moving[-1:] + 1))]
    pad = 0.04 * (max(edges) - min(edges)) or 0.1
    return min(edges) - pad, max(edges) + pad


def _clip_to_range(
    weights: npt.NDArray[np.floating], f1: npt.NDArray[np.floating], edges: tuple[float, float]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """The points between the edges and the next one on either side, so that lines reach them."""
    first, last = np.searchsorted(weights, edges[0]), np.searchsorted(weights, edges[1])
    part = slice(max(0, int(first) - 1), int(last) + 1)
    return weights[part], f1[part]


def _plot_style(name: str) -> Any:  # noqa: ANN401 - matplotlib does not name the type
    import matplotlib

    return matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"rayner-{name}"})


def _canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty figure (inches) outside of pyplot, which would keep it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


class _PlotTexts(dict[str, str]):
    """What was written into a figure, in English, with the Chinese for it."""

    def translate(self, key: str, *given: object) -> str:
        """A message in English; it is kept."""
        said = translate(key, *given)
        self[said.en] = said.zh
        return said.en

    def beside(self, element: re.Match[str]) -> str:
        """A text element of SVG with its Chinese beside it, where it has one."""
        zh = self.get(html.unescape(element[2]))
        return f'<text data-zh="{escape_attribute(zh)}"{element[1]}>{element[2]}</text>' if zh else element[0]


def _figure_to_svg(figure: "Figure", name: str, label: BilingualText, words: _PlotTexts) -> str:
    """The figure as an element to put into a page: ids made unique by `name`, no prologue, no fixed size."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Letters stay letters: it is the browser's fonts that must have them, not matplotlib's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL
    )
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', text[: text.index(">")])
    view = f'viewBox="0 0 {width} {height}" style="max-width:{float(width) / 72 * 1.25:.2f}in"'
    head = f'<svg {view} role="img" {bilingual_attribute("aria-label", label)}>'
    text = re.sub(r"<svg.*?>", head, text, count=1, flags=re.DOTALL)
    text = re.sub(r"<text([^>]*)>([^<]*)</text>", words.beside, text)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans, sans-serif)", text)
    for colour, css in _CSS.items():
        text = text.replace(colour, css)
    return text
