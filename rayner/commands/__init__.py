"""The `rayner` command: a module a subcommand, whose `add(commands)` says what it takes and what it calls."""

import argparse
import sys
from collections.abc import Sequence

from rayner import __version__
from rayner.cli import guarded
from rayner.commands import doctor, evaluate, export, view

COMMANDS = (evaluate, export, view, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Its exit code (see `rayner.cli`)."""
    parser = argparse.ArgumentParser(prog="rayner", description="Look at, score and export what the jobs made.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    given, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in given or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # settings after an option: argparse takes a list of arguments in one piece only
        given.overrides += rest
    return guarded(lambda: given.call(given))


if __name__ == "__main__":
    sys.exit(main())
