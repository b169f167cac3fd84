"""`rayner verify`: check every digest, text, entity and count of a tagged corpus."""

import argparse
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.runs.progress import print_to_stderr
from rayner.runs.storage import storage_path

_MAX_PRINTED = 20  # problems that are printed


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner verify`."""
    parser = commands.add_parser(
        "verify",
        **parser_kwargs_with_examples("verify runs/mine/tagged", "verify runs/mine/tagged --run runs/mine"),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    parser.add_argument("--run", metavar="DIR", help="also check that this run's models and fusion rule made the tags")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Verify the corpus and print its counts. Raises DataError if anything is wrong."""
    from rayner.corpus.tables import find_tagged_folder, require_tables
    from rayner.errors import DataError
    from rayner.runs.run_folder import Run
    from rayner.steps.tag.verify import find_problems_and_counts

    tagged_run = Run(storage_path(args.run)) if args.run else None
    tagged = find_tagged_folder(storage_path(args.tagged))
    require_tables(tagged)
    problems, counts = find_problems_and_counts(tagged, tagged_run)
    for problem in problems[:_MAX_PRINTED]:
        print_to_stderr(problem)
    if problems:
        raise DataError(
            f"{tagged}: expected an undamaged corpus, found {len(problems)} problems: run the tagging job again, "
            "which makes damaged units again"
        )
    print(
        f"{tagged}: undamaged: {counts.documents:,} documents, {counts.characters:,} characters, "
        f"{counts.segments:,} segments ({counts.set_aside:,} set aside), {counts.entities:,} entities"
    )
