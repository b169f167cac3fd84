"""Write the comparison with the paper as Markdown and CSV tables."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from rayner.evaluation.metrics import TokenScores
from rayner.report.paper_comparison import FreeAnswerRow, FusionGain, ScoreRow, ScoresOverSeeds, average_over_seeds
from rayner.text.predictions import FreeAnswerFaults

TOKEN_CLASSES = tuple(column.name for column in fields(TokenScores))
MACRO_COLUMNS = ("precision", "recall", "f1", "low", "high")
COLUMNS = (
    *(column.name for column in fields(ScoreRow) if column.name != "token"),
    *(f"{classes}_{column}" for classes in TOKEN_CLASSES for column in MACRO_COLUMNS),
)
SCORE_TITLE = (
    "Strict scores of entities. A control is a rule of the same kind that was fitted on empty answers of the LLM. What "
    "a fusion gains over its control is what the LLM is worth."
)
TOKEN_TITLE = (
    "Token-level macro scores, each the mean over classes, with the 95% interval of F1. The published F1 is also "
    "token-level and macro, but its classes are not defined. The published P and R were not at hand."
)
GAIN_TITLE = "Gain of the fused output over the better model"
FREE_ANSWERS_TITLE = (
    "Free answers of the LLM: how many there are, how many are not a copy of their sentence, and how they differ. The "
    "scores above count the entities that could be aligned with the sentence."
)
FREE_ANSWERS_HEADER = ["set", "seed", "LLM", *(column.name.replace("_", " ") for column in fields(FreeAnswerFaults))]
MEANS_TITLE = "Means over seeds, with the score of each seed in parentheses. Each seed has a split of its own."
MEANS_HEADER = ["set", "seeds", "LLM", "system", "published F1", "micro F1", "macro F1", "over its control",
                *(f"{classes.removesuffix('_o').replace('_', ' ')} O: F1" for classes in TOKEN_CLASSES)]  # fmt: skip


def rows_to_csv(rows: Iterable[ScoreRow]) -> str:
    """Return the rows as CSV with a header. Scores are in [0, 1]."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_flatten_row, rows))
    return stream.getvalue()


def _flatten_row(row: ScoreRow) -> dict[str, Any]:
    columns = {name: value for name, value in asdict(row).items() if name != "token"}
    for classes, macro in (row.token.by_name() if row.token else {}).items():
        values = (macro.precision, macro.recall, macro.f1, *macro.interval)
        columns |= {f"{classes}_{column}": value for column, value in zip(MACRO_COLUMNS, values, strict=True)}
    return columns


def rows_to_markdown(
    rows: Sequence[ScoreRow], gains: Sequence[FusionGain], free_answers: Sequence[FreeAnswerRow] = ()
) -> str:
    """Return the tables of strict scores, of token-level scores beside the published F1, and of gains, in percent.

    If there are several seeds, a table shows the means over seeds and the score of each seed. If there are free
    answers, a table shows how they differ from copies of their sentences.
    """
    means = average_over_seeds(rows)
    score_header = ["set", "seed", "LLM", "system", "P", "R", "micro F1", "95% interval", "macro F1",
                    "over its control", "95% interval of the difference"]  # fmt: skip
    token_header = ["set", "seed", "LLM", "system", "published F1", *map(_name_token_classes, TOKEN_CLASSES)]
    gain_header = ["set", "seed", "LLM", "better model", "fused, micro F1", "95% interval", "token macro",
                   "way to the oracle"]  # fmt: skip
    tables = {
        SCORE_TITLE: [score_header, *map(_format_score_cells, rows)],
        TOKEN_TITLE: [token_header, *(_format_token_cells(row) for row in rows if row.token)],
    }
    if gains:
        tables[GAIN_TITLE] = [gain_header, *map(_format_gain_cells, gains)]
    if means:
        tables[MEANS_TITLE] = [MEANS_HEADER, *map(_format_mean_cells, means)]
    if free_answers:
        tables[FREE_ANSWERS_TITLE] = [FREE_ANSWERS_HEADER, *map(_format_free_answer_cells, free_answers)]
    return "\n".join(f"{title}\n\n{_format_table(table)}" for title, table in tables.items())


def _format_table(cells: Sequence[Sequence[str]]) -> str:
    header, *rows = cells
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *rows))


def _name_token_classes(classes: str) -> str:
    return f"{classes.removesuffix('_o').replace('_', ' ')} O: P, R, F1"


def _format_score_cells(row: ScoreRow) -> list[str]:
    return [
        row.dataset,
        str(row.seed),
        row.setting,
        row.system,
        *map(_format_percent, (row.precision, row.recall, row.micro_f1)),
        f"{_format_percent(row.low)} to {_format_percent(row.high)}" if row.low is not None else "",
        _format_percent(row.macro_f1),
        _format_points(row.over_control),
        _format_points_interval(row.over_control_low, row.over_control_high),
    ]


def _format_token_cells(row: ScoreRow) -> list[str]:
    macros = row.token.by_name().values() if row.token else ()
    cells = [
        f"{', '.join(map(_format_percent, (macro.precision, macro.recall, macro.f1)))} "
        f"({' to '.join(map(_format_percent, macro.interval))})"
        for macro in macros
    ]
    return [row.dataset, str(row.seed), row.setting, row.system, _format_percent(row.published), *cells]


def _format_mean_cells(mean: ScoresOverSeeds) -> list[str]:
    cells = []
    for name in ("micro_f1", "macro_f1", "over_control", *TOKEN_CLASSES):
        average, each = mean.scores.get(name, (None, ()))
        format_number = _format_points if name == "over_control" else _format_percent
        cells.append(f"{format_number(average)} ({', '.join(map(format_number, each))})" if each else "")
    seeds = ", ".join(map(str, mean.seeds))
    return [mean.dataset, seeds, mean.setting, mean.system, _format_percent(mean.published), *cells]


def _format_free_answer_cells(row: FreeAnswerRow) -> list[str]:
    return [row.dataset, str(row.seed), row.setting, *map(str, astuple(row.faults))]


def _format_gain_cells(gain: FusionGain) -> list[str]:
    return [
        gain.dataset,
        str(gain.seed),
        gain.setting,
        gain.better,
        _format_points(gain.micro_gain),
        _format_points_interval(gain.low, gain.high),
        _format_points(gain.token_gain),
        "" if gain.way is None else f"{gain.way:.0%}",
    ]


def _format_points_interval(low: float | None, high: float | None) -> str:
    return f"{_format_points(low)} to {_format_points(high)}" if low is not None else ""


def _format_points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f}"


def _format_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"
