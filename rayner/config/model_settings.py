"""The settings of the small model, the LLM, and the LLM's prompts and examples (see `rayner.config.settings`)."""

from dataclasses import dataclass

from rayner.config.conditions import (
    characters_are_clustered,
    examples_are_retrieved,
    has_llm,
    has_no_llm,
    instruction_is_built_in,
    llm_has_adapter,
    llm_is_from_scratch,
    llm_is_fully_trained,
    llm_is_trained,
    llm_learns_from_examples,
    llm_learns_from_retrieved_examples,
    prompts_show_examples,
    prompts_show_hints,
    slm_is_crf,
    slm_is_encoder,
    slm_is_from_scratch,
)
from rayner.config.declare import PREDICTION, StepIf, section, setting
from rayner.config.vllm_settings import VllmConfig
from rayner.text.entity_types import ENTITY_TYPES

DEFAULT_TYPE_GLOSSES = {entity_type.code: entity_type.traditional for entity_type in ENTITY_TYPES}
DTYPES = ("float32", "bfloat16")
LLM_PREDICTS = tuple(StepIf(step, has_llm) for step in PREDICTION)
TRAINS_ENCODER = (StepIf("train_slm", slm_is_encoder),)
TRAINS_CRF = (StepIf("train_slm", slm_is_crf),)
TRAINS_LLM = (StepIf("train_llm", llm_is_trained),)
ENCODER_PREDICTS = tuple(StepIf(step, slm_is_encoder) for step in ("cross_fit_slm", *PREDICTION))


@dataclass(frozen=True)
class ScratchConfig:
    """Shape of a model made from scratch. It is read only with `model: scratch`."""

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
    """Workers of one training job."""

    count: int = setting(1, "data-parallel workers", above=0)
    cpus: int = setting(1, "CPUs of each worker, also its torch threads", above=0)
    gpus: float = setting(0.0, "GPUs of each worker", at_least=0)
    max_failures: int = setting(2, "worker failures to recover from, each time from the last checkpoint", at_least=0)


@dataclass(frozen=True)
class CrfConfig:
    """A conditional random field over characters. It is used only with `slm.family: crf`."""

    c1: float = setting(0.1, "L1 penalty", at_least=0)
    c2: float = setting(0.1, "L2 penalty", at_least=0)
    max_iterations: int = setting(100, "iterations of L-BFGS, at most", above=0)
    unlabelled: str | None = setting(
        None,
        "text file, or folder of .txt files, of the same genre and script as the labelled files: its characters are "
        "clustered by their neighbours, and the clusters become features; `corpus`: the corpus to tag, if there is one",
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
        choices=("encoder", "crf"), accepts_plugin=True, essential=True,
        steps=("train_slm", "cross_fit_slm", *PREDICTION),
    )  # fmt: skip
    crf: CrfConfig = section(CrfConfig, TRAINS_CRF)
    model: str = setting("scratch", "checkpoint folder or hub name, or `scratch`", steps=TRAINS_ENCODER, essential=True)
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
    # Another device finds the same sentences, so no step is redone.
    device: str = setting(
        "auto",
        "where FAISS searches: auto (a GPU if faiss-gpu is installed and the process has one) | cpu | cuda",
        choices=("auto", "cpu", "cuda"), steps=(),
    )  # fmt: skip


@dataclass(frozen=True)
class PromptConfig:
    """Settings by which neighbouring sentences share the examples of a prompt."""

    group: int = setting(
        1, "neighbouring sentences of a document that share one set of examples, read once for all of them",
        above=0, steps=(StepIf("train_llm", llm_learns_from_examples), *LLM_PREDICTS),
    )  # fmt: skip


@dataclass(frozen=True)
class LoraConfig:
    """Settings of the LoRA adapter."""

    r: int = setting(64, "rank", above=0)
    alpha: int = setting(128, "scale", above=0)
    dropout: float = setting(0.05, "dropout on the adapter's input", at_least=0, at_most=1)
    targets: list[str] = setting(["all-linear"], "modules that get an adapter, or all-linear")


@dataclass(frozen=True)
class LlmConfig:
    """The large model (LLM).

    Its prompt holds the instruction, the examples and the sentence. Its output is the tagged sentence.
    """

    model: str = setting(
        "scratch",
        "checkpoint folder or hub name, or `scratch`; `none`: no LLM, and the fusion rule decides on what the small "
        "model says",
        steps=("train_llm", *(StepIf(step, has_no_llm) for step in (*PREDICTION, "tune_fusion"))), essential=True,
    )  # fmt: skip
    scratch: ScratchConfig = section(ScratchConfig, (StepIf("train_llm", llm_is_from_scratch),))
    dtype: str = setting(
        "float32", "float32 | bfloat16: arithmetic", choices=DTYPES, steps=(*TRAINS_LLM, *LLM_PREDICTS)
    )
    load_in: str = setting(
        "none",
        "none | nf4: nf4 holds the base model's linear layers in memory with 4 bits a weight (needs rayner[nf4])",
        choices=("none", "nf4"), steps=(*TRAINS_LLM, *LLM_PREDICTS),
    )  # fmt: skip
    engine: str = setting(
        "transformers",
        "what runs the LLM for prediction: transformers (verifies drafts) | vllm (token by token; needs rayner[vllm])",
        choices=("transformers", "vllm"), steps=LLM_PREDICTS,
    )  # fmt: skip
    vllm: VllmConfig = section(VllmConfig)
    decoding: str = setting(
        "automaton",
        "automaton (an answer can only be the text with tags) | free (generated as in the paper, and aligned with the "
        "text afterwards; needs softmax_over=all; drafts and stop masks do not apply)",
        choices=("automaton", "free"), steps=LLM_PREDICTS,
    )  # fmt: skip
    chat: bool = setting(
        True,
        "wrap the prompt in the tokenizer's chat template, if it has one, without thinking",
        steps=(*TRAINS_LLM, *LLM_PREDICTS),
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
        choices=("similar", "fixed", "none"), steps=(*TRAINS_LLM, *LLM_PREDICTS),
    )  # fmt: skip
    hint: str = setting(
        "none",
        "what the prompt shows of the small model's prediction: none | tags (the sentence with its tags) | confidence "
        "(also its confidence after each entity). For an LLM that is trained, the small model is trained once more for "
        "each of llm.hint_folds",
        choices=("none", "tags", "confidence"),
        steps=tuple(StepIf(step, prompts_show_hints) for step in ("train_llm", *PREDICTION)),
    )  # fmt: skip
    hint_folds: int = setting(
        5, "parts of the training sentences; the hints in a part come from a small model that trained on the others",
        at_least=2, steps=("cross_fit_slm",),
    )  # fmt: skip
    loss_over: str = setting(
        "allowed",
        "training loss over: allowed (the allowed tokens, where there is a choice) | all (every token, plain "
        "next-token loss, as in the paper)",
        choices=("allowed", "all"), steps=TRAINS_LLM,
    )  # fmt: skip
    softmax_over: str = setting(
        "allowed", "probabilities by the softmax over: allowed (the allowed tokens) | all (as in the paper)",
        choices=("allowed", "all"), steps=(*LLM_PREDICTS, StepIf("tune_fusion", has_llm)),
    )  # fmt: skip
    full_epochs: int = setting(
        0, "epochs with all parameters before LoRA, saved as the base (for models made from scratch)",
        at_least=0, steps=("train_llm",),
    )  # fmt: skip
    full_lr: float = setting(
        1e-3, "peak learning rate of these epochs", above=0, steps=(StepIf("train_llm", llm_is_fully_trained),)
    )
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
    micro_batch_tokens: int = setting(
        4096,
        "tokens per forward pass of one worker, padding counted, a beginning that prompts share counted once; a longer "
        "sentence gets a pass of its own. Affects memory and speed; the gradient is the same for any value",
        above=0, steps=(),
    )  # fmt: skip
    checkpoint_minutes: float = setting(
        10.0, "minutes between checkpoints within an epoch; 0: only at its end", at_least=0, steps=()
    )
    zero_stage: int = setting(
        2, "DeepSpeed ZeRO stage: 3 also divides the model's weights among the workers", choices=(1, 2, 3), steps=()
    )
    gradient_checkpointing: bool = setting(False, "use less memory and more time", steps=())
    lora: LoraConfig = section(LoraConfig, (StepIf("train_llm", llm_has_adapter),))
    max_chars: int = setting(
        200, "longer sentences are cut into windows of this many characters, and are not shown as examples",
        above=0, steps=(*TRAINS_LLM, *LLM_PREDICTS),
    )  # fmt: skip
    overlap: int = setting(
        50, "characters that neighbouring windows share", at_least=0, steps=(*TRAINS_LLM, *LLM_PREDICTS)
    )
    workers: WorkersConfig = section(WorkersConfig, ())
