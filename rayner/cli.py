"""Arguments to configuration, one call, exit code: what every job and the `rayner` command share.

Exit codes: 0 done; 2 the configuration or the input is wrong; 3 done, but too much set aside; 1 anything else.
"""

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from rayner import __version__
from rayner.config import CHOICES, Config, entries
from rayner.corpus.exporters import export_evahan
from rayner.corpus.readers import read_labelled
from rayner.errors import ConfigError, RaynerError
from rayner.lock import locked
from rayner.report.evaluation import evaluate_files, format_table
from rayner.run import Run, write_json
from rayner.settings import load
from rayner.storage import is_url, place

SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for jobs that were submitted


def run_job(
    what: str,
    step: Callable[[Config, Run], Any],
    *,
    check: Callable[[Config, Run], list[str]],
    writes: str = "run",
    arguments: Sequence[str] | None = None,
) -> int:
    """One job from its arguments to its exit code.

    check: tells what the job would do, or raises; all that `--dry-run` calls. writes: the folder it fills, `run` or
    `out`; with `--fresh` it fills another one beside it.
    """
    parser = argparse.ArgumentParser(
        description=what,
        epilog=keys(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--config FILE.yaml] [--dry-run] [--fresh] [KEY=VALUE ...]",
    )
    parser.add_argument("--config", metavar="FILE.yaml", help="settings; KEY=VALUE arguments go before them")
    parser.add_argument("--dry-run", action="store_true", help="check everything, start nothing")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as slm.epochs=3")
    parser.add_argument("--fresh", action="store_true", help="start over in new folders beside those that exist")
    given = parser.parse_intermixed_args(arguments)
    return guarded(lambda: _job(given, step, check, writes))


def _job(
    given: argparse.Namespace,
    step: Callable[[Config, Run], Any],
    check: Callable[[Config, Run], list[str]],
    writes: str,
) -> None:
    from rayner.cluster.session import log, session, start_logging

    config = load(given.config, given.overrides)
    if not config.run:
        raise ConfigError("run: expected a run folder (run=DIR), found none")
    for key, folder in (("run", config.run), ("out", config.out)):
        if folder and SUBMITTED in os.environ and not (is_url(folder) or Path(folder).is_absolute()):
            raise ConfigError(
                f"{key}: expected, in a submitted job, an absolute path on storage that all nodes share, or a URL; "
                f"found {folder!r}, which would lie in Ray's own copy of the working directory, on one node"
            )
    start_logging()
    if given.fresh:
        config = fresh(config, writes)
        log.info("starts over with run=%s%s", config.run, f" out={config.out}" if config.out else "")
    run = Run(place(config.run))
    if run.root.exists() and not run.root.is_dir():
        raise ConfigError(f"run: expected a folder, found a file: {run.root}")
    # On a cluster it is the cluster's resources that must suffice, not this node's: be connected for the check.
    with session() if os.environ.get("RAY_ADDRESS") else nullcontext():
        for line in check(config, run):
            log.info("%s", line)
        if not given.dry_run:
            with locked(run.root), session():
                step(config, run)


def fresh(config: Config, writes: str) -> Config:
    """The same settings with folders that nothing lies in yet."""
    if writes == "out":
        return replace(config, out=unused(config.out or f"{config.run.rstrip('/')}/tagged"))
    return replace(config, run=unused(config.run), out=config.out and unused(config.out))


def unused(folder: str) -> str:
    """The name of a folder, or, where that exists, the first of `folder-2`, `folder-3` ... that does not."""
    names = (folder if i == 1 else f"{folder.rstrip('/')}-{i}" for i in count(1))
    return next(name for name in names if not place(name).exists())


def guarded(work: Callable[[], Any]) -> int:
    """Run the work; an error made for users becomes one line and its exit code, any other a traceback and 1."""
    try:
        work()
    except RaynerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def keys() -> str:
    """All settings with default and meaning."""
    lines = ["settings (default):"]
    for key, default, meaning in entries():
        choices = f" [{', '.join(map(str, CHOICES[key]))}]" if key in CHOICES and "|" not in meaning else ""
        text = f"{meaning}{choices} ({default!r})" if key != "types" else meaning
        lines += textwrap.wrap(text, 110, initial_indent=f"  {key:<28} ", subsequent_indent=" " * 31)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The `rayner` command."""
    parser = argparse.ArgumentParser(prog="rayner", description="Look at, score and export what the jobs made.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    scorer = commands.add_parser("eval", help="score a labelled file against a gold one")
    scorer.add_argument("gold", help="gold file, char-tab-tag")
    scorer.add_argument("predicted", help="predicted file, char-tab-tag, of the same text")
    scorer.add_argument("--layout", default="evahan", choices=CHOICES["layout"], help="layout of both")
    scorer.add_argument("--seed", type=int, default=13, help="seed of the bootstrap")
    scorer.add_argument("--json", metavar="FILE", help="also write the scores there")
    scorer.set_defaults(call=_eval)

    exporter = commands.add_parser("export", help="write a tagged corpus in another format")
    exporter.add_argument("tagged", help="folder of the tagged corpus")
    exporter.add_argument("--to", required=True, choices=["evahan"], help="format")
    exporter.add_argument("out", help="folder to write")
    exporter.set_defaults(call=_export)

    checker = commands.add_parser("doctor", help="check every node of the cluster before a long run")
    checker.add_argument("--address", help="the cluster's head, HOST:PORT; else RAY_ADDRESS, or this machine")
    checker.add_argument("--config", metavar="FILE.yaml", help="settings; KEY=VALUE arguments go before them")
    checker.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as run=DIR")
    checker.set_defaults(call=_doctor)

    given, rest = parser.parse_known_args(arguments)
    if rest and (given.call is not _doctor or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    given.rest = rest  # settings after an option: argparse takes a list of arguments in one piece only
    return guarded(lambda: given.call(given))


def _eval(given: argparse.Namespace) -> None:
    gold, predicted = (read_labelled(path, layout=given.layout) for path in (given.gold, given.predicted))
    result = evaluate_files(gold, predicted, seed=given.seed)
    print(format_table(result))
    if given.json:
        write_json(Path(given.json), result)


def _export(given: argparse.Namespace) -> None:
    counts = export_evahan(place(given.tagged), place(given.out))
    print(f"{given.out}: {counts.documents} documents, {counts.characters} characters, {counts.entities} entities")


def _doctor(given: argparse.Namespace) -> None:
    config = load(given.config, [*given.overrides, *given.rest])
    if given.address:
        os.environ["RAY_ADDRESS"] = given.address
    from rayner.cluster.doctor import doctor

    ok = []
    for finding in doctor(config):
        print(finding, flush=True)
        ok.append(finding.ok)
    if not all(ok):
        raise ConfigError(f"expected every check to be ok, found {ok.count(False)} of {len(ok)} that failed; see above")


if __name__ == "__main__":
    sys.exit(main())
