"""Run a job from its arguments to its exit code. The `rayner` command uses the same exit codes.

Exit codes:

- 0: done.
- 1: any error that is not listed here.
- 2: wrong settings or input.
- 3: done, but more segments failed and were set aside than the settings allow.
- 130: interrupted by Ctrl-C.
- 143: stopped by SIGTERM.
"""

import argparse
import importlib
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from rayner.cluster.environment import SUBMITTED_JOB_VARIABLE, set_quiet_environment
from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.errors import ConfigError, RaynerError
from rayner.runs.error_messages import RERUN_HINT, hide_credentials_in_tracebacks, make_printable
from rayner.runs.job_log import start_logging
from rayner.runs.lock import hold_lock
from rayner.runs.progress import erase_bar, log, write_status_while_running
from rayner.runs.run_folder import Run
from rayner.runs.storage import is_url, storage_path
from rayner.steps.output_folders import check_job_folders, mark_run_folder_as_ours
from rayner.text.credentials import CREDENTIALS_IN_URL, holds_credentials
from rayner.text.messages import shorten_repr

JobFunction = Callable[[Config, Run], Any]
CheckFunction = Callable[[Config, Run], list[str]]


def run_job(
    description: str,
    step: JobFunction | str,
    *,
    check: CheckFunction | str,
    output_setting: str = "run",
    retry: JobFunction | str | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one job and return its exit code.

    `step` and `check` are functions, or names of functions in the form `module:function`. A named function is imported
    only after the settings are found valid. So help, and errors in the settings, are printed without delay.

    description: the description of the job in its help.
    step: the function that executes the job.
    check: the function that checks the job before it starts. It returns lines that describe the job, or raises an
        error. With `--dry-run`, `step` is not called.
    output_setting: the setting of the folder that the job writes, `run` or `out`. With `--fresh`, the job writes a new
        folder beside that folder.
    retry: the function that, with `--retry-set-aside`, makes `step` try segments again that were set aside. Without
        such a function the job does not have this option.
    arguments: the command-line arguments; by default those of the process.
    """

    def parse_and_run() -> None:
        refuse_credentials_in_arguments(arguments)
        args = build_job_parser(description, can_retry=retry is not None).parse_intermixed_args(arguments)
        chosen_retry = retry if retry is not None and args.retry_set_aside else None
        check_and_run_job(args, step, check, output_setting=output_setting, retry=chosen_retry)

    return call_and_return_exit_code(parse_and_run)


def refuse_credentials_in_arguments(arguments: Sequence[str] | None) -> None:
    """Raise ConfigError, which names the place, if an argument holds a URL with credentials.

    arguments: the command-line arguments; None for those of the process.
    """
    for i, argument in enumerate(sys.argv[1:] if arguments is None else arguments, start=1):
        if holds_credentials(argument):
            option = argument.partition("=")[0]
            name = f"{option}: " if re.fullmatch(r"[\w.-]+", option) else ""
            raise ConfigError(f"argument {i}: {name}{CREDENTIALS_IN_URL}")


def build_job_parser(description: str, *, can_retry: bool = False) -> argparse.ArgumentParser:
    """Build the parser of a job's command line.

    can_retry: whether the job has the option `--retry-set-aside`.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--config FILE.yaml] [--dry-run] [--fresh] [KEY=VALUE ...]",
    )
    parser.add_argument("--config", metavar="FILE.yaml", help="file of settings; KEY=VALUE arguments override it")
    parser.add_argument("--dry-run", action="store_true", help="check settings, inputs and resources, then stop")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as slm.epochs=3")
    parser.add_argument("--fresh", action="store_true", help="start over in new folders beside the existing ones")
    if can_retry:
        parser.add_argument(
            "--retry-set-aside", action="store_true", help="try segments again that failed and were set aside"
        )
    return parser


def check_and_run_job(
    args: argparse.Namespace,
    step: JobFunction | str,
    check: CheckFunction | str,
    *,
    output_setting: str = "run",
    retry: JobFunction | str | None = None,
    name: str | None = None,
) -> None:
    """Check a job and, unless it is a dry run, run it.

    args: `config`, `overrides`, `dry_run` and `fresh`, as `build_job_parser` parses them.
    name: the job's name in its status; by default that of its script.
    step, check, output_setting, retry: see `run_job`.
    """
    config = load_config(args.config, args.overrides)
    if not config.run:
        raise ConfigError("run: expected a run folder (run=DIR), found none")
    for key, folder in (("run", config.run), ("out", config.out)):
        if folder and SUBMITTED_JOB_VARIABLE in os.environ and not (is_url(folder) or Path(folder).is_absolute()):
            raise ConfigError(
                f"{key}: expected, in a submitted job, an absolute path on storage that all nodes share, or a URL; "
                f"found {shorten_repr(folder)}, which would lie in Ray's own copy of the working directory, on one node"
            )
    set_quiet_environment()
    from rayner.cluster.session import ray_session  # this imports Ray

    start_logging()
    if args.fresh:
        config = replace_existing_folders_in_config(config, output_setting)
        log.info("starts over with run=%s%s", config.run, f" out={config.out}" if config.out else "")
    run = Run(storage_path(config.run))
    # Only jobs that tag have the option --retry-set-aside.
    check_job_folders(config, run, tags_corpus="retry_set_aside" in args and bool(config.corpus.path))
    # Connect to a cluster before the check, so that the check sees the cluster's resources, not only this node's.
    with ray_session() if os.environ.get("RAY_ADDRESS") else nullcontext():
        run_check, run_step = _import_function(check), _import_function(step)
        for line in run_check(config, run):
            log.info("%s", line)
        if not args.dry_run:
            mark_run_folder_as_ours(run)
            with (
                hold_lock(run.root),
                write_status_while_running(
                    run.root, name or (Path(sys.argv[0]).stem if isinstance(step, str) else step.__name__)
                ),
                ray_session(),
            ):
                if retry is not None:
                    _import_function(retry)(config, run)
                run_step(config, run)


def _import_function(function: Callable[[Config, Run], Any] | str) -> Callable[[Config, Run], Any]:
    """Import the function that `module:function` names. A function is returned unchanged."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    imported: Callable[[Config, Run], Any] = getattr(importlib.import_module(module), name)
    return imported


def replace_existing_folders_in_config(config: Config, output_setting: str) -> Config:
    """Return the same settings, with new folders in place of output folders that exist.

    output_setting: as in `run_job`. With `out`, only the setting `out` changes.
    """
    if output_setting == "out":
        return replace(config, out=add_number_if_folder_exists(config.out or f"{config.run.rstrip('/')}/tagged"))
    return replace(
        config, run=add_number_if_folder_exists(config.run), out=config.out and add_number_if_folder_exists(config.out)
    )


def add_number_if_folder_exists(folder: str) -> str:
    """Return the folder or, if it exists, the first of `folder-2`, `folder-3`, ... that does not exist."""
    names = (folder if i == 1 else f"{folder.rstrip('/')}-{i}" for i in count(1))
    return next(name for name in names if not storage_path(name).exists())


def call_and_return_exit_code(function: Callable[[], Any]) -> int:
    """Call a function and return the exit code.

    Ctrl-C and a RaynerError are printed in one line. A closed output is ignored. Other errors propagate.
    Nothing that is printed holds credentials, a traceback included.
    """
    hide_credentials_in_tracebacks()
    try:
        function()
    except KeyboardInterrupt:
        erase_bar()
        print(f"interrupted; {RERUN_HINT}", file=sys.stderr)
        return 128 + signal.SIGINT
    except RaynerError as error:
        erase_bar()
        print(f"error: {make_printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the program that reads the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def settings_help(roots: Collection[str] = ()) -> str:
    """Return a text of settings with their meanings and defaults, as `--help` prints it.

    roots: the sections, and the settings without a section, that are shown; empty for all.
    """
    lines = ["settings (default):"]
    for info in iter_settings(Config):
        if roots and info.key.partition(".")[0] not in roots:
            continue
        text = (
            info.help_text
            if isinstance(info.default, dict) and info.default
            else f"{info.help_text} ({info.default!r})"
        )
        lines += textwrap.wrap(text, 110, initial_indent=f"  {info.key:<30} ", subsequent_indent=" " * 33)
    return "\n".join(lines)
