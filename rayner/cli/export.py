"""`rayner export`: write a tagged corpus in another format."""

import argparse
from dataclasses import replace
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
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
    """Add the parser of `rayner export`."""
    parser = commands.add_parser(
        "export",
        help="write a tagged corpus in another format",
        **parser_kwargs_with_examples(
            "export runs/mine/tagged --to tei OUT",
            "export runs/mine/tagged --to csv --bom OUT          # for Excel",
            "export runs/mine/tagged --to conll --scheme BIOES --tags names.yaml OUT",
        ),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus")
    add_choice_or_plugin(parser, "--to", EXPORT_FORMATS, "format, see docs/exports.md")
    parser.add_argument("out", help="folder to write: new, empty, or of an earlier export in this format")
    parser.add_argument("--tags", metavar="FILE.yaml", help="other names for types, in lines of TYPE: name")
    parser.add_argument("--scheme", choices=CONLL_SCHEMES, help=f"tags of conll ({CONLL_SCHEMES[0]})")
    parser.add_argument("--bom", action="store_true", help="begin csv files with a byte order mark, for Excel")
    parser.add_argument("--keep", action="store_true", help="resume an interrupted export: keep its files")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Export the corpus, and print the numbers of documents, characters and entities."""
    if is_plugin_name(args.to):
        plugin = load_plugin("--to", args.to, ExportFormat, "an ExportFormat of rayner.corpus.exports")
        export_format = replace(plugin, name=plugin.name or args.to)
    else:
        export_format = EXPORT_FORMATS[args.to]
    options = {key: getattr(args, key) for key in ("scheme", "bom") if getattr(args, key)}
    for key in options:
        if key not in export_format.options:
            supporting = ", ".join(name for name, other in EXPORT_FORMATS.items() if key in other.options)
            raise ConfigError(f"--{key}: expected with --to {supporting}, found it with --to {args.to}")
    type_names = read_type_names(args.tags) if args.tags else {}
    print_progress = rate_limited(print_to_stderr)
    try:
        counts = export_corpus(
            storage_path(args.tagged),
            storage_path(args.out),
            export_format,
            type_names=type_names,
            options=ExportOptions(**options),
            keep_existing=args.keep,
            on_progress=lambda counts: print_progress(
                f"{counts.documents} documents, {counts.entities} entities so far"
            ),
        )
    except OSError as error:
        raise DataError(f"{args.out}: expected a folder to write files in, found: {error}") from error
    print(f"{args.out}: {counts.documents} documents, {counts.characters} characters, {counts.entities} entities")
