"""Compare the scores of runs with the scores in the paper: a row for each system, the gain of the fusion, and means.

The published numbers (method, section 5) are token-level macro F1 on a 10% split of the training data, in [0, 1]. The
paper does not say over which classes the mean is taken, so our rows give the scores by four definitions
(`TokenScores`). Its P and R were not at hand. The published fusion uses the rule by characters, so its score stands in
our row of this rule. The row `fused` is the rule that the run chose.

Each fusion has an LLM-free control: a rule of the same kind, fitted on empty answers of the LLM. What a fusion gains
over its control is what the LLM is worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rayner.config.settings import FREE_ANSWERS
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.metrics import TokenScores
from rayner.text.predictions import FreeAnswerFaults

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
    "control": "control",
    "fused_characters": "fused by characters",
    "control_characters": "control by characters",
    "fused_regions": "fused by regions",
    "control_regions": "control by regions",
    "fused_spans": "fused by the learned rule",
    "control_spans": "control by the learned rule",
    "fused_documents": "fused by the learned rule with evidence from the document",
    "control_documents": "control by the learned rule with evidence from the document",
}
PUBLISHED_SYSTEMS = {"slm": "SLM", "fused_characters": "fused"}


@dataclass(frozen=True)
class ScoreRow:
    """The scores of a system on the test part of a data set, in [0, 1].

    setting: How the LLM was trained and prompted.
    low, high: The interval of micro_f1.
    token: The token-level macro scores.
    published: The token-level macro F1 in the paper.
    over_control: For a fusion, how much higher its micro F1 is than that of its control: what the LLM is worth.
    over_control_low, over_control_high: The paired interval of this difference.

    A score is None if it was not measured or not published, or if the system has no control.
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
    over_control: float | None = None
    over_control_low: float | None = None
    over_control_high: float | None = None


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


@dataclass(frozen=True)
class FreeAnswerRow:
    """How the LLM's free answers on the test part of a cell differ from a copy of their sentences."""

    dataset: str
    seed: int
    setting: str
    faults: FreeAnswerFaults


@dataclass(frozen=True)
class ScoresOverSeeds:
    """The mean of each score of a system over the seeds of a cell, in [0, 1].

    scores: {name of the score: (mean, score of each seed)}. The names are `micro_f1`, `macro_f1`, `over_control` and
        the fields of TokenScores, for their F1.
    """

    dataset: str
    setting: str
    system: str
    seeds: tuple[int, ...]
    published: float | None
    scores: Mapping[str, tuple[float, tuple[float, ...]]]


def list_score_rows_with_oracle(dataset: str, seed: int, llm_setup: str, evaluation: Evaluation) -> list[ScoreRow]:
    """Return a row for each system of an evaluation and, with an LLM, one for the oracle over conflict regions.

    llm_setup: How the LLM was trained and prompted. If it is a key of PUBLISHED_F1, the row of the LLM shows the
        published scores of that key, with free answers or without.
    """
    rows = []
    for key, name in SYSTEM_NAMES.items():
        if key not in evaluation.systems:
            continue
        scores = evaluation.systems[key]
        published_name = llm_setup.removesuffix(FREE_ANSWERS) if key == "llm" else PUBLISHED_SYSTEMS.get(key, "")
        published = PUBLISHED_F1.get(published_name, {})
        over_control = evaluation.paired.get(f"{key}-{key.replace('fused', 'control')}", (None, None, None))
        rows.append(
            ScoreRow(
                dataset, seed, llm_setup, name, evaluation.n_sentences,
                scores.micro.precision, scores.micro.recall, scores.micro.f1, *scores.interval,
                scores.macro_f1, scores.token, published.get(dataset), *over_control,
            )
        )  # fmt: skip
    if evaluation.regions is None:
        return rows
    oracle = ScoreRow(
        dataset, seed, llm_setup, "oracle over regions", evaluation.n_sentences,
        None, None, evaluation.regions.oracle_f1, None, None, None, None, None,
    )  # fmt: skip
    return [*rows, oracle]


def measure_fusion_gain(dataset: str, seed: int, llm_setup: str, evaluation: Evaluation) -> FusionGain | None:
    """Compare the fused output with the better model (by micro F1) and with the oracle over conflict regions.

    Returns None without an LLM.
    """
    if evaluation.regions is None:
        return None
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


def average_over_seeds(rows: Sequence[ScoreRow]) -> list[ScoresOverSeeds]:
    """Return the means of the systems that have rows of several seeds, in the order of the rows."""
    groups: dict[tuple[str, str, str], list[ScoreRow]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.setting, row.system), []).append(row)
    return [_average_rows(group) for group in groups.values() if len(group) > 1]


def _average_rows(rows: Sequence[ScoreRow]) -> ScoresOverSeeds:
    by_seed = list(map(_f1_by_name, rows))
    each = {name: tuple(scores[name] for scores in by_seed) for name in by_seed[0]}
    first = rows[0]
    return ScoresOverSeeds(
        first.dataset,
        first.setting,
        first.system,
        tuple(row.seed for row in rows),
        first.published,
        {name: (fmean(values), values) for name, values in each.items()},
    )


def _f1_by_name(row: ScoreRow) -> dict[str, float]:
    scores = {"micro_f1": row.micro_f1} | ({} if row.macro_f1 is None else {"macro_f1": row.macro_f1})
    scores |= {} if row.over_control is None else {"over_control": row.over_control}
    return scores | {name: macro.f1 for name, macro in (row.token.by_name() if row.token else {}).items()}
