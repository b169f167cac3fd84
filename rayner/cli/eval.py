"""`rayner eval`: score a labelled file, or a document of a tagged corpus, against a gold file."""

import argparse
import os
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.cli.options import add_choice_or_plugin
from rayner.config.settings import LAYOUTS, Config
from rayner.corpus.labelled_files import describe_labelled_file, read_labelled_file
from rayner.errors import ConfigError, DamagedFileError, DataError
from rayner.evaluation.artifact import FileEvaluation
from rayner.evaluation.evaluate import evaluate_files
from rayner.evaluation.score_table import format_score_table
from rayner.runs.json_files import read_json, write_json
from rayner.runs.storage import StoragePath, storage_path
from rayner.text.labelled_text import LabelledFile
from rayner.text.messages import shorten_repr


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner eval`."""
    parser = commands.add_parser(
        "eval",
        **parser_kwargs_with_examples(
            "eval gold.txt predicted.txt",
            "eval gold.txt runs/mine",
            "eval gold.conll predicted.conll --layout conll --json scores.json",
        ),
    )
    parser.add_argument("gold", help="gold file: labelled text in any layout that `--layout` names")
    parser.add_argument(
        "predicted",
        help="predicted labelled file of the same text; or a tagged corpus or its run folder, with that text",
    )
    add_choice_or_plugin(parser, "--layout", LAYOUTS, "layout of both files", Config().layout)
    parser.add_argument("--seed", type=int, default=13, help="seed of the bootstrap")
    parser.add_argument("--json", metavar="FILE", help="also write the scores to this file: new, or of earlier scores")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Print the scores of the predicted file, and write them to a JSON file if `--json` is given."""
    if args.json:
        _require_new_file_or_scores(Path(args.json))
    gold, folder = read_labelled_file(args.gold, layout=args.layout), storage_path(args.predicted)
    if folder.is_dir():
        files = [gold]
        gold, predicted = _pair_with_tagged_document(gold, folder)
    else:
        predicted = read_labelled_file(args.predicted, layout=args.layout)
        files = [gold, predicted]
    result = evaluate_files(gold, predicted, seed=args.seed)
    print("\n".join(map(describe_labelled_file, files)))
    print(format_score_table(result))
    if args.json:
        write_json(Path(args.json), result.to_json())


def _pair_with_tagged_document(gold: LabelledFile, folder: StoragePath) -> tuple[LabelledFile, LabelledFile]:
    """Return a gold file and the document of a tagged corpus that has its text, both without line breaks.

    Char-tab-tag files hold no line breaks, and texts do.
    folder: the folder of the tagged corpus, or its run folder.
    Raises DataError if no document has the text.
    """
    from rayner.corpus.exports import get_entity_spans
    from rayner.corpus.exports.evahan import join_lines, remove_line_breaks
    from rayner.corpus.tables import find_tagged_folder, iter_documents

    tagged, n_documents = find_tagged_folder(folder), 0
    gold_text, gold_spans = remove_line_breaks(gold.text, gold.spans)
    lengths = (len(join_lines(gold.text[start:end])) for start, end in gold.text_bounds())
    text_starts = tuple(accumulate(lengths))[:-1]
    for document in iter_documents(tagged):
        if join_lines(document.text) == gold_text:
            text, spans = remove_line_breaks(document.text, get_entity_spans(document))
            predicted = LabelledFile(f"{tagged}: {document.doc_id}", text, tuple(spans), (), {})
            return replace(gold, text=gold_text, spans=tuple(gold_spans), text_starts=text_starts), predicted
        n_documents += 1
    raise DataError(
        f"{tagged}: expected a document with the text of {gold.path} ({len(gold_text)} characters, "
        f"{shorten_repr(gold_text[:20])} ...), found none among {n_documents}: tag the text of that file"
    )


def _require_new_file_or_scores(path: Path) -> None:
    """Raise ConfigError if a file exists that does not hold scores."""
    try:
        if not os.path.lexists(path) or {"gold", "predicted"} <= set(read_json(path)) <= set(
            FileEvaluation.__dataclass_fields__
        ):
            return
    except (DamagedFileError, FileNotFoundError, TypeError):
        pass
    raise ConfigError(f"--json: expected a new file, or one with earlier scores, found another: {path}")
