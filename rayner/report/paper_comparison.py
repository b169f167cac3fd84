"""Compare the scores of runs with the scores in the paper, in Markdown and CSV tables with a row for each system.

The published numbers (method, section 5) are token-level macro F1 on a 10% split of the training data, in [0, 1]. The
paper does not say over which classes the mean is taken, so our rows give the scores by four definitions
(`TokenScores`). Its P and R were not at hand. The published row `fused` uses the paper's rule by characters. It is
compared with our row `fused`, which uses the rule that the run chose.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.metrics import TokenScores

PUBLISHED_F1: dict[str, dict[str, float]] = {
    "few shot": {"A": 0.2626, "B": 0.4072, "C": 0.2492},
    "similarity prompt": {"A": 0.4400, "B": 0.6367, "C": 0.5182},
    "SFT + few shot": {"A": 0.6737, "B": 0.8329, "C": 0.5878},
    "SFT + similarity prompt": {"A": 0.8350, "B": 0.8694, "C": 0.6381},
    "SLM": {"A": 0.8305, "B": 0.8738, "C": 0.7207},
    "fused": {"A": 0.8855, "B": 0.8824, "C": 0.7733},
}
TOKEN_TITLE = (
    "Token-level macro scores, each the mean over classes, with the 95% interval of F1. The published F1 is also "
    "token-level and macro, but its classes are not defined. The published P and R were not at hand."
)
SYSTEM_NAMES = {
    "slm": "SLM",
    "llm": "LLM",
    "fused": "fused",
    "fused_characters": "fused by characters",
    "fused_regions": "fused by regions",
    "fused_spans": "fused by the learned rule",
}


@dataclass(frozen=True)
class ScoreRow:
    """The scores of a system on the test part of a data set, in [0, 1].

    setting: How the LLM was trained and prompted.
    low, high: The interval of micro_f1.
    token: The token-level macro scores.
    published: The token-level macro F1 in the paper.

    A score is None if it was not measured or not published.
    """

    dataset: str
    seed: int
    setting: str
    system: str
    sentences: int
    precision: float | None
    recall: float | None
    micro_f1: float
    low: float | None
    high: float | None
    macro_f1: float | None
    token: TokenScores | None
    published: float | None


@dataclass(frozen=True)
class FusionGain:
    """How much better the fused output is than the better of the two models.

    better: The name of the model with the higher micro F1.
    micro_gain, low, high: The difference in strict micro F1, and its paired interval.
    token_gain: The difference in token-level macro F1 (tags with O) from the model for which that score is higher.
    way: micro_gain as a share of the gain of the oracle, None if the oracle is not better than the model. The oracle
        chooses the best side (SLM or LLM) in each conflict region.
    """

    dataset: str
    seed: int
    setting: str
    better: str
    micro_gain: float
    low: float
    high: float
    token_gain: float
    way: float | None


TOKEN_CLASSES = tuple(column.name for column in fields(TokenScores))
MACRO_COLUMNS = ("precision", "recall", "f1", "low", "high")
COLUMNS = (
    *(column.name for column in fields(ScoreRow) if column.name != "token"),
    *(f"{classes}_{column}" for classes in TOKEN_CLASSES for column in MACRO_COLUMNS),
)


def list_score_rows_with_oracle(dataset: str, seed: int, llm_setup: str, evaluation: Evaluation) -> list[ScoreRow]:
    """Return a row for each system of an evaluation, and a row for the oracle over conflict regions.

    llm_setup: How the LLM was trained and prompted. If it is a key of PUBLISHED_F1, the row of the LLM shows the
        published scores of that key.
    """
    rows = []
    for key, name in SYSTEM_NAMES.items():
        if key not in evaluation.systems:
            continue
        scores = evaluation.systems[key]
        published = PUBLISHED_F1.get(llm_setup if key == "llm" else name, {})
        rows.append(
            ScoreRow(
                dataset, seed, llm_setup, name, evaluation.n_sentences,
                scores.micro.precision, scores.micro.recall, scores.micro.f1, *scores.interval,
                scores.macro_f1, scores.token, published.get(dataset),
            )
        )  # fmt: skip
    oracle = ScoreRow(
        dataset, seed, llm_setup, "oracle over regions", evaluation.n_sentences,
        None, None, evaluation.regions.oracle_f1, None, None, None, None, None,
    )  # fmt: skip
    return [*rows, oracle]


def measure_fusion_gain(dataset: str, seed: int, llm_setup: str, evaluation: Evaluation) -> FusionGain:
    """Compare the fused output with the better model (by micro F1) and with the oracle over conflict regions."""
    systems = evaluation.systems
    better = max(("slm", "llm"), key=lambda name: systems[name].micro.f1)
    gain, low, high = evaluation.paired[f"fused-{better}"]
    model_token_f1 = max(systems[name].token.tags_with_o.f1 for name in ("slm", "llm"))
    to_oracle = evaluation.regions.oracle_f1 - systems[better].micro.f1
    return FusionGain(
        dataset,
        seed,
        llm_setup,
        SYSTEM_NAMES[better],
        gain,
        low,
        high,
        token_gain=systems["fused"].token.tags_with_o.f1 - model_token_f1,
        way=gain / to_oracle if to_oracle > 0 else None,
    )


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


def rows_to_markdown(rows: Sequence[ScoreRow], gains: Sequence[FusionGain]) -> str:
    """Return the tables of strict scores, of token-level scores beside the published F1, and of gains, in percent."""
    score_header = ["set", "seed", "LLM", "system", "P", "R", "micro F1", "95% interval", "macro F1"]
    token_header = ["set", "seed", "LLM", "system", "published F1", *map(_name_token_classes, TOKEN_CLASSES)]
    gain_header = ["set", "seed", "LLM", "better model", "fused, micro F1", "95% interval", "token macro",
                   "way to the oracle"]  # fmt: skip
    tables = {
        "Strict scores of entities": [score_header, *map(_format_score_cells, rows)],
        TOKEN_TITLE: [token_header, *(_format_token_cells(row) for row in rows if row.token)],
        "Gain of the fused output over the better model": [gain_header, *map(_format_gain_cells, gains)],
    }
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
    ]


def _format_token_cells(row: ScoreRow) -> list[str]:
    macros = row.token.by_name().values() if row.token else ()
    cells = [
        f"{', '.join(map(_format_percent, (macro.precision, macro.recall, macro.f1)))} "
        f"({' to '.join(map(_format_percent, macro.interval))})"
        for macro in macros
    ]
    return [row.dataset, str(row.seed), row.setting, row.system, _format_percent(row.published), *cells]


def _format_gain_cells(gain: FusionGain) -> list[str]:
    return [
        gain.dataset,
        str(gain.seed),
        gain.setting,
        gain.better,
        f"{100 * gain.micro_gain:+.2f}",
        f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}",
        f"{100 * gain.token_gain:+.2f}",
        "" if gain.way is None else f"{gain.way:.0%}",
    ]


def _format_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"
