"""`rayner export`: a tagged corpus in another format."""

import argparse
from typing import Any

from rayner.corpus.exporters import export_evahan
from rayner.storage import place


def add(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser("export", help="write a tagged corpus in another format")
    parser.add_argument("tagged", help="folder of the tagged corpus")
    parser.add_argument("--to", required=True, choices=["evahan"], help="format")
    parser.add_argument("out", help="folder to write")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Write it, and say how much."""
    counts = export_evahan(place(given.tagged), place(given.out))
    print(f"{given.out}: {counts.documents} documents, {counts.characters} characters, {counts.entities} entities")
