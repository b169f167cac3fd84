"""`rayner export`: a tagged corpus in another format."""

import argparse
from typing import Any

from rayner.cli.help_examples import examples
from rayner.cli.options import add_choice
from rayner.config.plugins import is_outside, named
from rayner.corpus.exports import FORMATS, SCHEMES, Choices, Format, export, read_tags
from rayner.errors import ConfigError, DataError
from rayner.runs.progress import now_and_then, say_on_stderr
from rayner.runs.storage import place


def add(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "export",
        help="write a tagged corpus in another format",
        **examples(
            "export runs/mine/tagged --to tei OUT",
            "export runs/mine/tagged --to csv --bom OUT          # for Excel",
            "export runs/mine/tagged --to conll --scheme BIOES --tags names.yaml OUT",
        ),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus")
    add_choice(parser, "--to", FORMATS, "format, see docs/exports.md")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--tags", metavar="FILE.yaml", help="what to call types, lines of TYPE: name")
    parser.add_argument("--scheme", choices=SCHEMES, help=f"of conll ({SCHEMES[0]})")
    parser.add_argument("--bom", action="store_true", help="begin csv files with the mark by which Excel knows UTF-8")
    parser.add_argument("--keep", action="store_true", help="go on with an export that was interrupted: keep its files")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Write it, and say how much."""
    own = is_outside(given.to)
    form = named("--to", given.to, Format, "a Format of rayner.corpus.exports") if own else FORMATS[given.to]
    chosen = {key: getattr(given, key) for key in ("scheme", "bom") if getattr(given, key)}
    for key in chosen:
        if key not in form.takes:
            able = ", ".join(name for name, each in FORMATS.items() if key in each.takes)
            raise ConfigError(f"--{key}: expected with --to {able}, found it with --to {given.to}")
    tags = read_tags(given.tags) if given.tags else {}
    tell = now_and_then(say_on_stderr)
    try:
        counts = export(
            place(given.tagged), place(given.out), form, tags=tags, choices=Choices(**chosen), keep=given.keep,
            progress=lambda so_far: tell(f"{so_far.documents} documents, {so_far.entities} entities so far"),
        )  # fmt: skip
    except OSError as error:
        raise DataError(f"{given.out}: expected a folder to write files in, found: {error}") from error
    print(f"{given.out}: {counts.documents} documents, {counts.characters} characters, {counts.entities} entities")
