"""The `rayner` command, and the code that runs the scripts of `jobs/`.

Each subcommand is a module. Its `add_parser` declares the arguments, and its `run` executes the command.
`jobs.run_job` runs a script of `jobs/`. This package may import every other package, but it imports Ray and torch only
after settings and arguments are read.
"""

import argparse
import os
from collections.abc import Sequence

from rayner import __version__
from rayner.cli import doctor, eval, export, fetch, pretrain, review, status, verify, view
from rayner.cli.jobs import call_and_return_exit_code, refuse_credentials_in_arguments

COMMANDS = (eval, view, export, review, verify, status, doctor, fetch, pretrain)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command with all subcommands."""
    parser = argparse.ArgumentParser(
        prog="rayner",
        description="View, score, review, export and verify tagged corpora; watch jobs; get and pretrain models.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def parse_arguments(arguments: Sequence[str] | None, parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the arguments.

    Settings (KEY=VALUE) may also follow an option. argparse alone would refuse them there.
    """
    args, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in args or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.overrides += rest
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (see `rayner.cli.jobs`)."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions, see README
        import argcomplete

        argcomplete.autocomplete(parser)

    def parse_and_call() -> None:
        refuse_credentials_in_arguments(arguments)
        args = parse_arguments(arguments, parser)
        args.call(args)

    return call_and_return_exit_code(parse_and_call)
