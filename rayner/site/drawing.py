"""Draw the histogram of confidence, and write the style sheet of the entity types."""

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

DECIDERS = ("agree", "slm", "llm", "person")
_UNDERLINES = ("solid", "double", "dotted", "dashed", "wavy")  # used in print, where types also have labels


def list_shown_deciders(n_by_person: int, *, asks_llm: bool) -> tuple[str, ...]:
    """Return the values of `decided_by` that pages tell apart. If there is only one, pages do not speak of it.

    n_by_person: The number of entities that a person decided.
    asks_llm: Whether the LLM was asked about the corpus.
    """
    return (*(("agree", "slm", "llm") if asks_llm else ("slm",)), *(("person",) if n_by_person else ()))


def draw_stacked_histogram(
    bin_counts_by_decider: Mapping[str, Sequence[int]], width: int = 640, height: int = 200
) -> Markup:
    """Return a histogram of scores as SVG. Each bar is a stack, in the order of DECIDERS from the bottom.

    bin_counts_by_decider: For each of DECIDERS, the number of entities in each bin. The bins divide [0, 1] equally.
    """
    stacks = list(zip(*(bin_counts_by_decider[decider] for decider in DECIDERS), strict=True))
    largest = max(map(sum, stacks), default=0) or 1
    bar_width, bars = width / len(bin_counts_by_decider["agree"]), []
    for i, stack in enumerate(stacks):
        y = float(height)
        for decider, count in zip(DECIDERS, stack, strict=True):
            bar_height = height * count / largest
            y -= bar_height
            if count:
                box = f'x="{i * bar_width + 1:.1f}" y="{y:.2f}" width="{bar_width - 2:.1f}" height="{bar_height:.2f}"'
                bars.append(f'<rect class="by-{decider}" {box}/>')
    ticks = "".join(
        f'<text x="{width * i / 4:.0f}" y="{height + 20}" text-anchor="{anchor}">{i / 4:g}</text>'
        for i, anchor in zip(range(5), ("start", "middle", "middle", "middle", "end"), strict=True)
    )
    x_axis = f'<path class="axis" d="M0 {height + 0.5}H{width}"/>'
    top_line = f'<text x="0" y="-8">{largest:,}</text><path class="grid" d="M0 .5H{width}"/>'
    content = top_line + "".join(bars) + x_axis + ticks
    return Markup(
        f'<svg viewBox="-4 -24 {width + 8} {height + 52}" role="img" aria-labelledby="h-histogram">{content}</svg>'
    )


def build_type_stylesheet(types: Sequence[str], palette: Mapping[str, tuple[int, int]]) -> str:
    """Return the CSS of the types: a colour, a label and, for print, an underline.

    types: The names of the types in the order of their numbers, as in `TypeNumbers.names`.
    palette: For each type, the hue (degrees) and the saturation (%).
    """
    rules = []
    for number, name in enumerate(types):
        hue, saturation = palette[name]
        selectors = [f".{letter}{number}" for letter in "aslpt"]  # a, s, l, p: entities, by decider; t: all else
        underline = _UNDERLINES[number % len(_UNDERLINES)]
        rules.append(f"{','.join(selectors)}{{--h:{hue};--s:{saturation}%;--u:{underline}}}")
        labels = ",".join(f"{selector}::after" for selector in selectors[:4])
        rules.append(f'{labels}{{content:"\\2060 {_escape_css_string(name)}"}}')
    return "\n".join(rules) + "\n"


def _escape_css_string(text: str) -> str:
    """Escape a text for a CSS string. U+0000 becomes U+FFFD, because CSS does not allow U+0000."""
    return re.sub(
        r"[^0-9A-Za-z\u00a1-\U0010ffff]", lambda char: f"\\{ord(char.group()):x} ", text.replace("\0", "\ufffd")
    )
