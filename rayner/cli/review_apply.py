"""`rayner review apply` and `rayner review undo`: put corrections into a tagged corpus, or take them out again."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rayner.corpus.corrections.changes import Change, format_changes_as_csv
from rayner.corpus.corrections.correction import CORRECTIONS_FILE, HERE, SCOPES, Correction, read_corrections_of_corpus
from rayner.corpus.corrections.correction_files import CorrectionContext, read_correction_files
from rayner.corpus.review.provenance import Provenance, read_provenance
from rayner.corpus.tables import PERSON, find_tagged_folder
from rayner.corpus.text_files import write_utf8
from rayner.errors import ConfigError
from rayner.runs.folder_nesting import is_same_or_inside
from rayner.runs.output_folder import path_exists
from rayner.runs.progress import print_to_stderr
from rayner.runs.storage import StoragePath, storage_path


def add_apply_and_undo(steps: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parsers of both steps."""
    apply = steps.add_parser("apply", help="list what corrections change, and write the corrected corpus")
    apply.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="what a page saved, CSV, Label Studio's JSON export, or a labelled file",
    )
    _add_corpus_and_out(apply)
    apply.add_argument(
        "--from", dest="provenance", metavar="PROVENANCE.json", action="append", default=[],
        help="provenance file of the review, for files with whole sentences; repeat for several",
    )  # fmt: skip
    apply.add_argument("--types", metavar="TYPE,TYPE", default="", help="further types that the corpus does not have")
    apply.add_argument("--scope", choices=SCOPES, default=HERE,
                       help=f"where corrections hold that do not say it themselves ({HERE})")  # fmt: skip
    apply.add_argument("--propagate", metavar="CSV", help="also write the other mentions of the corrected names, the "
                       "most doubtful first, as a file to look through and to apply")  # fmt: skip
    apply.add_argument(
        "--within", choices=SCOPES[1:], default=SCOPES[-1], help=f"where --propagate looks ({SCOPES[-1]})"
    )
    apply.set_defaults(call=_run_apply)
    undo = steps.add_parser("undo", help="list what taking corrections out changes, and write the corpus without them")
    _add_corpus_and_out(undo)
    undo.add_argument("--lines", type=int, nargs="+", metavar="N", help=f"their lines in {CORRECTIONS_FILE} (all)")
    undo.set_defaults(call=_run_undo)


def _add_corpus_and_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tagged", help="folder of the tagged corpus, or its run folder; it is only read")
    parser.add_argument("--out", help="folder to write, new or empty; without it, the changes are only listed")


def _run_apply(args: argparse.Namespace) -> None:
    from rayner.cli.review import parse_types
    from rayner.steps.corrected_corpus import FinishedCorpus, compare_with_corpus, iter_further_changes

    corpus = FinishedCorpus(_find_corpus(args))
    provenance = read_provenance(map(storage_path, args.provenance)) if args.provenance else Provenance()
    context = CorrectionContext(provenance, {*provenance.types, *parse_types(args.types)}, args.scope)
    new = compare_with_corpus(read_correction_files(map(storage_path, args.files), context), corpus)
    for one in new.unmatched:
        print_to_stderr(
            f"no place: expected {one.text!r} at {one.start} of {one.doc_id}, found another text ({one.source})"
        )
    earlier = read_corrections_of_corpus(corpus.tagged)
    changing = [one for one in new.changing if one not in earlier]
    n_same = new.n_same + len(new.changing) - len(changing)
    if not changing:
        raise ConfigError(
            f"{', '.join(args.files)}: expected corrections that change something, found {n_same} that say what "
            f"the corpus says already and {len(new.unmatched)} without a place in it"
        )
    corrections = [*earlier, *changing]
    if args.propagate:
        wider = [replace(one, scope=args.within) for one in changing if one.scope == HERE]
        _write_propagated(iter_further_changes(corpus, corrections, wider), storage_path(args.propagate))
    _list_or_write(corpus, corrections, args.out)
    print(
        f"{len(changing)} corrections, {n_same} that say what the corpus says already, "
        f"{len(new.unmatched)} without a place in it"
    )


def _run_undo(args: argparse.Namespace) -> None:
    from rayner.steps.corrected_corpus import FinishedCorpus

    corpus = FinishedCorpus(_find_corpus(args))
    corrections = read_corrections_of_corpus(corpus.tagged)
    lines = set(args.lines or range(1, len(corrections) + 1))
    wrong = min(lines - set(range(1, len(corrections) + 1)), default=None)
    if wrong is not None or not corrections:
        found = "no corrections" if wrong is None else f"{wrong}"
        raise ConfigError(
            f"{corpus.tagged}: expected lines from 1 to {len(corrections)} of its corrections, found {found}"
        )
    _list_or_write(corpus, [one for i, one in enumerate(corrections) if i + 1 not in lines], args.out)
    print(f"{len(lines)} corrections taken out")


def _find_corpus(args: argparse.Namespace) -> StoragePath:
    """Return the folder of the tagged corpus. Raises ConfigError if it overlaps with the folder to write."""
    tagged = find_tagged_folder(storage_path(args.tagged))
    out = storage_path(args.out) if args.out else None
    if out is not None and (is_same_or_inside(out, tagged) or is_same_or_inside(tagged, out)):
        raise ConfigError(f"--out: expected a folder apart from {tagged}, found {out}: name another folder")
    return tagged


def _list_or_write(corpus: Any, corrections: Sequence[Correction], out: str | None) -> None:  # noqa: ANN401 - imported late
    from rayner.steps.corrected_corpus import iter_changes, write_corrected_corpus

    if out is None:
        for change in iter_changes(corpus, corrections):
            print(change.format_line())
        print_to_stderr("nothing was written: --out NEW writes the corrected corpus")
        return
    record = write_corrected_corpus(corpus, corrections, storage_path(out))
    n_persons = record.counts.decided_by.get(PERSON, 0)
    print(f"{out}: {record.counts.entities:,} entities, {n_persons:,} of them decided by a person")
    warning = record.corrections.format_warning()
    if warning is not None:
        print_to_stderr(f"WARNING: {warning}")
    if corrections:
        print(f"To keep the corrections when the corpus is tagged again: tag.corrections={out}/{CORRECTIONS_FILE}")


def _write_propagated(changes: Iterable[Change], path: StoragePath) -> None:
    if path_exists(path):
        raise ConfigError(f"--propagate: expected a file that does not exist, found {path}: name another")
    found = list(changes)
    write_utf8(path, format_changes_as_csv(found))
    print(f"{path}: {len(found)} other mentions: delete the rows that are wrong, and apply the rest")
