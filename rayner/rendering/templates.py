"""Load the HTML templates of the report and of the site, and format values for them."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rayner.rendering.bilingual import bilingual_attribute
from rayner.rendering.translation import translate

SHARED_FOLDER = Path(__file__).parent  # holds language.js


def load_templates(folder: Path) -> Environment:
    """Return the templates of a folder.

    They escape what they print, and an undefined name is an error. All have `translate`, `bilingual_attribute` and the
    filter `format_value`, and can include the files of this room.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED_FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"translate": translate, "bilingual_attribute": bilingual_attribute}
    environment.filters |= {"format_value": format_value}
    return environment


def format_value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Format a single value: thousands separators, floats with four significant digits, `yes`, `no` and `none`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "none" if value in (None, {}) else str(value)
