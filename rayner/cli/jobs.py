"""Arguments to configuration, one call, exit code: what every job and the `rayner` command share.

Exit codes: 0 done; 2 the configuration or the input is wrong; 3 done, but too much set aside; 1 anything else.
"""

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
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
from rayner.runs.lock import hold_lock
from rayner.runs.progress import erase_bar, log, write_status_while_running
from rayner.runs.run_folder import Run
from rayner.runs.storage import is_url, storage_path

JobFunction = Callable[[Config, Run], Any]
CheckFunction = Callable[[Config, Run], list[str]]


def run_job(
    description: str,
    step: JobFunction | str,
    *,
    check: CheckFunction | str,
    writes: str = "run",
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one job, from its arguments to its exit code.

    step, check: functions, or their names, `module:function`: those are imported when the settings are right, so that
    help and wrong settings answer at once.
    step: does the work.
    check: returns lines that say what the job would do, or raises; `--dry-run` calls nothing else.
    writes: the setting of the folder that the job fills, `run` or `out`; `--fresh` takes a new folder beside it.
    """
    given = build_job_parser(description).parse_intermixed_args(arguments)
    return exit_code_of(lambda: _run_checked(given, step, check, writes))


def build_job_parser(description: str) -> argparse.ArgumentParser:
    """What every job takes."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--config FILE.yaml] [--dry-run] [--fresh] [KEY=VALUE ...]",
    )
    parser.add_argument("--config", metavar="FILE.yaml", help="settings; KEY=VALUE arguments go before them")
    parser.add_argument("--dry-run", action="store_true", help="check everything, start nothing")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as slm.epochs=3")
    parser.add_argument("--fresh", action="store_true", help="start over in new folders beside those that exist")
    return parser


def _run_checked(
    given: argparse.Namespace,
    step: JobFunction | str,
    check: CheckFunction | str,
    writes: str,
) -> None:
    config = load_config(given.config, given.overrides)
    if not config.run:
        raise ConfigError("run: expected a run folder (run=DIR), found none")
    for key, folder in (("run", config.run), ("out", config.out)):
        if folder and SUBMITTED_JOB_VARIABLE in os.environ and not (is_url(folder) or Path(folder).is_absolute()):
            raise ConfigError(
                f"{key}: expected, in a submitted job, an absolute path on storage that all nodes share, or a URL; "
                f"found {folder!r}, which would lie in Ray's own copy of the working directory, on one node"
            )
    set_quiet_environment()
    from rayner.cluster.session import ray_session, start_logging  # which imports Ray

    start_logging()
    if given.fresh:
        config = with_new_folders(config, writes)
        log.info("starts over with run=%s%s", config.run, f" out={config.out}" if config.out else "")
    run = Run(storage_path(config.run))
    if run.root.exists() and not run.root.is_dir():
        raise ConfigError(f"run: expected a folder, found a file: {run.root}")
    # On a cluster it is the cluster's resources that must suffice, not this node's: be connected for the check.
    with ray_session() if os.environ.get("RAY_ADDRESS") else nullcontext():
        run_check, run_step = _import_function(check), _import_function(step)
        for line in run_check(config, run):
            log.info("%s", line)
        if not given.dry_run:
            with (
                hold_lock(run.root),
                write_status_while_running(run.root, getattr(run_step, "__name__", "job")),
                ray_session(),
            ):
                run_step(config, run)


def _import_function(function: Callable[[Config, Run], Any] | str) -> Callable[[Config, Run], Any]:
    """Return the function that `module:function` names; a function as it is."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    imported: Callable[[Config, Run], Any] = getattr(importlib.import_module(module), name)
    return imported


def with_new_folders(config: Config, writes: str) -> Config:
    """The same settings with folders that nothing lies in yet."""
    if writes == "out":
        return replace(config, out=first_unused_folder(config.out or f"{config.run.rstrip('/')}/tagged"))
    return replace(config, run=first_unused_folder(config.run), out=config.out and first_unused_folder(config.out))


def first_unused_folder(folder: str) -> str:
    """The name of a folder, or, where that exists, the first of `folder-2`, `folder-3` ... that does not."""
    names = (folder if i == 1 else f"{folder.rstrip('/')}-{i}" for i in count(1))
    return next(name for name in names if not storage_path(name).exists())


def exit_code_of(function: Callable[[], Any]) -> int:
    """Run the work; an error made for users becomes one line and its exit code, any other a traceback and 1."""
    try:
        function()
    except RaynerError as error:
        erase_bar()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def settings_help() -> str:
    """Return all settings with default and meaning, as `--help` prints them."""
    lines = ["settings (default):"]
    for info in iter_settings(Config):
        text = (
            info.help_text
            if isinstance(info.default, dict) and info.default
            else f"{info.help_text} ({info.default!r})"
        )
        lines += textwrap.wrap(text, 110, initial_indent=f"  {info.key:<30} ", subsequent_indent=" " * 33)
    return "\n".join(lines)
