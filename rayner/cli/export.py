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
    ExportCounts,
    ExportFormat,
    ExportOptions,
    export_corpus,
    read_type_names,
)
from rayner.corpus.tables import find_tagged_folder
from rayner.errors import ConfigError, DataError
from rayner.runs.folder_nesting import is_same_or_inside
from rayner.runs.progress import print_to_stderr, rate_limited
from rayner.runs.storage import StoragePath, storage_path


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner export`."""
    parser = commands.add_parser(
        "export",
        **parser_kwargs_with_examples(
            "export runs/mine/tagged --to tei OUT",
            "export runs/mine/tagged --to csv --bom OUT          # for Excel",
            "export runs/mine/tagged --to conll --scheme BIOES --tags names.yaml OUT",
        ),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    add_choice_or_plugin(parser, "--to", EXPORT_FORMATS, "format, see docs/exports.md")
    parser.add_argument(
        "out", help="folder to write, outside the tagged corpus: new, empty, or of an earlier export in this format"
    )
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
    tagged, out = find_tagged_folder(storage_path(args.tagged)), storage_path(args.out)
    _require_apart(tagged, out)
    print_progress = rate_limited(print_to_stderr)
    try:
        counts = export_corpus(
            tagged,
            out,
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
    print(f"{args.out}: {_describe_counts(counts)}")


def _require_apart(tagged: StoragePath, out: StoragePath) -> None:
    """Raise ConfigError if the export would lie in the tagged corpus, or the tagged corpus in the export."""
    for inner, outer, relation in ((out, tagged, "in"), (tagged, out, "around")):
        if is_same_or_inside(inner, outer):
            raise ConfigError(
                f"{out}: expected a folder outside the tagged corpus, found one {relation} {tagged}: "
                "name another folder"
            )


def _describe_counts(counts: ExportCounts) -> str:
    """List the counts; a format that does not hold whole texts, such as csv, counts no characters."""
    characters = [f"{counts.characters} characters"] if counts.characters else []
    return ", ".join([f"{counts.documents} documents", *characters, f"{counts.entities} entities"])
