"""`rayner review`: let people correct the most uncertain sentences, and use the corrections as training data.

`rayner review pick` writes the sentences, and `rayner review import` reads the corrections.
"""

import argparse
from dataclasses import replace
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.corpus.review.corrections import read_corrections, write_corrections
from rayner.corpus.review.labelled_output import check_labelled_output_and_list_digests
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.review.selection import pick_sentences
from rayner.corpus.review.task_files import REVIEW_FORMATS, check_review_folder, write_review_folder
from rayner.corpus.tables import find_tagged_folder
from rayner.errors import ConfigError
from rayner.runs.progress import Progress, print_to_stderr, progress_display
from rayner.runs.storage import storage_path
from rayner.text.markup import is_markup_type
from rayner.text.messages import shorten_repr


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner review`."""
    parser = commands.add_parser(
        "review",
        **parser_kwargs_with_examples(
            "review pick runs/mine/tagged TO_CORRECT --n 200",
            "review import export.json reviewed.txt --from TO_CORRECT/provenance.json",
        ),
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    out = steps.add_parser("pick", help="write the most uncertain sentences of a tagged corpus for correction")
    out.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    out.add_argument("out", help="folder to write: new or empty")
    out.add_argument("--n", type=int, default=200, help="number of sentences (200)")
    out.add_argument("--to", default=REVIEW_FORMATS[0], choices=REVIEW_FORMATS, help=f"format ({REVIEW_FORMATS[0]})")
    out.add_argument(
        "--skip",
        metavar="PROVENANCE.json",
        nargs="+",
        default=[],
        help="provenance files of earlier reviews, whose sentences are left out",
    )
    out.add_argument("--types", metavar="TYPE,TYPE", default="", help="further types, which the corpus does not have")
    out.set_defaults(call=_run_pick)
    back = steps.add_parser("import", help="turn corrected sentences into a labelled file, for train=")
    back.add_argument("files", nargs="+", metavar="FILE", help="Label Studio's JSON export, or a labelled file")
    back.add_argument("out", help="labelled file to write, char-tab-tag, and NAME.provenance.json beside it: new, "
                      "or written by this command and not changed since")  # fmt: skip
    back.add_argument("--from", dest="provenance", metavar="PROVENANCE.json", action="append", required=True,
                      help="provenance file of the review; repeat for several")  # fmt: skip
    back.add_argument("--types", metavar="TYPE,TYPE", default="", help="further types, which the corpus does not have")
    back.set_defaults(call=_run_import)


def _run_pick(args: argparse.Namespace) -> None:
    if args.n < 1:
        raise ConfigError(f"--n: expected 1 or more, found {args.n}")
    extra_types, provenance = _parse_types(args.types), read_provenance(map(storage_path, args.skip))
    check_review_folder(storage_path(args.out))
    progress: Progress | None = None

    def report_document(done: int, total: int) -> None:
        nonlocal progress
        if progress is None or done == 1:
            progress = Progress("review", total, "documents", progress_display(print_to_stderr))
        progress.advance(1)

    tagged = find_tagged_folder(storage_path(args.tagged))
    selection = pick_sentences(tagged, args.n, provenance.sentences, report_document)
    selection = replace(selection, types=tuple(sorted({*selection.types, *extra_types})))
    write_review_folder(selection, storage_path(args.out), args.to)
    n_documents = len({candidate.doc_id for candidate in selection.candidates})
    n_chars = sum(len(candidate.text) for candidate in selection.candidates)
    print(f"{args.out}: {len(selection.candidates)} sentences of {n_documents} documents, {n_chars} characters")


def _run_import(args: argparse.Namespace) -> None:
    if args.out.endswith(".json") or args.out in args.files:  # OUT is missing, so argparse took the last file for it
        raise ConfigError(f"OUT: expected a labelled file to write, after those to read, found {args.out}")
    provenance_files = [storage_path(path) for path in args.provenance]
    check_labelled_output_and_list_digests(storage_path(args.out), provenance_files)
    provenance = read_provenance(provenance_files)
    types = {*provenance.types, *_parse_types(args.types)}
    corrections = read_corrections(map(storage_path, args.files), provenance, types)
    if not corrections.spans_by_text:
        raise ConfigError(f"{', '.join(args.files)}: expected corrected sentences, found none")
    write_corrections(corrections, provenance, storage_path(args.out))
    print(
        f"{args.out}: {len(corrections.spans_by_text)} sentences, "
        f"{corrections.count_changed(provenance)} of them different from the prediction; "
        f"{corrections.conflicts} relabelled with different entities, {corrections.unreviewed} not reviewed"
    )


def _parse_types(text: str) -> list[str]:
    types = [type_name for type_name in text.split(",") if type_name]
    for type_name in types:
        if not is_markup_type(type_name):
            raise ConfigError(
                f"--types: expected types without white space, <, >, / and &, found {shorten_repr(type_name)}"
            )
    return types
