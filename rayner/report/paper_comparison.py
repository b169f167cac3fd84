"""Compare the scores of runs with the scores in the paper, in Markdown and CSV tables with a row for each system.

The published numbers (method, section 5) are token-level macro F1 on a 10% split of the training data, in [0, 1]. The
paper does not say whether the tag O counts, so our rows give both scores. The published row `fused` uses the paper's
rule by characters. It is compared with our row `fused`, which uses the rule that the run chose.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from rayner.evaluation.artifact import Evaluation

PUBLISHED_F1: dict[str, dict[str, float]] = {
    "few shot": {"A": 0.2626, "B": 0.4072, "C": 0.2492},
    "similarity prompt": {"A": 0.4400, "B": 0.6367, "C": 0.5182},
    "SFT + few shot": {"A": 0.6737, "B": 0.8329, "C": 0.5878},
    "SFT + similarity prompt": {"A": 0.8350, "B": 0.8694, "C": 0.6381},
    "SLM": {"A": 0.8305, "B": 0.8738, "C": 0.7207},
    "fused": {"A": 0.8855, "B": 0.8824, "C": 0.7733},
}
SYSTEM_NAMES = {
    "slm": "SLM",
    "llm": "LLM",
    "fused": "fused",
    "fused_regions": "fused by regions",
    "fused_characters": "fused by characters",
}


@dataclass(frozen=True)
class ScoreRow:
    """The scores of a system on the test part of a data set, in [0, 1].

    setting: How the LLM was trained and prompted.
    low, high: The interval of micro_f1.
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
    token_macro_with_o: float | None
    token_macro_without_o: float | None
    published: float | None


@dataclass(frozen=True)
class FusionGain:
    """How much better the fused output is than the better of the two models.

    better: The name of the model with the higher micro F1.
    micro_gain, low, high: The difference in strict micro F1, and its paired interval.
    token_gain: The difference in token-level macro F1 (with O) from the model for which that score is higher.
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


COLUMNS = tuple(column.name for column in fields(ScoreRow))


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
                scores.macro_f1, scores.token_macro_with_o, scores.token_macro_without_o, published.get(dataset),
            )
        )  # fmt: skip
    oracle = ScoreRow(
        dataset, seed, llm_setup, "oracle over regions", evaluation.n_sentences,
        None, None, evaluation.regions.oracle_f1, None, None, None, None, None, None,
    )  # fmt: skip
    return [*rows, oracle]


def measure_fusion_gain(dataset: str, seed: int, llm_setup: str, evaluation: Evaluation) -> FusionGain:
    """Compare the fused output with the better model (by micro F1) and with the oracle over conflict regions."""
    systems = evaluation.systems
    better = max(("slm", "llm"), key=lambda name: systems[name].micro.f1)
    gain, low, high = evaluation.paired[f"fused-{better}"]
    model_token_f1 = max(systems[name].token_macro_with_o for name in ("slm", "llm"))
    to_oracle = evaluation.regions.oracle_f1 - systems[better].micro.f1
    return FusionGain(
        dataset,
        seed,
        llm_setup,
        SYSTEM_NAMES[better],
        gain,
        low,
        high,
        token_gain=systems["fused"].token_macro_with_o - model_token_f1,
        way=gain / to_oracle if to_oracle > 0 else None,
    )


def rows_to_csv(rows: Iterable[ScoreRow]) -> str:
    """Return the rows as CSV with a header. Scores are in [0, 1]."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    return stream.getvalue()


def rows_to_markdown(rows: Sequence[ScoreRow], gains: Sequence[FusionGain]) -> str:
    """Return the table of scores and the table of gains, in percent."""
    score_header = ["set", "seed", "LLM", "system", "P", "R", "micro F1", "95% interval", "macro F1",
                    "token macro, with O", "without O", "paper"]  # fmt: skip
    gain_header = ["set", "seed", "LLM", "better model", "fused, micro F1", "95% interval", "token macro",
                   "way to the oracle"]  # fmt: skip
    lines = [score_header, ["---"] * len(score_header), *map(_format_score_cells, rows), []]
    lines += [gain_header, ["---"] * len(gain_header), *map(_format_gain_cells, gains)]
    return "\n".join(f"| {' | '.join(cells)} |" if cells else "" for cells in lines) + "\n"


def _format_score_cells(row: ScoreRow) -> list[str]:
    shares = (row.macro_f1, row.token_macro_with_o, row.token_macro_without_o, row.published)
    return [
        row.dataset,
        str(row.seed),
        row.setting,
        row.system,
        *map(_format_percent, (row.precision, row.recall, row.micro_f1)),
        f"{_format_percent(row.low)} to {_format_percent(row.high)}" if row.low is not None else "",
        *map(_format_percent, shares),
    ]


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
