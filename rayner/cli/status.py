"""`rayner status`: print the progress of a job, on any machine that can read the job's run folder."""

import argparse
import dataclasses
import json
import sys
import time
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.errors import ConfigError
from rayner.runs.json_files import read_json
from rayner.runs.status import STATUS_FILE, STATUS_REMEDY, JobStatus, format_status, status_from_json
from rayner.runs.storage import StoragePath, storage_path

_HOME = "\x1b[H\x1b[2J"  # moves the cursor home and clears the screen


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner status`."""
    parser = commands.add_parser(
        "status",
        **parser_kwargs_with_examples("status runs/mine", "status runs/mine --watch"),
    )
    parser.add_argument("run", help="its run folder")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--watch", nargs="?", type=float, const=5.0, metavar="SECONDS",
                        help="repeat every few seconds (5) until the job ends")  # fmt: skip
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Print the status. With --watch, repeat this until the job ends or becomes unresponsive."""
    if args.watch is not None and not 0 < args.watch < float("inf"):
        raise ConfigError(f"--watch: expected more than 0 seconds, found {args.watch}")
    folder = storage_path(args.run)
    try:
        while True:
            status, now = read_run_status(folder), time.time()
            if args.json:
                print(
                    json.dumps(
                        {**dataclasses.asdict(status), "silent": status.seconds_unresponsive(now)}, ensure_ascii=False
                    )
                )
            else:
                screen = _HOME if args.watch and sys.stdout.isatty() else ""
                print(screen + format_status(status, args.run, now), flush=True)
            if not args.watch or status.state != "running" or status.seconds_unresponsive(now):
                return
            time.sleep(args.watch)
    except KeyboardInterrupt:
        return


def read_run_status(folder: StoragePath) -> JobStatus:
    """Read the status in a run folder. Raises ConfigError if there is none, DamagedFileError if it is damaged."""
    try:
        return status_from_json(read_json(folder / STATUS_FILE, STATUS_REMEDY), str(folder / STATUS_FILE))
    except FileNotFoundError:
        raise ConfigError(f"{folder}: expected the run folder of a job, found no {STATUS_FILE} in it") from None
