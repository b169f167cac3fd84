"""The command line of a job."""

import argparse
from collections.abc import Collection
from typing import Any

from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.help import add_help_option, settings_help
from rayner.config.bundled import BUNDLED_NAMES
from rayner.config.declare import iter_settings
from rayner.config.settings import Config


def add_job_parser(commands: Any, job: Job, *example_arguments: str) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the subcommand of a job, with the arguments of `add_job_arguments`.

    example_arguments: arguments of the command for the examples at the end of its help.
    """
    examples = "".join(f"  rayner {job.name} {line}\n" for line in example_arguments)
    parser: argparse.ArgumentParser = commands.add_parser(
        job.name,
        description=job.description,
        epilog=f"{settings_help(f'rayner {job.name}')}\n\nexamples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"rayner {job.name} CONFIG [KEY=VALUE ...] [--dry-run] [--fresh]",
        add_help=False,
    )
    add_job_arguments(parser, job)
    return parser


def build_script_parser(job: Job) -> argparse.ArgumentParser:
    """Build the parser of a script in `jobs/`."""
    parser = argparse.ArgumentParser(
        description=job.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--config CONFIG] [--dry-run] [--fresh] [KEY=VALUE ...]",
        add_help=False,
    )
    parser.epilog = settings_help(parser.prog)
    add_job_arguments(parser, job)
    return parser


def add_job_arguments(parser: argparse.ArgumentParser, job: Job) -> None:
    """Add the arguments that a job understands: a configuration, settings, and how to run it.

    The parser must have been made with `add_help=False`.
    """
    add_help_option(parser)
    words = parser.add_argument(
        "overrides",
        metavar="CONFIG KEY=VALUE",
        nargs="*",
        help=f"CONFIG: a YAML file, or one of {', '.join(BUNDLED_NAMES)}; then settings, such as slm.epochs=3, "
        "which override it",
    )
    words.completer = complete_words  # type: ignore[attr-defined]  # for argcomplete
    parser.add_argument("--config", metavar="CONFIG", help="the same as CONFIG")
    add_running_options(parser)
    if job.retry is not None:
        parser.add_argument(
            "--retry-set-aside", action="store_true", help="try segments again that failed and were set aside"
        )


def add_running_options(parser: argparse.ArgumentParser) -> None:
    """Add the options `--dry-run` and `--fresh`."""
    parser.add_argument("--dry-run", action="store_true", help="check settings, inputs and resources, then stop")
    parser.add_argument("--fresh", action="store_true", help="start over in new folders beside the existing ones")


def complete_words(prefix: str, **_: object) -> Collection[str]:
    """Return the configurations and settings that begin with a prefix, for completion in the shell."""
    names = [*BUNDLED_NAMES, *(f"{info.key}=" for info in iter_settings(Config))]
    return [name for name in names if name.startswith(prefix)]
