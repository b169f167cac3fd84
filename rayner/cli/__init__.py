"""The `rayner` command: a module a subcommand, whose `add(commands)` says what it takes and what it calls."""

import argparse
import os
from collections.abc import Sequence

from rayner import __version__
from rayner.cli import doctor, eval, export, review, status, view
from rayner.cli.jobs import exit_code_of

COMMANDS = (eval, view, export, review, status, doctor)


def build_parser() -> argparse.ArgumentParser:
    """All that it takes."""
    parser = argparse.ArgumentParser(prog="rayner", description="Look at, score and export what the jobs made.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def parse_arguments(arguments: Sequence[str] | None, parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments. Settings may follow an option: argparse takes a list of arguments in one piece only."""
    given, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in given or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        given.overrides += rest
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Its exit code (see `rayner.cli.jobs`)."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could come next, see README
        import argcomplete

        argcomplete.autocomplete(parser)
    given = parse_arguments(arguments, parser)
    return exit_code_of(lambda: given.call(given))
