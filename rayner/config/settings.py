"""All settings. Each declares its default, meaning, choices, bounds, and the steps whose outcome depends on it.

All jobs use the same configuration class, and each job reads the settings that it needs. `rayner.config.loading` reads
a configuration from files and arguments and checks it. `rayner.config.step_settings` selects the settings that a step
depends on.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from rayner.config.conditions import (
    candidates_are_scored,
    has_llm,
    llm_is_made,
    slm_training_is_random,
)
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.declare import PREDICTION, StepIf, find_plain_value_setting, section, setting
from rayner.config.model_settings import LLM_PREDICTS, IndexConfig, LlmConfig, PromptConfig, SlmConfig
from rayner.config.pretrain_settings import PretrainConfig

LAYOUTS = ("auto", "evahan", "conll", "csv", "xlsx", "jsonl", "label-studio", "markup", "tei")  # of labelled files
DEVICES = ("auto", "cpu", "cuda")
DOCUMENT, BLOCK, SENTENCE = "document", "block", "sentence"  # what is held out as a whole
PAPER_SETUPS = ("few shot", "similarity prompt", "SFT + few shot", "SFT + similarity prompt")  # rows of its Table 3
FREE_ANSWERS = " (free)"  # after the name of a setup: the LLM answers without the grammar, as in the paper


@dataclass(frozen=True)
class SplitConfig:
    """Settings that divide the labelled sentences. All copies of a sentence go into the same part."""

    by: str = setting(
        "auto",
        "what is held out as a whole: document (a labelled file) | block (consecutive sentences) | sentence (scores of "
        "single sentences are too high for other documents, because training saw their neighbours) | auto (document "
        "with ten labelled files or more, block otherwise)",
        choices=("auto", DOCUMENT, BLOCK, SENTENCE), steps=("data",),
    )  # fmt: skip
    dev: float = setting(
        0.1, "share of the labelled sentences held out to choose epochs and to fit fusion and calibration",
        above=0, steps=("data",),
    )  # fmt: skip
    test: float = setting(0.1, "share held out for the final scores, used once", at_least=0, steps=("data",))
    folds: int = setting(
        0,
        "parts of the training sentences, each scored by models trained on the others, so that fusion is tuned on all "
        "of them; 0: fusion is tuned on `dev` alone. Trains both models once more for each part",
        at_least=0, steps=("cross_fit", "tune_fusion"),
    )  # fmt: skip


@dataclass(frozen=True)
class ScoreModelConfig:
    """The batch size of a model in prediction."""

    # Another batch size changes scores only by rounding, so it does not invalidate the index.
    batch_size: int = setting(32, "sentences per forward pass", above=0)


@dataclass(frozen=True)
class ScoreSlmConfig(ScoreModelConfig):
    """The small model in prediction."""

    actors: int = setting(
        0, "actors that hold the small model alone, in front of those with the LLM, while a corpus is tagged; 0: each "
        "actor holds both models. Needs tag.keep_scores",
        at_least=0, steps=(),
    )  # fmt: skip
    cpus: float = setting(1.0, "CPUs of each of these actors", above=0, steps=())
    gpus: float = setting(0.0, "GPUs of each of these actors", at_least=0, steps=())


@dataclass(frozen=True)
class ScoreLlmConfig(ScoreModelConfig):
    """The LLM in prediction: its batch size, and what it is asked."""

    batch_tokens: int = setting(
        65_536,
        "tokens of the LLM in memory at a time, padding included: those of the forward pass and of all held caches. A "
        "unit that runs out of memory starts again with half of it. llm.engine=vllm ignores it",
        above=0,
    )  # fmt: skip
    candidates: bool = setting(
        False, "also ask the LLM how likely each span is that the learned rule judges, whether the LLM predicted it or "
        "not, in further short passes over the cached prompt",
        # Not an input where it is false, so predictions of older versions stay valid.
        steps=tuple(StepIf(step, candidates_are_scored) for step in PREDICTION),
    )  # fmt: skip


@dataclass(frozen=True)
class ScoreConfig:
    """Prediction by both models, on held-out sentences and on the corpus."""

    actors: int = setting(1, "actors; each holds both models and takes one unit of work at a time", above=0, steps=())
    cpus: float = setting(1.0, "CPUs of each actor; as many torch threads, at least one", above=0, steps=())
    gpus: float = setting(0.0, "GPUs of each actor", at_least=0, steps=())
    slm: ScoreSlmConfig = section(ScoreSlmConfig, PREDICTION)
    llm: ScoreLlmConfig = section(ScoreLlmConfig, LLM_PREDICTS)
    draft: bool = setting(
        True, "verify the small model's tags in a few passes; false: decode token by token, with the same answers",
        steps=(),
    )  # fmt: skip
    unit_chars: int = setting(
        20_000, "characters in a unit of work; progress and resume go by units", above=0, steps=PREDICTION
    )
    max_restarts: int = setting(30, "restarts of an actor that dies, before the job gives up", at_least=0, steps=())


@dataclass(frozen=True)
class FusionConfig:
    """Settings of the search for the fusion rule.

    H is the entropy of the small model (nats), P the LLM's probability.
    """

    weight_min: float = setting(-1.5, "smallest lambda tried")
    weight_max: float = setting(1.0, "largest lambda tried")
    weight_steps: int = setting(2501, "number of lambdas tried, evenly spaced", above=0)
    entropy_reduction: list[str] = setting(
        ["mean", "max"], "how to reduce H over a region; all listed are tried", choices=("mean", "max")
    )
    llm_reduction: list[str] = setting(
        ["mean", "min", "product"], "how to reduce P over a region; all listed are tried",
        choices=("mean", "min", "product"),
    )  # fmt: skip
    llm_confidence: list[str] = setting(
        ["entities", "slots"],
        "what P of a region is: entities (of the LLM's entities) | slots (of its choice at each slot); all listed are "
        "tried",
        choices=("entities", "slots"),
    )
    rules: list[str] = setting(
        ["regions", "spans"],
        "rules to choose from by held-out F1: characters (the paper's) | regions (conflict regions) | spans (learned) "
        "| documents (learned, with the decisions on the same strings elsewhere in the document; needs split.by other "
        "than sentence) | module:name, a CustomRule",
        choices=("characters", "regions", "spans", "documents"), accepts_plugin=True,
    )  # fmt: skip
    # No steps: tagging records whether the LLM is asked, so a setting that changes nothing redoes nothing.
    llm: str = setting(
        "auto",
        "whether tagging asks the LLM: auto (only if, on held-out sentences, its worth over the LLM-free control is "
        "beyond chance) | always | never (the control tags)",
        choices=("auto", "always", "never"), steps=(),
    )  # fmt: skip
    folds: int = setting(
        5, "parts of the held-out data; each rule is judged on the part that it was not fitted on", at_least=2
    )
    ridge: float = setting(3.0, "L2 penalty on the weights of the learned rule", at_least=0)
    max_concurrent_trials: int = setting(2, "trials that run at the same time", above=0, steps=())


@dataclass(frozen=True)
class GateConfig:
    """The gate, which decides for which sentences of the corpus the LLM is run.

    The gate skips the LLM if it could not change the result (`exact`), or if the budget (`share`) is used up.
    """

    exact: bool = setting(True, "skip the LLM wherever no answer of it could change the output")
    share: float = setting(
        1.0, "ask about this share of the sentences only, those where it should change most", at_least=0, at_most=1
    )


@dataclass(frozen=True)
class TagConfig:
    """Settings of tagging the corpus."""

    max_set_aside: float = setting(
        0.001, "share of segments that may fail and be set aside; above it the job ends with exit code 3", at_least=0
    )
    evahan: bool = setting(True, "also write OUT/evahan, one char-tab-tag file per document")
    keep_scores: bool = setting(
        True, "keep what both models said in OUT/scores, so that another fusion rule or gate needs minutes instead of "
        "the LLM; some 50 bytes a character of text",
    )  # fmt: skip
    corrections: str | None = setting(
        None, "corrections.jsonl of a corrected corpus, to correct this tagging in the same way; null: that of OUT, if "
        "there is one",
    )  # fmt: skip
    max_segment_chars: int = setting(
        5000, "longer sentences of the corpus are cut into pieces of at most this many characters, to bound memory and "
        "time; entities across a cut are found",
        above=0, steps=("tag_corpus",),
    )  # fmt: skip
    stall_minutes: float = setting(
        30.0, "minutes without progress after which an actor is killed and its unit tried again; loading the models "
        "may take ten times as long",
        above=0,
    )  # fmt: skip


@dataclass(frozen=True)
class BenchConfig:
    """Settings of the benchmark, which compares the speed of a run's models with other software."""

    sentences: int = setting(160, "sentences of the corpus that the LLM stage is timed on", above=0)
    rounds: int = setting(5, "rounds; every candidate takes its turn in each, and the median counts", above=0)
    prompt_group: int = setting(16, "prompt.group of the mode with shared prefixes", above=0)
    gate_share: float = setting(0.2, "gate.share of the mode with a budget", at_least=0, at_most=1)
    gate_weight: float | None = setting(None, "lambda of the gate that is measured; null: the tuned one")
    vllm_python: str | None = setting(
        None, "python of an environment that has vllm, to measure it too; null: leave it out"
    )
    end_to_end: bool = setting(False, "also tag the whole corpus, with Ray and in one process")


@dataclass(frozen=True)
class ReproduceConfig:
    """The paper's experiment (`rayner reproduce`)."""

    llm_setups: list[str] = setting(
        list(PAPER_SETUPS),
        "how the LLM is trained and prompted: the paper's four setups; each followed by ` (free)`, with "
        "llm.decoding=free as in the paper; or `as configured`",
        choices=(*PAPER_SETUPS, *(setup + FREE_ANSWERS for setup in PAPER_SETUPS), "as configured"),
    )
    n_seeds: int = setting(
        1, "number of seeds of split and training, counting up from `seed`; the tables show the mean and each", above=0
    )


@dataclass(frozen=True)
class Config:
    """All settings."""

    run: str = setting("", "run folder: models, scores, report; made if absent", steps=(), essential=True)
    train: list[str] = setting([], "labelled files, separated by commas", steps=("data",), essential=True)
    layout: str = setting(
        "auto",
        "layout of the labelled files: auto (recognised by the content) | evahan (a character and its tag in a line) | "
        "conll (columns) | csv | xlsx | jsonl | label-studio | markup | tei | module:name, a reader",
        choices=LAYOUTS, accepts_plugin=True, steps=("data",), essential=True,
    )  # fmt: skip
    corpus: CorpusConfig = section(CorpusConfig)
    out: str | None = setting(
        None, "folder of the tagged corpus (null: RUN/tagged), or of the pretrained encoder", steps=(), essential=True
    )
    seed: int = setting(
        13, "seed of the split and of training", at_least=0,
        steps=(
            "data", StepIf("train_slm", slm_training_is_random), StepIf("train_llm", llm_is_made), "tune_fusion",
            "pretrain",
        ),
        essential=True,
    )  # fmt: skip
    # Another device changes scores only by rounding, so no step is redone.
    device: str = setting("auto", "auto (CUDA if there is one) | cpu | cuda", choices=DEVICES, steps=(), essential=True)
    split: SplitConfig = section(SplitConfig)
    slm: SlmConfig = section(SlmConfig)
    index: IndexConfig = section(IndexConfig)
    llm: LlmConfig = section(LlmConfig)
    prompt: PromptConfig = section(PromptConfig)
    score: ScoreConfig = section(ScoreConfig)
    fusion: FusionConfig = section(FusionConfig, ("tune_fusion",))
    gate: GateConfig = section(GateConfig, (StepIf("tag_corpus", has_llm),))
    tag: TagConfig = section(TagConfig, ())
    pretrain: PretrainConfig = section(PretrainConfig, ("pretrain",))
    bench: BenchConfig = section(BenchConfig, ())
    datasets: dict[str, str] = setting(
        {}, "labelled files of `rayner reproduce` by name, such as datasets.A=FILE", steps=()
    )
    reproduce: ReproduceConfig = section(ReproduceConfig, ())


def config_to_dict(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    """Convert a configuration or a section to a dict of plain values."""
    return dataclasses.asdict(config)


def json_digest(*values: Any) -> str:  # noqa: ANN401 - anything that JSON can write
    """Return a digest of JSON values: the first 12 hexadecimal digits of their SHA-256."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def get_setting(config: Any, key: str) -> Any:  # noqa: ANN401 - a setting of any type
    """Return the value of a setting by its dotted key."""
    for part in key.split("."):
        config = getattr(config, part)
    plain_value_setting = find_plain_value_setting(type(config))
    return getattr(config, plain_value_setting) if plain_value_setting else config
