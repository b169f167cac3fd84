"""`rayner fetch`: download a checkpoint, convert its weights to safetensors, and record its revision and digests."""

import argparse
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.errors import ConfigError
from rayner.runs.progress import print_to_stderr, progress_display
from rayner.runs.storage import is_url


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner fetch`."""
    parser = commands.add_parser(
        "fetch",
        **parser_kwargs_with_examples(
            "fetch Qwen/Qwen2.5-14B-Instruct /shared/models/qwen",
            "fetch SIKU-BERT/sikuroberta /shared/models/sikuroberta --revision main",
            "fetch old_checkpoint new_checkpoint          # converts a folder with pytorch_model.bin",
        ),
    )
    parser.add_argument("name", help="a name on the hub (HF_ENDPOINT, HF_TOKEN), or a folder to convert")
    parser.add_argument("folder", help="folder to write: new, empty, or of an interrupted call, which is resumed")
    parser.add_argument("--revision", help="branch, tag or commit on the hub (main)")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Fetch the checkpoint, and print its files and size."""
    if is_url(args.folder):
        raise ConfigError(f"{args.folder}: expected a local folder, found a URL: fetch it here, then copy the folder")
    from rayner.checkpoints.fetch import fetch_checkpoint

    record = fetch_checkpoint(
        args.name,
        Path(args.folder),
        args.revision,
        print_line=print_to_stderr,
        on_progress=progress_display(print_to_stderr),
    )
    size = sum(file.n_bytes for file in record.files) / 1024**2
    converted = f", converted from {', '.join(file.name for file in record.converted_from)}"
    print(
        f"{args.folder}: {len(record.files)} files, {size:,.1f} MiB, {record.name}"
        + (f" at {record.revision}" if record.revision else "")
        + (converted if record.converted_from else "")
    )
