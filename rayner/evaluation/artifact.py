"""`evaluation.json`: the scores of a run on its test sentences. All scores are in [0, 1]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayner.evaluation.metrics import IntervalScore, Score
from rayner.text.json_records import check_format_version, record_from_json, record_to_json

EVALUATION_FORMAT_VERSION = 1
Interval = tuple[float, float]
PlainSpan = tuple[int, int, str]  # start, end, type


@dataclass(frozen=True)
class ErrorCounts:
    """What became of the entities of each type (`confusion`).

    pairs: {gold type: {predicted type: n}}, "" for none.
    outcomes: {gold type: {right | boundary | type | both | missed: n}}.
    """

    pairs: Mapping[str, Mapping[str, int]]
    outcomes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system.

    micro: strict scores over all entities; interval: of its F1.
    macro_f1: mean over types; token_macro_with_o, token_macro_without_o: mean F1 over BMES tags.
    per_type: strict scores of each type, each with the interval of its F1.
    illegal, illegal_sentences: of the fusion by characters, the irregular steps of its tags, mended before scoring, and
        how many sentences have any; None for systems whose output is always legal.
    """

    micro: Score
    interval: Interval
    macro_f1: float
    token_macro_with_o: float
    token_macro_without_o: float
    per_type: Mapping[str, IntervalScore]
    errors: ErrorCounts
    illegal: int | None = None
    illegal_sentences: int | None = None


@dataclass(frozen=True)
class ConflictSummary:
    """How often each side was right in the conflict regions.

    n: regions. slm_right, llm_right, both_wrong add up to n: the sides differ, so at most one is right.
    fused_right: regions whose winner was right (none where a rule mixed the sides).
    oracle_f1: the highest micro F1 that any choice of sides, region by region, could have reached.
    """

    n: int
    slm_right: int
    llm_right: int
    both_wrong: int
    fused_right: int
    oracle_f1: float


@dataclass(frozen=True)
class Disagreement:
    """A conflict region to look at.

    start: offset of `text` in the document; text: the region with some context.
    gold, slm, llm, fused: entities of each, in `text`; region: [start, end) in `text`.
    entropy (nats), probability: H and P of the region.
    winner: slm | llm | neither; right: the side that the gold entities agree with, slm | llm | neither.
    """

    doc_id: str
    start: int
    text: str
    gold: tuple[PlainSpan, ...]
    slm: tuple[PlainSpan, ...]
    llm: tuple[PlainSpan, ...]
    fused: tuple[PlainSpan, ...]
    region: tuple[int, int]
    entropy: float
    probability: float
    winner: str
    right: str


@dataclass(frozen=True)
class ReliabilityBin:
    """Entities whose score lies in [low, high): their number, mean score, and the share that is right."""

    low: float
    high: float
    mean: float
    right: float
    n: int


@dataclass(frozen=True)
class TypeCalibration:
    """The expected calibration error of the scores of one type, over n entities."""

    n: int
    after: float


@dataclass(frozen=True)
class SystemCalibration:
    """The expected calibration error of a system's scores over n entities, and their reliability.

    before, after: of a model's own confidences, before and after calibration; fused scores have no `before`.
    by_type: of fused scores.
    """

    n: int
    after: float
    bins: tuple[ReliabilityBin, ...]
    before: float | None = None
    by_type: Mapping[str, TypeCalibration] | None = None


@dataclass(frozen=True)
class GatePoint:
    """The share of sentences that the exact gate lets through, and the fused F1 there."""

    share: float
    f1: float


@dataclass(frozen=True)
class LlmShareCurve:
    """F1 of the fused output if the LLM is asked about a share of the sentences; exact: at the exact gate's share."""

    share: tuple[float, ...]
    f1: tuple[float, ...]
    exact: GatePoint


@dataclass(frozen=True)
class Evaluation:
    """The scores of both models and their fusion on labelled sentences.

    types: entity types; n_sentences, n_chars; distinct: different texts among the sentences.
    n_without_llm: sentences without an LLM answer. The scores of `llm` are only fair if it is 0.
    systems: `slm`, `llm`, `fused`, `fused_characters` (the paper's fusion by characters), and `fused_regions` where
        another rule than the best one by regions decides.
    paired: {"fused-slm": (difference in micro F1, low, high), ...}, on the same drawn sentences.
    calibration: by system (`slm`, `llm`, `fused`).
    """

    types: tuple[str, ...]
    n_sentences: int
    n_chars: int
    distinct: int
    n_without_llm: int
    systems: Mapping[str, SystemScores]
    paired: Mapping[str, tuple[float, float, float]]
    regions: ConflictSummary
    disagreements: tuple[Disagreement, ...]
    calibration: Mapping[str, SystemCalibration] = field(default_factory=dict)
    budget: LlmShareCurve | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the format version."""
        return {**empty_evaluation(), **record_to_json(self)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], source: object) -> "Evaluation | None":
        """Read what `to_json` or `empty_evaluation` wrote; None if there were no test sentences.

        source: the file, for the message. Raises ConfigError if another version of the format wrote it.
        """
        check_format_version(
            tree, EVALUATION_FORMAT_VERSION, source, "rerun the job of that run, which writes it again"
        )
        fields = {key: value for key, value in tree.items() if key != "format_version"}
        return record_from_json(cls, fields) if fields else None


def empty_evaluation() -> dict[str, Any]:
    """Return what `evaluation.json` holds if there are no test sentences."""
    return {"format_version": EVALUATION_FORMAT_VERSION}


@dataclass(frozen=True)
class FileEvaluation:
    """The scores of one labelled file against another that holds the same text.

    gold, predicted: paths. distinct: different sentences. faults: irregularities of `gold` and `predicted`
    (`LabelledFile.faults`). systems: `predicted` alone.
    """

    gold: str
    predicted: str
    types: tuple[str, ...]
    n_sentences: int
    n_chars: int
    distinct: int
    faults: Mapping[str, Mapping[str, int]]
    systems: Mapping[str, SystemScores]

    @property
    def paired(self) -> Mapping[str, tuple[float, float, float]]:
        """No differences: there is one system."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return record_to_json(self)
