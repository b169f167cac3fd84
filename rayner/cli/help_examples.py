"""Examples in the help of a command."""

from argparse import RawDescriptionHelpFormatter
from typing import Any


def examples_help(*lines: str) -> dict[str, Any]:
    """What `add_parser` takes so that `--help` ends with these command lines, as they are."""
    shown = "".join(f"  rayner {line}\n" for line in lines)
    return {"epilog": f"examples:\n{shown}", "formatter_class": RawDescriptionHelpFormatter}
