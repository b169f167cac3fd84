"""Show a document on a terminal, with or without colours."""

import colorsys
import re

from rayner.rendering.type_styles import assign_type_colours
from rayner.tagging.documents import Document
from rayner.text.messages import escape_control_characters

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_CUBE_STEPS, _CUBE_START = 5, 16  # of the 216 colours among the 256 that terminals have


def format_for_terminal(document: Document, *, has_colours: bool) -> str:
    """Return the text with its entities marked, for a terminal. Control characters are written as escapes.

    has_colours: whether the terminal has colours. If not, entities are in brackets, as in `str(document)`.
    """
    if not has_colours:
        return _escape(str(document))
    colours = assign_type_colours(sorted({entity.type for entity in document.entities}))
    parts, last_end = [], 0
    for entity in document.entities:
        colour = _select_colour(*colours[entity.type])
        name, type_name = _escape(entity.text), _escape(entity.type)
        parts.append(_escape(document.text[last_end : entity.start]))
        parts.append(f"{colour}{_BOLD}{name}{_RESET}{colour}{_DIM}{type_name}{_RESET}")
        last_end = entity.end
    return "".join([*parts, _escape(document.text[last_end:])])


def _select_colour(hue: int, saturation: int) -> str:
    """Return the escape sequence of the terminal colour nearest to a hue (degrees) and a saturation (%)."""
    rgb = colorsys.hls_to_rgb(hue / 360, 0.5, saturation / 100)
    red, green, blue = (round(value * _CUBE_STEPS) for value in rgb)
    return f"\x1b[38;5;{_CUBE_START + 36 * red + 6 * green + blue}m"


def _escape(text: str) -> str:
    """Write the characters that a terminal could obey as escapes, except line breaks and tabs."""
    return "".join(part if part in "\n\t" else escape_control_characters(part) for part in re.split("([\n\t])", text))
