"""Load the HTML templates of the report and of the site, and format values for them."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rayner.rendering.bilingual import bilingual_attribute
from rayner.rendering.translation import translate

SHARED_FOLDER = Path(__file__).parent  # contains language.js


def load_templates(folder: Path) -> Environment:
    """Return an environment that loads the templates of a folder.

    Values are escaped, and an undefined name is an error. All templates can use `translate`, `bilingual_attribute` and
    the filter `format_value`, and can include the files of this package.
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


def format_percent(share: float) -> str:
    """Format a share in [0, 1] in percent, with two decimals and without the % sign."""
    return f"{100 * share:.2f}"


def format_value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Format a single value as text.

    Integers get thousands separators. Floats of 1,000 or more also get thousands separators, with one decimal. Other
    floats get four significant digits. Booleans become `yes` or `no`. None and {} become `none`.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "none" if value in (None, {}) else str(value)
