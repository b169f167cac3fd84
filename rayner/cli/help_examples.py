"""Add examples to the end of a command's help."""

from argparse import RawDescriptionHelpFormatter
from typing import Any


def parser_kwargs_with_examples(*example_commands: str) -> dict[str, Any]:
    """Return arguments for argparse's `add_parser` that make `--help` end with examples.

    example_commands: command lines without the word `rayner`.
    """
    shown = "".join(f"  rayner {line}\n" for line in example_commands)
    return {"epilog": f"examples:\n{shown}", "formatter_class": RawDescriptionHelpFormatter}
