"""`rayner eval`: the scores of a labelled file against a gold one."""

import argparse
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import examples_help
from rayner.cli.options import add_choice_or_plugin
from rayner.config.settings import LAYOUTS, Config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.evaluation.evaluate import evaluate_files, format_score_table
from rayner.runs.run_folder import write_json


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "eval",
        help="score a labelled file against a gold one",
        **examples_help(
            "eval gold.txt predicted.txt", "eval gold.conll predicted.conll --layout conll --json scores.json"
        ),
    )
    parser.add_argument("gold", help="gold file, char-tab-tag")
    parser.add_argument("predicted", help="predicted file, char-tab-tag, of the same text")
    add_choice_or_plugin(parser, "--layout", LAYOUTS, "layout of both files", Config().layout)
    parser.add_argument("--seed", type=int, default=13, help="seed of the bootstrap")
    parser.add_argument("--json", metavar="FILE", help="also write the scores there")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Print the table."""
    gold, predicted = (read_labelled_file(path, layout=given.layout) for path in (given.gold, given.predicted))
    result = evaluate_files(gold, predicted, seed=given.seed)
    print(format_score_table(result))
    if given.json:
        write_json(Path(given.json), result.to_json())
