"""Examples at the end of a command's help."""

from argparse import RawDescriptionHelpFormatter
from typing import Any


def examples_help(*lines: str) -> dict[str, Any]:
    """Return arguments for argparse's `add_parser`, so that `--help` ends with these command lines."""
    shown = "".join(f"  rayner {line}\n" for line in lines)
    return {"epilog": f"examples:\n{shown}", "formatter_class": RawDescriptionHelpFormatter}
