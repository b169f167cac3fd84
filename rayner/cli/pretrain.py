"""`rayner pretrain`: pretrain an encoder on unlabelled text, as a checkpoint for the small model."""

import argparse
import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from rayner.cli.jobs.arguments import add_running_options, complete_words
from rayner.cli.jobs.definitions import PRETRAIN
from rayner.cli.jobs.help import all_settings_help
from rayner.cli.jobs.running import check_and_run_job

_SHOWN_SETTINGS = ("pretrain", "seed", "device", "layout")
_EXAMPLES = """examples:
  rayner pretrain my_corpus --out models/mine pretrain.hours=2 pretrain.workers.cpus=2
  rayner pretrain my_corpus --out models/mine pretrain.exclude=labelled.txt
  rayner pretrain my_corpus --out models/more pretrain.start=models/mine
"""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner pretrain`."""
    parser = commands.add_parser(
        "pretrain",
        description="Pretrain an encoder. Then fine-tune it as the small model: slm.family=encoder slm.model=FOLDER",
        epilog=f"{all_settings_help(_SHOWN_SETTINGS)}\n\n{_EXAMPLES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", help="text file, or folder of .txt files")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder of the encoder, a checkpoint")
    parser.add_argument(
        "--run",
        metavar="FOLDER",
        help="folder for checkpoints of the training; not needed later (FOLDER of --out, .run)",
    )
    parser.add_argument("--config", metavar="CONFIG", help="YAML file of settings; KEY=VALUE arguments override it")
    add_running_options(parser)
    settings = parser.add_argument(
        "overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as pretrain.hours=3"
    )
    settings.completer = complete_words
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Check the settings and pretrain the encoder, as `jobs/pretrain.py` does."""
    folders = {"corpus": args.corpus, "out": args.out, "run": args.run or f"{args.out.rstrip('/')}.run"}
    # JSON is YAML, so any path is read as it is.
    args.overrides += [f"{key}={json.dumps(path)}" for key, path in folders.items()]
    check_and_run_job(args, PRETRAIN)
