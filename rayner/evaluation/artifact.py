"""The file `evaluation.json`, which holds the scores of a run on its test sentences. All scores are in [0, 1]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayner.evaluation.calibration_records import SystemCalibration
from rayner.evaluation.metrics import IntervalScore, Score, TokenScores
from rayner.fusion.control import LlmWorth
from rayner.text.json_records import parse_record, record_to_json

EVALUATION_FILE = "evaluation.json"
EVALUATION_FORMAT_VERSION = 5  # 5: names that training showed, and others, are scored apart
EVALUATION_REMEDY = "rerun the job of that run, which writes it again"
Interval = tuple[float, float]
PlainSpan = tuple[int, int, str]  # start, end, type


@dataclass(frozen=True)
class ErrorCounts:
    """How often each outcome occurred, for the gold entities of each type (`confusion`).

    pairs: {gold type: {predicted type: n}}, with "" for no entity.
    outcomes: {gold type: {right | boundary | type | both | missed: n}}.
    """

    pairs: Mapping[str, Mapping[str, int]]
    outcomes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class NameScores:
    """Strict scores of some of the names.

    micro: over all types.
    recall_interval: bootstrap interval of the recall.
    per_type: by type, without types that do not occur.
    """

    micro: Score
    recall_interval: Interval
    per_type: Mapping[str, Score]


@dataclass(frozen=True)
class SeenAndUnseenScores:
    """Scores of the names that the training text tags somewhere, with any type, and of the others.

    precision_interval: bootstrap interval of the precision on all names.
    recall_interval: bootstrap interval of the recall of all names.
    """

    precision_interval: Interval
    recall_interval: Interval
    seen: NameScores
    unseen: NameScores


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system.

    micro: strict scores over all entities.
    interval: bootstrap interval of the micro F1.
    macro_f1: mean F1 over types.
    token: token-level macro scores over BMES tags and over types.
    per_type: strict scores of each type, with the interval of its F1.
    errors: outcomes of the entities of each type.
    names: scores of names that training showed, and of others; None if the training text is not known.
    illegal: for the fusion by characters, the number of irregular steps in its tags, which are repaired before scoring.
        None for systems whose output is always legal.
    illegal_sentences: number of sentences with an irregular step; None in the same cases.
    """

    micro: Score
    interval: Interval
    macro_f1: float
    token: TokenScores
    per_type: Mapping[str, IntervalScore]
    errors: ErrorCounts
    names: SeenAndUnseenScores | None = None
    illegal: int | None = None
    illegal_sentences: int | None = None


@dataclass(frozen=True)
class ConflictSummary:
    """How often each side was right in the conflict regions.

    n: number of regions.
    slm_right: number of regions in which the SLM was right.
    llm_right: number of regions in which the LLM was right.
    both_wrong: number of the other regions. The sides differ, so they are never both right.
    fused_right: number of regions whose winner was right. Regions in which a rule mixed the sides do not count.
    oracle_f1: the highest micro F1 that can be reached by choosing one side in each region.
    """

    n: int
    slm_right: int
    llm_right: int
    both_wrong: int
    fused_right: int
    oracle_f1: float


@dataclass(frozen=True)
class Disagreement:
    """A conflict region with its context, for a person to look at.

    start: offset of `text` in the document.
    text: the region with some context.
    gold: gold entities, with offsets in `text`.
    slm: the SLM's entities, with offsets in `text`.
    llm: the LLM's entities, with offsets in `text`.
    fused: the fused entities, with offsets in `text`.
    region: [start, end) of the region in `text`.
    entropy: H of the region (SLM entropy, nats).
    probability: P of the region (LLM probability).
    winner: the side that won: slm | llm | neither.
    right: the side whose entities are the gold ones: slm | llm | neither.
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
class GatePoint:
    """The share of the sentences that pass the gate, and the fused F1 at this share."""

    share: float
    f1: float


@dataclass(frozen=True)
class LlmShareCurve:
    """F1 of the fused output if the LLM is asked about a share of the sentences.

    share: the shares.
    f1: F1 at each share.
    exact: the share of the sentences that pass the gate (which skips the LLM where it could not change the result), and
        F1 there.
    """

    share: tuple[float, ...]
    f1: tuple[float, ...]
    exact: GatePoint


@dataclass(frozen=True)
class Evaluation:
    """The scores of the models and of their fusion on labelled sentences.

    In a run without an LLM, `fused` is what the rule makes of the small model's predictions.

    types: entity types.
    n_sentences: number of sentences.
    n_chars: number of characters.
    distinct: number of distinct texts among the sentences.
    n_without_llm: number of sentences without an LLM answer. The scores of `llm` are only fair if it is 0.
    systems: scores of `slm`, `llm`, `fused` (by the chosen rule), `fused_characters` (by the paper's rule),
        `fused_regions` and `fused_spans`. One of the last three repeats `fused` if a built-in rule was chosen. For
        each of the four there is an LLM-free control (`control`, `control_characters` ...). A run without an LLM has
        neither `llm` nor controls.
    paired: {"fused-slm": (difference in micro F1, low, high), ...}, with the same bootstrap sample for both systems.
    regions: how often each side was right in the conflict regions; None without an LLM.
    disagreements: conflict regions to look at.
    calibration: calibration error by system (`slm`, `llm`, `fused`).
    budget: F1 by the share of sentences that the LLM is asked about; None without an LLM.
    """

    types: tuple[str, ...]
    n_sentences: int
    n_chars: int
    distinct: int
    n_without_llm: int
    systems: Mapping[str, SystemScores]
    paired: Mapping[str, tuple[float, float, float]]
    regions: ConflictSummary | None
    disagreements: tuple[Disagreement, ...]
    calibration: Mapping[str, SystemCalibration] = field(default_factory=dict)
    budget: LlmShareCurve | None = None

    @property
    def llm_worth(self) -> LlmWorth | None:
        """What the LLM's answers are worth: the fusion against its control. None if they were not compared."""
        if not self.n_sentences or "fused-control" not in self.paired:
            return None
        difference, low, high = self.paired["fused-control"]
        fused_f1, control_f1 = (self.systems[name].micro.f1 for name in ("fused", "control"))
        return LlmWorth(self.n_sentences, fused_f1, control_f1, difference, (low, high))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the format version."""
        return {**empty_evaluation(), **record_to_json(self)}

    @classmethod
    def from_json(cls, tree: Any, source: object) -> "Evaluation | None":  # noqa: ANN401 - any JSON value
        """Read what `to_json` or `empty_evaluation` returned; None if there were no test sentences.

        source: the file, for the message.

        Raises ConfigError if another version of the format wrote the file, DamagedFileError if the file is damaged.
        """
        if tree == empty_evaluation():
            return None
        return parse_record(
            cls, tree, source, expected="an evaluation", remedy=EVALUATION_REMEDY,
            format_version=EVALUATION_FORMAT_VERSION,
        )  # fmt: skip


def empty_evaluation() -> dict[str, Any]:
    """Return the content of `evaluation.json` for a run without test sentences."""
    return {"format_version": EVALUATION_FORMAT_VERSION}


@dataclass(frozen=True)
class FileEvaluation:
    """The scores of one labelled file against another that holds the same text.

    gold: path of the gold file.
    predicted: path of the predicted file.
    types: entity types.
    n_sentences: number of sentences.
    n_chars: number of characters.
    distinct: number of distinct sentences.
    faults: irregularities of `gold` and of `predicted` (`LabelledFile.faults`).
    systems: scores of `predicted`, the only system.
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
        """An empty mapping, because there is only one system."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return record_to_json(self)
