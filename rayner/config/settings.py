"""Every setting, typed, with its meaning. One configuration serves all jobs; each reads what it needs.

How it is read from a file and from arguments, and checked, is `rayner.config.loading`' business.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


def setting(default: Any, description: str) -> Any:  # noqa: ANN401 - the default of a dataclass field, of any type
    """A field with its default (a class stands for a section of its own) and its meaning, as `--help` shows it."""
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata={"help": description})
    if isinstance(default, type):
        return field(default_factory=default, metadata={"help": description})
    return field(default=default, metadata={"help": description})


DEFAULT_TYPE_GLOSSES = {
    "NR": "人名", "NS": "地名", "NB": "書名", "NO": "官職", "NG": "國名", "T": "時間",
    "ZD": "疾病", "ZZ": "證候", "ZF": "方劑", "ZP": "飲片", "ZS": "症狀", "ZA": "穴位",
}  # fmt: skip


@dataclass(frozen=True)
class SplitConfig:
    """How labelled sentences are divided; all copies of a sentence fall into one part."""

    dev: float = setting(0.1, "share held out for best epochs, fusion and calibration")
    test: float = setting(0.1, "share held out for the final scores, used once")
    folds: int = setting(
        0,
        "parts of the training sentences, each scored by models trained on the others, so that fusion is tuned on all "
        "of them; 0: on `dev` alone. Trains both models so many times more",
    )
    fold: int = setting(-1, "train without this one of the folds, and score it alone; -1: with all of them")


@dataclass(frozen=True)
class ScratchConfig:
    """Shape of a model made from scratch (where `model: scratch`)."""

    hidden: int = setting(256, "hidden size")
    layers: int = setting(4, "layers")
    heads: int = setting(4, "attention heads")
    intermediate: int = setting(1024, "size of the feed-forward layer")
    dropout: float = setting(0.1, "dropout (the encoder only)")
    min_count: int = setting(2, "characters rarer than this in the training text are spelled as unknown, or in bytes")


@dataclass(frozen=True)
class WorkersConfig:
    """Workers of one training."""

    count: int = setting(1, "data-parallel workers")
    cpus: int = setting(1, "CPUs of each, also its torch threads")
    gpus: float = setting(0.0, "GPUs of each")
    max_failures: int = setting(2, "worker failures survived, each from the last checkpoint")


@dataclass(frozen=True)
class CrfConfig:
    """A conditional random field over characters (where `family: crf`)."""

    c1: float = setting(0.1, "L1 penalty")
    c2: float = setting(0.1, "L2 penalty")
    iterations: int = setting(100, "iterations of L-BFGS, at most")
    unlabelled: str | None = setting(
        None,
        "text file, or folder of .txt files, of the same kind and script as the labelled ones: its characters are "
        "clustered by their company, which the field then sees; the corpus to tag will do",
    )
    clusters: list[str] = setting(["32", "512"], "numbers of clusters, coarse to fine")


@dataclass(frozen=True)
class SlmConfig:
    """The small model: a character tagger."""

    family: str = setting(
        "encoder", "encoder (of the BERT family) | crf (no weights, minutes of one core) | module:name, a CustomTagger"
    )
    crf: CrfConfig = setting(
        CrfConfig, "the field, where family is crf, which reads `dtype`, `scratch` and the like not"
    )
    model: str = setting("scratch", "checkpoint folder or hub name, or `scratch`")
    scratch: ScratchConfig = setting(ScratchConfig, "shape if made from scratch")
    epochs: int = setting(10, "epochs")
    batch_size: int = setting(64, "sentences a step, over all workers")
    lr: float = setting(2e-5, "peak learning rate")
    dtype: str = setting("float32", "float32 | bfloat16: arithmetic when it scores; it trains in float32")
    warmup: float = setting(0.1, "share of the steps with rising learning rate; it falls linearly after")
    weight_decay: float = setting(0.01, "AdamW's weight decay")
    max_chars: int = setting(200, "window of a longer sentence, characters")
    overlap: int = setting(50, "overlap of its windows, characters")
    workers: WorkersConfig = setting(WorkersConfig, "training workers")


@dataclass(frozen=True)
class IndexConfig:
    """Retrieval of similar training sentences."""

    encoder: str = setting(
        "slm",
        "checkpoint folder or hub name of the sentence encoder; `slm`: the trained tagger's; `ngrams`: none, but "
        "counts of characters and their pairs",
    )
    k: int = setting(5, "examples in a prompt")


@dataclass(frozen=True)
class PromptConfig:
    """How prompts are shared."""

    group: int = setting(1, "neighbouring sentences of a document that share one set of examples, read once for all")


@dataclass(frozen=True)
class LoraConfig:
    """LoRA adapter."""

    r: int = setting(64, "rank")
    alpha: int = setting(128, "scale")
    dropout: float = setting(0.05, "dropout on the adapter's input")
    targets: list[str] = setting(["all-linear"], "modules that get an adapter, or all-linear")


@dataclass(frozen=True)
class PseudoLabelsConfig:
    """Unlabelled text that the small model tags for an LLM from scratch to learn from first."""

    text: str | None = setting(
        None,
        "text, as in slm.crf.unlabelled; the corpus to tag will do. Only with llm.full_epochs",
    )
    sentences: int = setting(20_000, "sentences of it, drawn at random; each is learned from once")


@dataclass(frozen=True)
class LlmConfig:
    """The large model: instruction, similar examples and the sentence in, the tagged sentence out."""

    model: str = setting("scratch", "checkpoint folder or hub name, or `scratch`")
    scratch: ScratchConfig = setting(ScratchConfig, "shape if made from scratch")
    chat: bool = setting(True, "wrap the prompt in the tokenizer's chat template, if it has one")
    instruction: str | None = setting(None, "the task in words; null for the built-in one, empty for none")
    examples: str = setting("similar", "similar | fixed | none: which examples stand in the prompt")
    objective: str = setting("decisions", "decisions (choices among allowed tokens) | tokens (plain next-token loss)")
    probability: str = setting(
        "allowed", "softmax over: allowed (the allowed tokens) | unmasked (all, as in the paper)"
    )
    full_epochs: int = setting(0, "epochs with all parameters before LoRA, saved as the base (for models from scratch)")
    full_lr: float = setting(1e-3, "peak learning rate of these")
    silver: PseudoLabelsConfig = setting(PseudoLabelsConfig, "what comes before these")
    epochs: int = setting(1, "epochs of LoRA; 0 leaves the base as it is")
    max_steps: int = setting(0, "steps of an epoch, at most; 0 for all: a pretrained model needs few")
    lr: float = setting(2e-5, "peak learning rate of LoRA")
    warmup: float = setting(0.05, "share of the steps with rising learning rate; it falls linearly after")
    batch_size: int = setting(64, "sentences a step, over all workers")
    micro_batch: int = setting(8, "sentences a forward pass of one worker")
    checkpoint_minutes: float = setting(10.0, "minutes between checkpoints within an epoch; 0 for none but at its end")
    zero_stage: int = setting(2, "DeepSpeed ZeRO stage")
    gradient_checkpointing: bool = setting(False, "trade time for memory")
    lora: LoraConfig = setting(LoraConfig, "adapter")
    max_chars: int = setting(200, "window of a longer sentence, characters")
    overlap: int = setting(50, "overlap of its windows, characters")
    workers: WorkersConfig = setting(WorkersConfig, "training workers")


@dataclass(frozen=True)
class ScoreModelConfig:
    """How much a model takes at a time when it scores."""

    batch_size: int = setting(32, "sentences a forward pass")


@dataclass(frozen=True)
class ScoreConfig:
    """Scoring by both models, on held-out text and on the corpus alike."""

    actors: int = setting(1, "actors; each holds both models and takes a unit of work at a time")
    cpus: float = setting(1.0, "CPUs of each; its torch threads are as many, at least one")
    gpus: float = setting(0.0, "GPUs of each")
    slm: ScoreModelConfig = setting(ScoreModelConfig, "the small model")
    llm: ScoreModelConfig = setting(ScoreModelConfig, "the LLM")
    draft: bool = setting(True, "verify the small model's tags in a few passes; false decodes token by token, alike")
    unit_chars: int = setting(20_000, "characters of a unit of work, the step of progress and of resume")
    max_restarts: int = setting(30, "times that an actor may die and start again, until the job gives up")


@dataclass(frozen=True)
class FusionConfig:
    """The search for the fusion rule."""

    weight_min: float = setting(-1.5, "smallest lambda tried")
    weight_max: float = setting(1.0, "largest lambda tried")
    steps: int = setting(2501, "values of lambda in between")
    entropy: list[str] = setting(["mean", "max"], "reductions of H over a region that are tried")
    probability: list[str] = setting(["mean", "min", "product"], "reductions of P that are tried")
    evidence: list[str] = setting(["entities", "decisions"], "readings of P that are tried")
    rules: list[str] = setting(
        ["regions", "spans"],
        "rules that may be chosen, by held-out F1: regions (the paper's) | spans (learned) | module:name, a CustomRule",
    )
    folds: int = setting(5, "parts of the held-out data; each rule is judged on the part that it was not fitted on")
    ridge: float = setting(3.0, "penalty on the weights of the learned rule")
    trials_at_once: int = setting(2, "trials that run side by side")


@dataclass(frozen=True)
class GateConfig:
    """Which sentences of the corpus the LLM is asked about."""

    exact: bool = setting(True, "skip the LLM wherever no answer of it could change the output")
    share: float = setting(1.0, "ask about this share of the sentences only, those where it should change most")


@dataclass(frozen=True)
class TagConfig:
    """Tagging of the corpus."""

    max_set_aside: float = setting(0.001, "share of segments that may be set aside; beyond it the job ends with 3")
    evahan: bool = setting(True, "also write OUT/evahan, a char-tab-tag file a document")


@dataclass(frozen=True)
class BenchConfig:
    """The benchmark of a run against its peers."""

    sentences: int = setting(160, "sentences of the corpus that the LLM stage is timed on")
    rounds: int = setting(5, "rounds; all that is compared takes turns in each, and medians are told")
    group: int = setting(16, "prompt.group of the mode with shared prefixes")
    share: float = setting(0.2, "gate.share of the mode with a budget")
    weight: float | None = setting(None, "lambda of the gate that is measured; null for the one that was tuned")
    vllm: str | None = setting(None, "python of an environment that has vllm, measured too; null leaves it out")
    end_to_end: bool = setting(False, "also tag the whole corpus, with Ray and in one process")


@dataclass(frozen=True)
class ReproduceConfig:
    """The published experiment (jobs/reproduce.py)."""

    llm: list[str] = setting(
        ["few shot", "similarity prompt", "SFT + few shot", "SFT + similarity prompt"],
        "how the LLM is trained and asked: these four, or `as configured`",
    )
    seeds: int = setting(1, "seeds of split and training, counted on from `seed`")


@dataclass(frozen=True)
class Config:
    """All settings."""

    run: str = setting("", "run folder: models, scores, report; made if absent")
    train: list[str] = setting([], "labelled files, separated by commas")
    layout: str = setting("evahan", "layout of the labelled files: evahan | conll | module:name, a reader")
    corpus: str | None = setting(None, "text file, or folder of .txt files, to tag")
    out: str | None = setting(None, "folder of the tagged corpus; null for RUN/tagged")
    types: dict[str, str] = setting(
        DEFAULT_TYPE_GLOSSES, "glosses shown to the LLM; the types themselves come from the labelled files"
    )
    seed: int = setting(13, "seed of the split and of training")
    device: str = setting("auto", "auto (CUDA if there is one) | cpu | cuda")
    dtype: str = setting("float32", "float32 | bfloat16: arithmetic of the LLM")
    engine: str = setting(
        "transformers", "what runs the LLM when it scores: transformers (drafts) | vllm (token by token; rayner[vllm])"
    )
    split: SplitConfig = setting(SplitConfig, "division of the labelled sentences")
    slm: SlmConfig = setting(SlmConfig, "small model")
    index: IndexConfig = setting(IndexConfig, "retrieval")
    llm: LlmConfig = setting(LlmConfig, "large model")
    prompt: PromptConfig = setting(PromptConfig, "prompts")
    score: ScoreConfig = setting(ScoreConfig, "scoring")
    fusion: FusionConfig = setting(FusionConfig, "fusion")
    gate: GateConfig = setting(GateConfig, "gate")
    tag: TagConfig = setting(TagConfig, "tagging")
    bench: BenchConfig = setting(BenchConfig, "benchmark")
    datasets: dict[str, str] = setting({}, "labelled sets of jobs/reproduce.py by name, such as datasets.A=FILE")
    reproduce: ReproduceConfig = setting(ReproduceConfig, "the published experiment")


def config_to_dict(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    """The settings as plain values."""
    return dataclasses.asdict(config)


def json_digest(*values: Any) -> str:  # noqa: ANN401 - anything that JSON can write
    """Twelve hexadecimal digits that change whenever one of the (JSON) values does."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def get_setting(config: Any, key: str) -> Any:  # noqa: ANN401 - a setting of any type
    """The setting under a dotted key."""
    for part in key.split("."):
        config = getattr(config, part)
    return config
