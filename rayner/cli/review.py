"""`rayner review`: the sentences that are most worth correcting, out to a reviewer and back as training data."""

import argparse
from dataclasses import replace
from typing import Any

from rayner.cli.help_examples import examples_help
from rayner.corpus.review.corrections import read_corrections, write_corrections
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.review.selection import pick_sentences
from rayner.corpus.review.task_files import REVIEW_FORMATS, write_review
from rayner.errors import ConfigError
from rayner.runs.progress import Progress, print_to_stderr, progress_display
from rayner.runs.storage import storage_path
from rayner.text.markup import is_markup_type


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "review",
        help="have the most doubtful sentences corrected, and train on them",
        **examples_help(
            "review pick runs/mine/tagged TO_CORRECT --n 200",
            "review import export.json reviewed.txt --from TO_CORRECT/provenance.json",
        ),
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    out = steps.add_parser("pick", help="write the sentences of a tagged corpus that are most worth correcting")
    out.add_argument("tagged", help="folder of the tagged corpus")
    out.add_argument("out", help="folder to write")
    out.add_argument("--n", type=int, default=200, help="sentences (200)")
    out.add_argument("--to", default=REVIEW_FORMATS[0], choices=REVIEW_FORMATS, help=f"format ({REVIEW_FORMATS[0]})")
    out.add_argument("--skip", metavar="PROVENANCE.json", nargs="+", default=[], help="side-cars of earlier reviews")
    out.add_argument("--types", metavar="TYPE,TYPE", default="", help="types beside those that the corpus has")
    out.set_defaults(call=_pick)
    back = steps.add_parser("import", help="bring corrected sentences back as a labelled file, for train=")
    back.add_argument("files", nargs="+", metavar="FILE", help="Label Studio's JSON export, or char-tab-tag")
    back.add_argument("out", help="labelled file to write, char-tab-tag; beside it NAME.provenance.json")
    back.add_argument("--from", dest="known", metavar="PROVENANCE.json", action="append", required=True,
                      help="side-car of the review; again for each")  # fmt: skip
    back.add_argument("--types", metavar="TYPE,TYPE", default="", help="types beside those that the corpus has")
    back.set_defaults(call=_import)


def _pick(given: argparse.Namespace) -> None:
    if given.n < 1:
        raise ConfigError(f"--n: expected 1 or more, found {given.n}")
    more, known = _types(given.types), read_provenance(map(storage_path, given.skip))
    progress: Progress | None = None

    def say(done: int, total: int) -> None:
        nonlocal progress
        if progress is None or done == 1:
            progress = Progress("review", total, "documents", progress_display(print_to_stderr))
        progress.advance(1)

    picked = pick_sentences(storage_path(given.tagged), given.n, known.sentences, say)
    picked = replace(picked, types=tuple(sorted({*picked.types, *more})))
    write_review(picked, storage_path(given.out), given.to)
    documents = len({candidate.doc_id for candidate in picked.candidates})
    characters = sum(len(candidate.text) for candidate in picked.candidates)
    print(f"{given.out}: {len(picked.candidates)} sentences of {documents} documents, {characters} characters")


def _import(given: argparse.Namespace) -> None:
    if given.out.endswith(".json") or given.out in given.files:  # it was forgotten, and a file to read took its place
        raise ConfigError(f"OUT: expected a labelled file to write, after those to read, found {given.out}")
    more, known = _types(given.types), read_provenance(map(storage_path, given.known))
    corrected = read_corrections(map(storage_path, given.files), known, {*known.types, *more})
    if not corrected.spans_by_text:
        raise ConfigError(f"{', '.join(given.files)}: expected corrected sentences, found none")
    write_corrections(corrected, known, storage_path(given.out))
    print(
        f"{given.out}: {len(corrected.spans_by_text)} sentences, "
        f"{corrected.count_changed(known)} of them other than predicted; "
        f"{corrected.conflicts} labelled again and otherwise, {corrected.unreviewed} not reviewed"
    )


def _types(listed: str) -> list[str]:
    types = [kind for kind in listed.split(",") if kind]
    for kind in types:
        if not is_markup_type(kind):
            raise ConfigError(f"--types: expected types without white space, <, >, / and &, found {kind!r}")
    return types
