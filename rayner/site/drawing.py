"""The histogram, and how the types look."""

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

DECIDERS = ("agree", "slm", "llm")
_UNDERLINES = ("solid", "double", "dotted", "dashed", "wavy")  # in print, where labels tell types apart too


def draw_histogram(counts: Mapping[str, Sequence[int]], width: int = 640, height: int = 200) -> Markup:
    """The bars of a histogram as an SVG, each of three parts: agree, slm and llm from below."""
    bins = len(counts["agree"])
    stacks = list(zip(*(counts[by] for by in DECIDERS), strict=True))
    top = max(map(sum, stacks), default=0) or 1
    step, parts = width / bins, []
    for i, stack in enumerate(stacks):
        low = float(height)
        for by, count in zip(DECIDERS, stack, strict=True):
            tall = height * count / top
            low -= tall
            if count:
                box = f'x="{i * step + 1:.1f}" y="{low:.2f}" width="{step - 2:.1f}" height="{tall:.2f}"'
                parts.append(f'<rect class="by-{by}" {box}/>')
    ticks = "".join(
        f'<text x="{width * i / 4:.0f}" y="{height + 20}" text-anchor="{anchor}">{i / 4:g}</text>'
        for i, anchor in zip(range(5), ("start", "middle", "middle", "middle", "end"), strict=True)
    )
    line = f'<path class="axis" d="M0 {height + 0.5}H{width}"/>'
    most = f'<text x="0" y="-8">{top:,}</text><path class="grid" d="M0 .5H{width}"/>'
    inside = most + "".join(parts) + line + ticks
    return Markup(
        f'<svg viewBox="-4 -24 {width + 8} {height + 52}" role="img" aria-labelledby="h-histogram">{inside}</svg>'
    )


def type_stylesheet(types: Sequence[str], palette: Mapping[str, tuple[int, int]]) -> str:
    """The style sheet of the types: colour, label and, for print, an underline of their own."""
    lines = []
    for number, kind in enumerate(types):
        hue, saturation = palette[kind]
        marks = [f".{by}{number}" for by in "aslt"]
        lines.append(f"{','.join(marks)}{{--h:{hue};--s:{saturation}%;--u:{_UNDERLINES[number % len(_UNDERLINES)]}}}")
        after = ",".join(f"{mark}::after" for mark in marks[:3])
        lines.append(f'{after}{{content:"\\2060 {_css(kind)}"}}')
    return "\n".join(lines) + "\n"


def _css(text: str) -> str:
    """Text inside a string of CSS."""
    return re.sub(
        r"[^0-9A-Za-z\u00a1-\U0010ffff]", lambda char: f"\\{ord(char.group()):x} ", text.replace("\0", "\ufffd")
    )
