"""Turn matplotlib figures into inline SVG for a page.

The same numbers always give the same SVG, which contains no date and no fonts. Colours become CSS variables of the page
(with fallbacks), so that a plot follows the dark mode of the page. Text stays text in the font of the page, and
`data-zh` attributes contain the Chinese text.
"""

import html
import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from rayner.rendering.bilingual import BilingualText, bilingual_attribute
from rayner.rendering.translation import translate
from rayner.text.escaping import escape_attribute

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholder colours for drawing. In the SVG, each colour is replaced by its CSS value in _CSS_COLOURS.
INK, SOFT, RULE = "#010101", "#010102", "#010103"
SYSTEM_COLOURS = {"slm": "#010104", "llm": "#010105", "fused": "#010106"}
_CSS_COLOURS = {
    INK: "currentColor",
    SOFT: "var(--soft, #6b6760)",
    RULE: "var(--rule, #ddd8cc)",
    SYSTEM_COLOURS["slm"]: "var(--slm, #2c5f8a)",
    SYSTEM_COLOURS["llm"]: "var(--llm, #a86a12)",
    SYSTEM_COLOURS["fused"]: "var(--fused, #a8322a)",
}
_STYLE: dict[Any, Any] = {  # matplotlib types the keys as the names of its settings
    "svg.fonttype": "none",
    "text.parse_math": False,  # the name of a type may contain any character
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


class PlotTexts:
    """The texts of a plot. Matplotlib draws the English text; the Chinese text is added to the SVG."""

    def __init__(self) -> None:
        self._zh_by_en: dict[str, str] = {}

    def get_english_and_keep_chinese(self, key: str, *values: object) -> str:
        """Return a text in English, and keep the Chinese text for `add_chinese_attributes`."""
        text = translate(key, *values)
        self._zh_by_en[text.en] = text.zh
        return text.en

    def add_chinese_attributes(self, svg: str) -> str:
        """Return the SVG with the Chinese texts in `data-zh` attributes of the text elements."""

        def add_attribute(element: re.Match[str]) -> str:
            zh = self._zh_by_en.get(html.unescape(element[2]))
            return f'<text data-zh="{escape_attribute(zh)}"{element[1]}>{element[2]}</text>' if zh else element[0]

        return re.sub(r"<text([^>]*)>([^<]*)</text>", add_attribute, svg)


def use_plot_style(plot_name: str) -> Any:  # noqa: ANN401 - matplotlib does not name the type
    """Return a context in which matplotlib draws in the style of the report.

    plot_name: The name of the plot. The ids in the SVG depend on it, so they are always the same.
    """
    import matplotlib

    return matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"rayner-{plot_name}"})


def make_figure(width_inches: float, height_inches: float) -> "tuple[Figure, Axes]":
    """Return an empty figure with axes. The function does not use pyplot, which would keep the figure in memory."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    return figure, figure.add_subplot()


def figure_to_svg(figure: "Figure", id_prefix: str, aria_label: BilingualText, texts: PlotTexts) -> str:
    """Return the figure as an SVG element that fits the width of the page.

    Args:
        figure: The figure.
        id_prefix: The prefix of all ids, so that a page can contain several plots.
        aria_label: The description for screen readers.
        texts: The texts of the plot.

    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the letters, so matplotlib does not need their fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg[: svg.index(">")])
    view = f'viewBox="0 0 {width} {height}" style="max-width:{float(width) / 72 * 1.25:.2f}in"'
    head = f'<svg {view} role="img" {bilingual_attribute("aria-label", aria_label)}>'
    svg = re.sub(r"<svg.*?>", head, svg, count=1, flags=re.DOTALL)
    svg = texts.add_chinese_attributes(svg)
    svg = re.sub(r'id="([^"]+)"', rf'id="{id_prefix}-\1"', svg)
    svg = re.sub(r'(?:xlink:)?href="#', f'href="#{id_prefix}-', svg).replace("url(#", f"url(#{id_prefix}-")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans, sans-serif)", svg)
    for colour, css in _CSS_COLOURS.items():
        svg = svg.replace(colour, css)
    return svg
