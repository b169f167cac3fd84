"""The `rayner` command, and the code that runs the scripts of `jobs/`.

Each subcommand is a module, but those that are jobs share `jobs.commands`. A module's `add_parser` declares the
arguments, and its `run` executes the command. Only the module of the subcommand that is called is imported. This
package may import every other package, but it imports Ray and torch only after settings and arguments are read.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from rayner import __version__
from rayner.cli.exit_codes import call_and_return_exit_code, refuse_credentials_in_arguments
from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

COMMANDS = {
    "run": "train both models, fit the rule, tag the corpus",
    "tag": "tag a corpus, a file or a text with a trained run",
    "view": "make a site of a tagged corpus, to view in a browser",
    "export": "write a tagged corpus in another format",
    "eval": "score a labelled file or a tagged corpus against a gold file",
    "review": "have the most uncertain sentences corrected, to train on them",
    "verify": "check every digest, text, entity and count of a tagged corpus",
    "status": "print how far a job is",
    "doctor": "check every node of the cluster before a long run",
    "fetch": "download a checkpoint, convert it to safetensors",
    "pretrain": "pretrain an encoder on unlabelled text, for the small model",
    "train-slm": "one step of run: train the small model",
    "build-index": "one step of run: index the training sentences",
    "train-llm": "one step of run: fine-tune the LLM",
    "score": "one step of run: predict held-out sentences",
    "tune-fusion": "one step of run: fit the fusion rule",
    "reproduce": "run the published experiment on labelled sets",
    "bench": "measure the speed of a run's models against other software",
}
_EXAMPLES = """examples:
  rayner run demo
  rayner run laptop run=runs/mine train=labelled.txt corpus=my_corpus
  rayner tag runs/mine --text 楚使怒去，歸告懷王。
"""
_JOBS = ("run", "train-slm", "build-index", "train-llm", "score", "tune-fusion", "reproduce", "bench")


def build_parser(arguments: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Build the parser of the command.

    arguments: the command line. Only the subcommand that it names gets arguments, so that no other module is imported.
        With None, all subcommands get theirs.
    """
    parser = argparse.ArgumentParser(
        prog="rayner",
        description="Find named entities in historical Chinese: train on your labels, tag a corpus, view it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    called = None if arguments is None else next((word for word in arguments if not word.startswith("-")), "")
    for name, help_line in COMMANDS.items():
        if called in (None, name):
            _add_command(_Subcommands(commands, help_line), name)
        else:
            commands.add_parser(name, help=help_line)
    return parser


class _Subcommands:
    """Adds the parser of a subcommand with its line in the list of subcommands."""

    def __init__(self, commands: Any, help_line: str) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
        self._commands, self._help_line = commands, help_line

    def add_parser(self, name: str, **kwargs: Any) -> Any:  # noqa: ANN401 - as in argparse
        return self._commands.add_parser(name, **{**kwargs, "help": self._help_line})


def _add_command(commands: _Subcommands, name: str) -> None:
    if name in _JOBS:
        importlib.import_module("rayner.cli.jobs.commands").add_parser(commands, name)
    else:
        importlib.import_module(f"rayner.cli.{name}").add_parser(commands)


def parse_arguments(arguments: Sequence[str] | None, parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the arguments.

    Settings (KEY=VALUE) and `-` may also follow an option. argparse alone would refuse them there.
    """
    args, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in args or any(item.startswith("-") and item != "-" for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}{_suggest_setting(args, rest)}")
    if rest:
        args.overrides += rest
    return args


def _suggest_setting(args: argparse.Namespace, rest: Sequence[str]) -> str:
    """Return how to write a setting that is written as an option, such as `--train FILE`; "" if there is none."""
    option = next((word for word in rest if word.startswith("--")), "")
    return (
        f"; a setting is written without dashes: {option[2:].partition('=')[0]}=..."
        if option and "overrides" in args
        else ""
    )


def _suggest_command(words: Sequence[str]) -> None:
    """Raise ConfigError, which suggests a command, if the first word is a mistyped one."""
    if not words or words[0].startswith("-") or words[0] in COMMANDS:
        return
    near = difflib.get_close_matches(words[0], COMMANDS, n=1)
    if near:
        raise ConfigError(f"COMMAND: found {shorten_repr(words[0])}; did you mean rayner {near[0]}?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (see `rayner.cli.exit_codes`)."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions, see README
        import argcomplete

        called = [word for word in os.environ.get("COMP_LINE", "").split() if word in COMMANDS]
        argcomplete.autocomplete(build_parser(called))

    def parse_and_call() -> None:
        refuse_credentials_in_arguments(arguments)
        words = sys.argv[1:] if arguments is None else arguments
        _suggest_command(words)
        args = parse_arguments(words, build_parser(words))
        args.call(args)

    return call_and_return_exit_code(parse_and_call)
