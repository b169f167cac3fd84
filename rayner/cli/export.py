"""`rayner export`: a tagged corpus in another format."""

import argparse
from typing import Any

from rayner.cli.help_examples import examples_help
from rayner.cli.options import add_choice_or_plugin
from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.corpus.exports import (
    CONLL_SCHEMES,
    EXPORT_FORMATS,
    ExportFormat,
    ExportOptions,
    export_corpus,
    read_type_names,
)
from rayner.errors import ConfigError, DataError
from rayner.runs.progress import print_to_stderr, rate_limited
from rayner.runs.storage import storage_path


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "export",
        help="write a tagged corpus in another format",
        **examples_help(
            "export runs/mine/tagged --to tei OUT",
            "export runs/mine/tagged --to csv --bom OUT          # for Excel",
            "export runs/mine/tagged --to conll --scheme BIOES --tags names.yaml OUT",
        ),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus")
    add_choice_or_plugin(parser, "--to", EXPORT_FORMATS, "format, see docs/exports.md")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--tags", metavar="FILE.yaml", help="what to call types, lines of TYPE: name")
    parser.add_argument("--scheme", choices=CONLL_SCHEMES, help=f"of conll ({CONLL_SCHEMES[0]})")
    parser.add_argument("--bom", action="store_true", help="begin csv files with the mark by which Excel knows UTF-8")
    parser.add_argument("--keep", action="store_true", help="go on with an export that was interrupted: keep its files")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Write it, and say how much."""
    own = is_plugin_name(given.to)
    form = (
        load_plugin("--to", given.to, ExportFormat, "an ExportFormat of rayner.corpus.exports")
        if own
        else EXPORT_FORMATS[given.to]
    )
    chosen = {key: getattr(given, key) for key in ("scheme", "bom") if getattr(given, key)}
    for key in chosen:
        if key not in form.options:
            able = ", ".join(name for name, each in EXPORT_FORMATS.items() if key in each.options)
            raise ConfigError(f"--{key}: expected with --to {able}, found it with --to {given.to}")
    tags = read_type_names(given.tags) if given.tags else {}
    tell = rate_limited(print_to_stderr)
    try:
        counts = export_corpus(
            storage_path(given.tagged),
            storage_path(given.out),
            form,
            type_names=tags,
            options=ExportOptions(**chosen),
            keep_existing=given.keep,
            on_progress=lambda so_far: tell(f"{so_far.documents} documents, {so_far.entities} entities so far"),
        )
    except OSError as error:
        raise DataError(f"{given.out}: expected a folder to write files in, found: {error}") from error
    print(f"{given.out}: {counts.documents} documents, {counts.characters} characters, {counts.entities} entities")
