"""Check a job and run it."""

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayner.cli.exit_codes import call_and_return_exit_code, refuse_credentials_in_arguments
from rayner.cli.jobs.arguments import build_script_parser
from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.inputs import require_inputs, require_labelled_files
from rayner.cluster.environment import SUBMITTED_JOB_VARIABLE, set_quiet_environment
from rayner.config.bundled import BUNDLED_NAMES
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

if TYPE_CHECKING:
    from rayner.runs.run_folder import Run


def run_job(job: Job, arguments: Sequence[str] | None = None) -> int:
    """Run a job as a script of `jobs/` and return its exit code.

    arguments: the command-line arguments; by default those of the process.
    """

    def parse_and_run() -> None:
        refuse_credentials_in_arguments(arguments)
        args = build_script_parser(job).parse_intermixed_args(arguments)
        check_and_run_job(args, job)

    return call_and_return_exit_code(parse_and_run)


def run_job_command(args: argparse.Namespace, job: Job) -> None:
    """Run a job as a subcommand of `rayner`. Raises ConfigError if the arguments name no configuration."""
    words, config = _split_words(args)
    if not (config or args.config):
        raise ConfigError(
            f"CONFIG: expected a YAML file or one of {', '.join(BUNDLED_NAMES)}, found none, as in: "
            f"rayner {job.name} laptop {' '.join(words)}".rstrip()
        )
    check_and_run_job(args, job)


def load_job_config(args: argparse.Namespace) -> Config:
    """Load the configuration that a job's arguments describe.

    args: `config` and `overrides`. A word of `overrides` that is no setting is the configuration, in place of `config`.
    """
    words, config = _split_words(args)
    if config and args.config:
        raise ConfigError(f"CONFIG: expected one configuration, found two: {config} and {args.config}")
    return load_config(config or args.config, words)


def _split_words(args: argparse.Namespace) -> tuple[list[str], str | None]:
    """Return the settings among the words of the command line, and the configuration, if one is among them."""
    names = [word for word in args.overrides if "=" not in word]
    words = [word for word in args.overrides if word not in names[:1]]
    return words, names[0] if names else None


def check_and_run_job(args: argparse.Namespace, job: Job) -> None:
    """Check a job and, unless it is a dry run, run it.

    args: `config`, `overrides`, `dry_run` and `fresh`, as `add_job_arguments` declares them; `retry_set_aside`, if the
        job has this option.
    """
    config = load_job_config(args)
    _require_run_folder(config)
    require_inputs(config, job.inputs)
    # These imports take longer than an error in the settings may.
    from rayner.cluster.interrupts import end_soon_after_sigint
    from rayner.runs.job_log import start_logging
    from rayner.runs.progress import log
    from rayner.runs.run_folder import Run
    from rayner.runs.storage import storage_path
    from rayner.steps.output_folders import check_job_folders

    if args.fresh:
        config = replace_existing_folders_in_config(config, job.output_setting)
    run = Run(storage_path(config.run))
    # Only jobs that tag have the option --retry-set-aside.
    check_job_folders(config, run, tags_corpus=job.retry is not None and bool(config.corpus.path))
    require_labelled_files(config, job.inputs)
    set_quiet_environment()
    start_logging()
    if args.fresh:
        folders = f"run={config.run}{f' out={config.out}' if config.out else ''}"
        log.info("starts over with %s; to resume it after an interruption, give these and leave out --fresh", folders)
    with end_soon_after_sigint():
        _check_and_run(config, run, job, args)


def _check_and_run(config: Config, run: "Run", job: Job, args: argparse.Namespace) -> None:
    from rayner.cluster.session import ray_session  # this imports Ray
    from rayner.runs.lock import hold_lock
    from rayner.runs.progress import log, write_status_while_running
    from rayner.steps.output_folders import mark_run_folder_as_ours

    # Connect to a cluster before the check, so that the check sees the cluster's resources, not only this node's.
    with ray_session() if os.environ.get("RAY_ADDRESS") else nullcontext():
        run_check, run_step = _import_function(job.check), _import_function(job.step)
        for line in run_check(config, run):
            log.info("%s", line)
        if args.dry_run:
            return
        mark_run_folder_as_ours(run)
        with hold_lock(run.root), write_status_while_running(run.root, job.name), ray_session():
            if job.retry is not None and args.retry_set_aside:
                _import_function(job.retry)(config, run)
            run_step(config, run)


def _require_run_folder(config: Config) -> None:
    """Raise ConfigError if the settings name no run folder, or, in a submitted job, a folder that is on one node."""
    if not config.run:
        raise ConfigError("run: expected a run folder (run=DIR), found none")
    for key, folder in (("run", config.run), ("out", config.out)):
        if folder and SUBMITTED_JOB_VARIABLE in os.environ and not ("://" in folder or Path(folder).is_absolute()):
            raise ConfigError(
                f"{key}: expected, in a submitted job, an absolute path on storage that all nodes share, or a URL; "
                f"found {shorten_repr(folder)}, which would lie in Ray's own copy of the working directory, on one node"
            )


def _import_function(function: Callable[[Config, "Run"], Any] | str) -> Callable[[Config, "Run"], Any]:
    """Import the function that `module:function` names. A function is returned unchanged."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    imported: Callable[[Config, Run], Any] = getattr(importlib.import_module(module), name)
    return imported


def replace_existing_folders_in_config(config: Config, output_setting: str) -> Config:
    """Return the same settings, with new folders in place of output folders that exist.

    output_setting: as in `Job`. With `out`, only the setting `out` changes.
    """
    if output_setting == "out":
        return replace(config, out=add_number_if_folder_exists(config.out or f"{config.run.rstrip('/')}/tagged"))
    return replace(
        config, run=add_number_if_folder_exists(config.run), out=config.out and add_number_if_folder_exists(config.out)
    )


def add_number_if_folder_exists(folder: str) -> str:
    """Return the folder or, if it exists, the first of `folder-2`, `folder-3`, ... that does not exist."""
    from rayner.runs.storage import storage_path

    names = (folder if i == 1 else f"{folder.rstrip('/')}-{i}" for i in count(1))
    return next(name for name in names if not storage_path(name).exists())
