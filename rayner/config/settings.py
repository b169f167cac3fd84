"""Every setting, each declared once: default, meaning, choices, bounds, and the steps whose outcome depends on it.

One configuration serves all jobs; each reads what it needs. `rayner.config.loading` reads it from files and arguments
and checks it; `rayner.config.step_settings` picks what a step depends on.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from rayner.config.conditions import (
    characters_are_clustered,
    encoder_makes_pseudo_labels,
    examples_are_retrieved,
    instruction_is_built_in,
    llm_has_adapter,
    llm_is_from_scratch,
    llm_is_fully_trained,
    llm_is_made,
    llm_is_trained,
    llm_learns_from_examples,
    llm_learns_from_pseudo_labels,
    llm_learns_from_retrieved_examples,
    prompts_show_examples,
    slm_is_crf,
    slm_is_encoder,
    slm_is_from_scratch,
    slm_training_is_random,
)
from rayner.config.declare import StepIf, section, setting
from rayner.text.entity_types import ENTITY_TYPES

DEFAULT_TYPE_GLOSSES = {entity_type.code: entity_type.traditional for entity_type in ENTITY_TYPES}
DTYPES = ("float32", "bfloat16")
LAYOUTS = ("evahan", "conll")


PREDICTION = ("score", "tag_corpus")  # the steps in which both models answer
TRAINS_ENCODER = (StepIf("train_slm", slm_is_encoder),)
TRAINS_CRF = (StepIf("train_slm", slm_is_crf),)
TRAINS_LLM = (StepIf("train_llm", llm_is_trained),)
ENCODER_PREDICTS = (
    StepIf("train_llm", encoder_makes_pseudo_labels),
    *(StepIf(step, slm_is_encoder) for step in PREDICTION),
)


# ---- settings


@dataclass(frozen=True)
class SplitConfig:
    """How labelled sentences are divided; all copies of a sentence fall into one part."""

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
class ScratchConfig:
    """Shape of a model made from scratch (where `model: scratch`)."""

    hidden: int = setting(256, "hidden size", above=0)
    layers: int = setting(4, "layers", above=0)
    heads: int = setting(4, "attention heads", above=0)
    intermediate: int = setting(1024, "size of the feed-forward layer", above=0)
    min_count: int = setting(
        2, "characters rarer than this in the training text become the unknown token, or bytes", at_least=0
    )


@dataclass(frozen=True)
class EncoderScratchConfig(ScratchConfig):
    """Shape of an encoder made from scratch."""

    dropout: float = setting(0.1, "dropout", at_least=0, at_most=1)


@dataclass(frozen=True)
class WorkersConfig:
    """Workers of one training."""

    count: int = setting(1, "data-parallel workers", above=0)
    cpus: int = setting(1, "CPUs of each worker, also its torch threads", above=0)
    gpus: float = setting(0.0, "GPUs of each worker", at_least=0)
    max_failures: int = setting(2, "worker failures to recover from, each time from the last checkpoint", at_least=0)


@dataclass(frozen=True)
class CrfConfig:
    """A conditional random field over characters (where `slm.family: crf`)."""

    c1: float = setting(0.1, "L1 penalty", at_least=0)
    c2: float = setting(0.1, "L2 penalty", at_least=0)
    max_iterations: int = setting(100, "iterations of L-BFGS, at most", above=0)
    unlabelled: str | None = setting(
        None,
        "text file, or folder of .txt files, of the same genre and script as the labelled files: its characters are "
        "clustered by their neighbours, and the clusters become features; the corpus to tag will do",
        by_content=True,
    )
    clusters: list[int] = setting(
        [32, 512], "numbers of clusters, coarse to fine", at_least=2,
        steps=(StepIf("train_slm", characters_are_clustered),),
    )  # fmt: skip


@dataclass(frozen=True)
class SlmConfig:
    """The small model: a character tagger."""

    family: str = setting(
        "encoder",
        "encoder (of the BERT family) | crf (no weights, minutes on one core) | module:name, a CustomTagger",
        choices=("encoder", "crf"), accepts_plugin=True,
        steps=("train_slm", StepIf("train_llm", llm_learns_from_pseudo_labels), *PREDICTION),
    )  # fmt: skip
    crf: CrfConfig = section(CrfConfig, TRAINS_CRF)
    model: str = setting("scratch", "checkpoint folder or hub name, or `scratch`", steps=TRAINS_ENCODER)
    scratch: EncoderScratchConfig = section(EncoderScratchConfig, (StepIf("train_slm", slm_is_from_scratch),))
    epochs: int = setting(10, "epochs", above=0, steps=TRAINS_ENCODER)
    batch_size: int = setting(64, "sentences per step, over all workers", above=0, steps=TRAINS_ENCODER)
    lr: float = setting(2e-5, "peak learning rate", above=0, steps=TRAINS_ENCODER)
    dtype: str = setting(
        "float32", "float32 | bfloat16: arithmetic of prediction; training is in float32",
        choices=DTYPES, steps=ENCODER_PREDICTS,
    )  # fmt: skip
    warmup: float = setting(
        0.1, "share of the steps with rising learning rate; it falls linearly afterwards",
        at_least=0, at_most=1, steps=TRAINS_ENCODER,
    )  # fmt: skip
    weight_decay: float = setting(0.01, "AdamW's weight decay", at_least=0, steps=TRAINS_ENCODER)
    max_chars: int = setting(
        200, "longer sentences are cut into windows of this many characters",
        above=0, steps=(*TRAINS_ENCODER, *ENCODER_PREDICTS),
    )  # fmt: skip
    overlap: int = setting(
        50, "characters that neighbouring windows share", at_least=0, steps=(*TRAINS_ENCODER, *ENCODER_PREDICTS)
    )
    workers: WorkersConfig = section(WorkersConfig, ())


@dataclass(frozen=True)
class IndexConfig:
    """Retrieval of similar training sentences."""

    encoder: str = setting(
        "slm",
        "checkpoint folder or hub name of the sentence encoder; `slm`: the trained tagger; `ngrams`: no model, "
        "counts of characters and character pairs",
        steps=(
            "build_index",
            StepIf("train_llm", llm_learns_from_retrieved_examples),
            *(StepIf(step, examples_are_retrieved) for step in PREDICTION),
        ),
    )
    k: int = setting(
        5, "examples in a prompt", at_least=0,
        steps=(
            StepIf("train_llm", llm_learns_from_examples), *(StepIf(step, prompts_show_examples) for step in PREDICTION)
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class PromptConfig:
    """How sentences share prompts."""

    group: int = setting(
        1, "neighbouring sentences of a document that share one set of examples, read once for all of them",
        above=0, steps=(StepIf("train_llm", llm_learns_from_examples), *PREDICTION),
    )  # fmt: skip


@dataclass(frozen=True)
class LoraConfig:
    """LoRA adapter."""

    r: int = setting(64, "rank", above=0)
    alpha: int = setting(128, "scale", above=0)
    dropout: float = setting(0.05, "dropout on the adapter's input", at_least=0, at_most=1)
    targets: list[str] = setting(["all-linear"], "modules that get an adapter, or all-linear")


@dataclass(frozen=True)
class PseudoLabelsConfig:
    """Unlabelled text that the small model tags; an LLM made from scratch learns from it first."""

    text: str | None = setting(
        None, "text file, or folder of .txt files; the corpus to tag will do. Requires llm.full_epochs",
        by_content=True, steps=("train_llm",),
    )  # fmt: skip
    sentences: int = setting(
        20_000, "sentences to draw from it at random; the LLM learns from each once", above=0,
        steps=(StepIf("train_llm", llm_learns_from_pseudo_labels),),
    )  # fmt: skip


@dataclass(frozen=True)
class LlmConfig:
    """The large model: instruction, similar examples and the sentence in, the tagged sentence out."""

    model: str = setting("scratch", "checkpoint folder or hub name, or `scratch`", steps=("train_llm",))
    scratch: ScratchConfig = section(ScratchConfig, (StepIf("train_llm", llm_is_from_scratch),))
    dtype: str = setting("float32", "float32 | bfloat16: arithmetic", choices=DTYPES, steps=(*TRAINS_LLM, *PREDICTION))
    engine: str = setting(
        "transformers",
        "what runs the LLM for prediction: transformers (verifies drafts) | vllm (token by token; needs rayner[vllm])",
        choices=("transformers", "vllm"), steps=PREDICTION,
    )  # fmt: skip
    chat: bool = setting(
        True, "wrap the prompt in the tokenizer's chat template, if it has one", steps=(*TRAINS_LLM, *PREDICTION)
    )
    instruction: str | None = setting(
        None, "the task in words; null for the built-in one, empty for none", steps=("train_llm",)
    )
    type_glosses: dict[str, str] = setting(
        DEFAULT_TYPE_GLOSSES,
        "what the built-in instruction calls each type; the types themselves come from the labelled files",
        steps=(StepIf("train_llm", instruction_is_built_in),),
    )
    examples: str = setting(
        "similar", "similar | fixed | none: which examples the prompt shows",
        choices=("similar", "fixed", "none"), steps=(*TRAINS_LLM, *PREDICTION),
    )  # fmt: skip
    loss_over: str = setting(
        "allowed",
        "training loss over: allowed (the allowed tokens, where there is a choice) | all (every token, plain "
        "next-token loss, as in the paper)",
        choices=("allowed", "all"), steps=TRAINS_LLM,
    )  # fmt: skip
    softmax_over: str = setting(
        "allowed", "probabilities by the softmax over: allowed (the allowed tokens) | all (as in the paper)",
        choices=("allowed", "all"), steps=(*PREDICTION, "tune_fusion"),
    )  # fmt: skip
    full_epochs: int = setting(
        0, "epochs with all parameters before LoRA, saved as the base (for models made from scratch)",
        at_least=0, steps=("train_llm",),
    )  # fmt: skip
    full_lr: float = setting(
        1e-3, "peak learning rate of these epochs", above=0, steps=(StepIf("train_llm", llm_is_fully_trained),)
    )
    pseudo_labels: PseudoLabelsConfig = section(PseudoLabelsConfig)
    epochs: int = setting(1, "epochs of LoRA; 0 leaves the base as it is", at_least=0, steps=("train_llm",))
    max_steps_per_epoch: int = setting(
        0, "steps per epoch, at most; 0: no limit. A pretrained model needs few", at_least=0, steps=TRAINS_LLM
    )
    lr: float = setting(2e-5, "peak learning rate of LoRA", above=0, steps=(StepIf("train_llm", llm_has_adapter),))
    warmup: float = setting(
        0.05, "share of the steps with rising learning rate; it falls linearly afterwards",
        at_least=0, at_most=1, steps=TRAINS_LLM,
    )  # fmt: skip
    batch_size: int = setting(64, "sentences per step, over all workers", above=0, steps=TRAINS_LLM)
    micro_batch: int = setting(8, "sentences per forward pass of one worker", above=0, steps=TRAINS_LLM)
    checkpoint_minutes: float = setting(
        10.0, "minutes between checkpoints within an epoch; 0: only at its end", at_least=0, steps=()
    )
    zero_stage: int = setting(2, "DeepSpeed ZeRO stage", choices=(0, 1, 2, 3), steps=TRAINS_LLM)
    gradient_checkpointing: bool = setting(False, "use less memory and more time", steps=TRAINS_LLM)
    lora: LoraConfig = section(LoraConfig, (StepIf("train_llm", llm_has_adapter),))
    max_chars: int = setting(
        200, "longer sentences are cut into windows of this many characters",
        above=0, steps=(*TRAINS_LLM, *PREDICTION),
    )  # fmt: skip
    overlap: int = setting(
        50, "characters that neighbouring windows share", at_least=0, steps=(*TRAINS_LLM, *PREDICTION)
    )
    workers: WorkersConfig = section(WorkersConfig, ())


@dataclass(frozen=True)
class ScoreModelConfig:
    """How much a model reads at a time during prediction."""

    # Other batches change scores by rounding: neither the index nor pseudo-labels are made anew for that.
    batch_size: int = setting(32, "sentences per forward pass", above=0, steps=PREDICTION)


@dataclass(frozen=True)
class ScoreConfig:
    """Prediction by both models, on held-out text and on the corpus alike."""

    actors: int = setting(1, "actors; each holds both models and takes one unit of work at a time", above=0, steps=())
    cpus: float = setting(1.0, "CPUs of each actor; as many torch threads, at least one", above=0, steps=())
    gpus: float = setting(0.0, "GPUs of each actor", at_least=0, steps=())
    slm: ScoreModelConfig = section(ScoreModelConfig)
    llm: ScoreModelConfig = section(ScoreModelConfig)
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
    """The search for the fusion rule."""

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
        "what P is: entities (the paper's, of the LLM's entities) | slots (of its choice at each slot); all listed "
        "are tried",
        choices=("entities", "slots"),
    )
    rules: list[str] = setting(
        ["regions", "spans"],
        "rules to choose from by held-out F1: regions (conflict regions) | spans (learned) | module:name, a CustomRule",
        choices=("regions", "spans"), accepts_plugin=True,
    )  # fmt: skip
    folds: int = setting(
        5, "parts of the held-out data; each rule is judged on the part that it was not fitted on", at_least=2
    )
    ridge: float = setting(3.0, "L2 penalty on the weights of the learned rule", at_least=0)
    max_concurrent_trials: int = setting(2, "trials that run at the same time", above=0, steps=())


@dataclass(frozen=True)
class GateConfig:
    """Which sentences of the corpus the LLM is asked about."""

    exact: bool = setting(True, "skip the LLM wherever no answer of it could change the output")
    share: float = setting(
        1.0, "ask about this share of the sentences only, those where it should change most", at_least=0, at_most=1
    )


@dataclass(frozen=True)
class TagConfig:
    """Tagging of the corpus."""

    max_set_aside: float = setting(
        0.001, "share of segments that may fail and be set aside; above it the job ends with exit code 3", at_least=0
    )
    evahan: bool = setting(True, "also write OUT/evahan, one char-tab-tag file per document")


@dataclass(frozen=True)
class BenchConfig:
    """The benchmark of a run against its peers."""

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
    """The published experiment (jobs/reproduce.py)."""

    llm_setups: list[str] = setting(
        ["few shot", "similarity prompt", "SFT + few shot", "SFT + similarity prompt"],
        "how the LLM is trained and prompted: the paper's four setups, or `as configured`",
        choices=("few shot", "similarity prompt", "SFT + few shot", "SFT + similarity prompt", "as configured"),
    )
    n_seeds: int = setting(1, "seeds of split and training, counting up from `seed`", above=0)


@dataclass(frozen=True)
class Config:
    """All settings."""

    run: str = setting("", "run folder: models, scores, report; made if absent", steps=())
    train: list[str] = setting([], "labelled files, separated by commas", steps=("data",))
    layout: str = setting(
        "evahan", "layout of the labelled files: evahan | conll | module:name, a reader",
        choices=LAYOUTS, accepts_plugin=True, steps=("data",),
    )  # fmt: skip
    # The plan of a tagged corpus holds its texts: the same texts elsewhere are the same corpus.
    corpus: str | None = setting(None, "text file, or folder of .txt files, to tag", steps=())
    out: str | None = setting(None, "folder of the tagged corpus; null: RUN/tagged", steps=())
    seed: int = setting(
        13, "seed of the split and of training", at_least=0,
        steps=(
            "data", StepIf("train_slm", slm_training_is_random), StepIf("train_llm", llm_is_made), "tune_fusion"
        ),
    )  # fmt: skip
    # Another device changes scores by rounding: nothing is made anew for that.
    device: str = setting("auto", "auto (CUDA if there is one) | cpu | cuda", choices=("auto", "cpu", "cuda"), steps=())
    split: SplitConfig = section(SplitConfig)
    slm: SlmConfig = section(SlmConfig)
    index: IndexConfig = section(IndexConfig)
    llm: LlmConfig = section(LlmConfig)
    prompt: PromptConfig = section(PromptConfig)
    score: ScoreConfig = section(ScoreConfig)
    fusion: FusionConfig = section(FusionConfig, ("tune_fusion",))
    gate: GateConfig = section(GateConfig, ("tag_corpus",))
    tag: TagConfig = section(TagConfig, ())
    bench: BenchConfig = section(BenchConfig, ())
    datasets: dict[str, str] = setting(
        {}, "labelled files of jobs/reproduce.py by name, such as datasets.A=FILE", steps=()
    )
    reproduce: ReproduceConfig = section(ReproduceConfig, ())


def config_to_dict(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    """Convert a configuration, or a section of one, to plain values."""
    return dataclasses.asdict(config)


def json_digest(*values: Any) -> str:  # noqa: ANN401 - anything that JSON can write
    """Return twelve hexadecimal digits that change whenever one of the (JSON) values does."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def get_setting(config: Any, key: str) -> Any:  # noqa: ANN401 - a setting of any type
    """Return the value of a setting by its dotted key."""
    for part in key.split("."):
        config = getattr(config, part)
    return config
