"""From arguments to an exit code: what every job and the `rayner` command share.

Exit codes: 0 done; 2 wrong settings or input; 3 done, but more segments set aside than allowed; 130 after Ctrl-C; 143
after SIGTERM; 1 anything else.
"""

import argparse
import importlib
import os
import signal
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
from rayner.runs.error_messages import RERUN_HINT
from rayner.runs.job_log import start_logging
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
    output_setting: str = "run",
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one job, from its arguments to its exit code.

    step, check: functions, or their names, `module:function`: those are imported when the settings are right, so that
    help and wrong settings answer at once.
    step: does the work.
    check: returns lines that say what the job would do, or raises; `--dry-run` calls nothing else.
    output_setting: the setting of the folder that the job fills, `run` or `out`; `--fresh` takes a new folder beside
    it.
    """
    args = build_job_parser(description).parse_intermixed_args(arguments)
    return call_and_return_exit_code(lambda: _check_and_run_job(args, step, check, output_setting))


def build_job_parser(description: str) -> argparse.ArgumentParser:
    """Build the parser of a job's command line."""
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
    return parser


def _check_and_run_job(
    args: argparse.Namespace,
    step: JobFunction | str,
    check: CheckFunction | str,
    output_setting: str,
) -> None:
    config = load_config(args.config, args.overrides)
    if not config.run:
        raise ConfigError("run: expected a run folder (run=DIR), found none")
    for key, folder in (("run", config.run), ("out", config.out)):
        if folder and SUBMITTED_JOB_VARIABLE in os.environ and not (is_url(folder) or Path(folder).is_absolute()):
            raise ConfigError(
                f"{key}: expected, in a submitted job, an absolute path on storage that all nodes share, or a URL; "
                f"found {folder!r}, which would lie in Ray's own copy of the working directory, on one node"
            )
    set_quiet_environment()
    from rayner.cluster.session import ray_session  # which imports Ray

    start_logging()
    if args.fresh:
        config = replace_existing_folders_in_config(config, output_setting)
        log.info("starts over with run=%s%s", config.run, f" out={config.out}" if config.out else "")
    run = Run(storage_path(config.run))
    if run.root.exists() and not run.root.is_dir():
        raise ConfigError(f"run: expected a folder, found a file: {run.root}")
    # On a cluster its resources must suffice, not those of this node: connect before the check.
    with ray_session() if os.environ.get("RAY_ADDRESS") else nullcontext():
        run_check, run_step = _import_function(check), _import_function(step)
        for line in run_check(config, run):
            log.info("%s", line)
        if not args.dry_run:
            with (
                hold_lock(run.root),
                write_status_while_running(
                    run.root, Path(sys.argv[0]).stem if isinstance(step, str) else step.__name__
                ),
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


def replace_existing_folders_in_config(config: Config, output_setting: str) -> Config:
    """Return the same settings with folders that do not exist yet. writes: as in `run_job`."""
    if output_setting == "out":
        return replace(config, out=add_number_if_folder_exists(config.out or f"{config.run.rstrip('/')}/tagged"))
    return replace(
        config, run=add_number_if_folder_exists(config.run), out=config.out and add_number_if_folder_exists(config.out)
    )


def add_number_if_folder_exists(folder: str) -> str:
    """Return the folder or, if it exists, the first of `folder-2`, `folder-3` ... that does not."""
    names = (folder if i == 1 else f"{folder.rstrip('/')}-{i}" for i in count(1))
    return next(name for name in names if not storage_path(name).exists())


def call_and_return_exit_code(function: Callable[[], Any]) -> int:
    """Call a function and return the exit code. An error made for users is printed in one line; others propagate."""
    try:
        function()
    except KeyboardInterrupt:
        erase_bar()
        print(f"interrupted; {RERUN_HINT}", file=sys.stderr)
        return 128 + signal.SIGINT
    except RaynerError as error:
        erase_bar()
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has ended, as `head` does
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
