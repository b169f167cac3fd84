"""How templates are read: those of the report and those of the site alike."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def load_templates(folder: Path) -> Environment:
    """The templates of a folder: what they print is escaped, and a name that they are not given is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def format_value(value: Any) -> str:  # noqa: ANN401 - JSON
    """A single value as text: thousands set apart, floats to four significant digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "none" if value in (None, {}) else str(value)
