"""`rayner review`: let people correct sentences of a tagged corpus, and use what they find.

`rayner review pick` writes the most uncertain sentences, and `rayner review import` turns the corrections into training
data. `rayner review sample` writes sentences drawn at random, and `rayner review estimate` says by the corrections how
good the tags of the corpus are. `rayner review consistency` lists names that are tagged in different ways. `rayner
review apply` puts corrections into the corpus, and `rayner review undo` takes them out again.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.cli.review_apply import add_apply_and_undo
from rayner.corpus.review.candidates import count_documents
from rayner.corpus.review.consistency import find_most_inconsistent, format_inconsistencies
from rayner.corpus.review.corrections import Corrections, read_corrections, write_corrections
from rayner.corpus.review.estimate import estimate_corpus
from rayner.corpus.review.estimate_file import read_tagged_spans_by_place, write_estimate
from rayner.corpus.review.estimate_table import format_estimate
from rayner.corpus.review.labelled_output import check_labelled_output_and_list_digests
from rayner.corpus.review.provenance import Provenance, read_provenance
from rayner.corpus.review.random_sample import draw_random_sample
from rayner.corpus.review.selection import ChosenSentences, pick_sentences
from rayner.corpus.review.task_files import REVIEW_FORMATS, check_review_folder, write_review_folder
from rayner.corpus.tables import TaggedDocument, find_tagged_folder, iter_documents
from rayner.errors import ConfigError
from rayner.runs.progress import Progress, print_to_stderr, progress_display
from rayner.runs.storage import StoragePath, storage_path
from rayner.text.markup import is_markup_type
from rayner.text.messages import shorten_repr


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner review`."""
    parser = commands.add_parser(
        "review",
        **parser_kwargs_with_examples(
            "review pick runs/mine/tagged TO_CORRECT --n 200",
            "review import export.json reviewed.txt --from TO_CORRECT/provenance.json",
            "review sample runs/mine/tagged TO_MARK --n 100",
            "review estimate runs/mine/tagged marked.json --from TO_MARK/provenance.json",
            "review consistency runs/mine/tagged",
            "review apply corrections.json runs/mine/tagged --out corrected",
        ),
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    pick = steps.add_parser("pick", help="write the most uncertain sentences of a tagged corpus for correction")
    _add_choosing_arguments(pick, 200, "whose sentences are left out")
    pick.set_defaults(call=_run_pick)
    back = steps.add_parser("import", help="turn corrected sentences into a labelled file, for train=")
    _add_corrected_files(back)
    back.add_argument("out", help="labelled file to write, char-tab-tag, and NAME.provenance.json beside it: new, "
                      "or written by this command and not changed since")  # fmt: skip
    back.set_defaults(call=_run_import)
    sample = steps.add_parser("sample", help="write sentences drawn at random, to find out how good the tags are")
    _add_choosing_arguments(sample, 100, "whose sentences are not drawn again")
    sample.add_argument("--seed", type=int, default=13, help="seed of the draw (13)")
    sample.set_defaults(call=_run_sample)
    estimate = steps.add_parser("estimate", help="say how good the tags are, by such sentences, corrected")
    estimate.add_argument("tagged", help="folder of the tagged corpus, or its run folder; it may be tagged anew since")
    _add_corrected_files(estimate)
    estimate.add_argument("--within", type=float, default=5, metavar="POINTS",
                          help="say how many more sentences make intervals this narrow, up and down (5)")  # fmt: skip
    estimate.set_defaults(call=_run_estimate)
    names = steps.add_parser("consistency", help="list names that are tagged in different ways, the most errors first")
    names.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    names.add_argument("--n", type=int, default=50, help="number of names (50)")
    names.set_defaults(call=_run_consistency)
    add_apply_and_undo(steps)


def _add_choosing_arguments(parser: argparse.ArgumentParser, n: int, skipped: str) -> None:
    parser.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    parser.add_argument("out", help="folder to write: new or empty")
    parser.add_argument("--n", type=int, default=n, help=f"number of sentences ({n})")
    parser.add_argument("--to", default=REVIEW_FORMATS[0], choices=REVIEW_FORMATS, help=f"format ({REVIEW_FORMATS[0]})")
    parser.add_argument("--skip", metavar="PROVENANCE.json", nargs="+", default=[],
                        help=f"provenance files of earlier reviews, {skipped}")  # fmt: skip
    _add_types(parser)


def _add_corrected_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="Label Studio's JSON export, or a labelled file")
    parser.add_argument("--from", dest="provenance", metavar="PROVENANCE.json", action="append", required=True,
                        help="provenance file of the review; repeat for several")  # fmt: skip
    _add_types(parser)


def _add_types(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--types", metavar="TYPE,TYPE", default="", help="further types that the corpus does not have")


def _run_pick(args: argparse.Namespace) -> None:
    skipped = read_provenance(map(storage_path, args.skip)).by_text
    _choose_and_write(args, lambda tagged, on_progress: pick_sentences(tagged, args.n, skipped, on_progress))


def _run_sample(args: argparse.Namespace) -> None:
    skipped = {sentence.place for sentence in read_provenance(map(storage_path, args.skip)).sentences}
    _choose_and_write(
        args,
        lambda tagged, on_progress: draw_random_sample(
            tagged, args.n, skipped, seed=args.seed, on_progress=on_progress
        ),
    )


def _choose_and_write(
    args: argparse.Namespace, choose: Callable[[StoragePath, Callable[[int, int], None]], ChosenSentences]
) -> None:
    """Write the sentences that `choose` takes from a tagged corpus. It gets the folder, and reports documents read."""
    _require_positive(args.n)
    extra_types = parse_types(args.types)
    check_review_folder(storage_path(args.out))
    chosen = choose(find_tagged_folder(storage_path(args.tagged)), _make_progress_callback())
    chosen = replace(chosen, types=tuple(sorted({*chosen.types, *extra_types})))
    write_review_folder(chosen, storage_path(args.out), args.to)
    n_documents = len({candidate.doc_id for candidate in chosen.candidates})
    n_chars = sum(len(candidate.text) for candidate in chosen.candidates)
    print(f"{args.out}: {len(chosen.candidates)} sentences of {n_documents} documents, {n_chars} characters")


def _make_progress_callback() -> Callable[[int, int], None]:
    """Return a function that shows how many documents are read. It begins anew when it gets 1."""
    progress: Progress | None = None

    def report_document(done: int, total: int) -> None:
        nonlocal progress
        if progress is None or done == 1:
            progress = Progress("review", total, "documents", progress_display(print_to_stderr))
        progress.advance(1)

    return report_document


def _run_import(args: argparse.Namespace) -> None:
    if args.out.endswith(".json") or args.out in args.files:  # OUT is missing, so argparse took the last file for it
        raise ConfigError(f"OUT: expected a labelled file to write, after those to read, found {args.out}")
    provenance_files = [storage_path(path) for path in args.provenance]
    check_labelled_output_and_list_digests(storage_path(args.out), provenance_files)
    provenance, corrections = _read_corrections(args)
    if not corrections.spans_by_text:
        raise ConfigError(f"{', '.join(args.files)}: expected corrected sentences, found none")
    write_corrections(corrections, provenance, storage_path(args.out))
    print(
        f"{args.out}: {len(corrections.spans_by_text)} sentences, "
        f"{corrections.count_changed(provenance)} of them different from the prediction; "
        f"{corrections.conflicts} relabelled with different entities, {corrections.unreviewed} not reviewed"
    )


def _run_estimate(args: argparse.Namespace) -> None:
    if not 0 < args.within < 100:
        raise ConfigError(f"--within: expected points between 0 and 100, found {args.within:g}")
    tagged, (provenance, corrections) = find_tagged_folder(storage_path(args.tagged)), _read_corrections(args)
    tagged_spans = read_tagged_spans_by_place(tagged, provenance.sentences, _make_progress_callback())
    estimate = estimate_corpus(provenance, corrections, tagged_spans)
    print(format_estimate(estimate, args.within))
    write_estimate(tagged, estimate)


def _run_consistency(args: argparse.Namespace) -> None:
    _require_positive(args.n)
    tagged = find_tagged_folder(storage_path(args.tagged))
    n_documents, report_document = count_documents(tagged), _make_progress_callback()

    def iter_with_progress() -> Iterator[TaggedDocument]:
        for i, document in enumerate(iter_documents(tagged)):
            yield document
            report_document(i + 1, n_documents)

    print(format_inconsistencies(find_most_inconsistent(iter_with_progress(), args.n)))


def _require_positive(n: int) -> None:
    if n < 1:
        raise ConfigError(f"--n: expected 1 or more, found {n}")


def _read_corrections(args: argparse.Namespace) -> tuple[Provenance, Corrections]:
    provenance = read_provenance(map(storage_path, args.provenance))
    types = {*provenance.types, *parse_types(args.types)}
    return provenance, read_corrections(map(storage_path, args.files), provenance, types)


def parse_types(text: str) -> list[str]:
    """Return the types in the value of `--types`. Raises ConfigError for one that no format can write."""
    types = [type_name for type_name in text.split(",") if type_name]
    for type_name in types:
        if not is_markup_type(type_name):
            raise ConfigError(
                f"--types: expected types without white space, <, >, / and &, found {shorten_repr(type_name)}"
            )
    return types
