"""`rayner eval`: score a labelled file against a gold file."""

import argparse
import os
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.cli.options import add_choice_or_plugin
from rayner.config.settings import LAYOUTS, Config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.errors import ConfigError, DamagedFileError
from rayner.evaluation.artifact import FileEvaluation
from rayner.evaluation.evaluate import evaluate_files
from rayner.evaluation.score_table import format_score_table
from rayner.runs.json_files import read_json, write_json


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner eval`."""
    parser = commands.add_parser(
        "eval",
        help="score a labelled file against a gold file",
        **parser_kwargs_with_examples(
            "eval gold.txt predicted.txt", "eval gold.conll predicted.conll --layout conll --json scores.json"
        ),
    )
    parser.add_argument("gold", help="gold file, char-tab-tag")
    parser.add_argument("predicted", help="predicted file of the same text, char-tab-tag")
    add_choice_or_plugin(parser, "--layout", LAYOUTS, "layout of both files", Config().layout)
    parser.add_argument("--seed", type=int, default=13, help="seed of the bootstrap")
    parser.add_argument("--json", metavar="FILE", help="also write the scores to this file: new, or of earlier scores")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Print the scores of the predicted file, and write them to a JSON file if `--json` is given."""
    if args.json:
        _require_new_file_or_scores(Path(args.json))
    gold, predicted = (read_labelled_file(path, layout=args.layout) for path in (args.gold, args.predicted))
    result = evaluate_files(gold, predicted, seed=args.seed)
    print(format_score_table(result))
    if args.json:
        write_json(Path(args.json), result.to_json())


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
