"""What a configuration will take of memory and disk, by simple rules. What they rest on is said beside each.

Activations and the keys and values of a batch are not counted, since they depend on the text: `SLACK` is for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rayner.config.settings import Config, ScratchConfig

SLACK = 1.2
PROCESS_BYTES = 512 * 1024**2  # a worker with torch, transformers, DeepSpeed and Ray, and no model: 400 MB measured

# Bytes a parameter. torch's AdamW in float32: weights, gradients, two moments.
_ADAM = 16
# DeepSpeed: float32 weights and two moments of its own, beside the weights and gradients in the model's precision.
_ZERO = 12
_SLM_CHECKPOINT = 12  # weights and two moments; 12.0 measured
_VOCABULARY = 10_000  # of a model made from scratch, at most

# Times the bytes of the labelled files: two copies as JSON, the index, scores, the trials of fusion. 10 to 12 measured
# with vectors of 256 numbers; most of it are the vectors, and those of pretrained encoders have 768 or 1024.
_LABELLED = 40
# Times the bytes of the corpus (measured on 1.9 MB with 60,000 entities: tables 1.4, char-tab-tag files 2.2).
_TABLES, _EVAHAN = 2.0, 2.5


@dataclass(frozen=True)
class ModelSize:
    """Parameters of a checkpoint: all, those that an adapter would add, and those of the embedding if it is tied."""

    parameters: int
    adapter_parameters: int = 0
    tied_parameters: int = 0


@dataclass(frozen=True)
class StageNeed:
    """Processes of one stage: how many, and what each asks of its node: bytes of memory, and of a GPU."""

    key: str
    processes: int
    cpus: float
    gpus: float
    host_bytes: int
    gpu_bytes: int


@dataclass(frozen=True)
class DiskNeed:
    """Bytes that the run folder, the tagged corpus, and the temporary folder of a node will take."""

    run_bytes: int
    out_bytes: int
    temporary_bytes: int


def read_model_size(model: str, config: Config | None = None) -> ModelSize:
    """The size of a checkpoint, from its configuration alone: nothing is loaded.

    config: also count the LoRA adapter that it asks for, on a causal model; without, the model is an encoder.
    Raises OSError or ValueError where there is no configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    described = AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        kind: Any = AutoModelForCausalLM if config else AutoModel
        made = kind.from_config(described)
    total = sum(p.numel() for p in made.parameters())
    if config is None:
        return ModelSize(total)
    head, shown = made.get_output_embeddings(), made.get_input_embeddings()
    ends = None if config.llm.lora.targets == ["all-linear"] else tuple(config.llm.lora.targets)
    adapter = sum(
        config.llm.lora.r * (module.in_features + module.out_features)
        for name, module in made.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module is not head
        and (ends is None or name.rpartition(".")[2] in ends)
    )
    tied = shown.weight.numel() if head is not None and head.weight is shown.weight else 0
    return ModelSize(total, adapter, tied)


def estimate_scratch_size(shape: ScratchConfig, rank: int = 0) -> ModelSize:
    """About the parameters of a model made from scratch, and of its adapter of this rank; rather more than fewer."""
    layer = 4 * shape.hidden**2 + 3 * shape.hidden * shape.intermediate
    adapter = rank * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    embedding = _VOCABULARY * shape.hidden
    return ModelSize(embedding + shape.layers * layer, shape.layers * adapter, embedding)


def estimate_stage_needs(config: Config, slm: ModelSize | None, llm: ModelSize | None) -> list[StageNeed]:
    """What each stage asks of the nodes. Of a model made from scratch (None) only the processes count."""
    slm_trained = slm_scored = llm_loaded = llm_trained = 0
    if slm:
        slm_trained, slm_scored = slm.parameters * _ADAM, slm.parameters * _bytes(config.slm.dtype)
    if llm:
        llm_loaded = llm.parameters * _bytes(config.dtype)
        llm_trained = llm_loaded + _trained(config, llm) * (_bytes(config.dtype) + _ZERO)
        if config.llm.epochs and not config.llm.full_epochs:
            llm_trained += llm.adapter_parameters * _bytes(config.dtype)  # the adapter's own weights
    trainings = (
        ("slm.workers", config.slm.workers, slm_trained, slm_trained),
        ("llm.workers", config.llm.workers, llm_trained, llm_loaded),
    )
    score, both = config.score, slm_scored + llm_loaded
    return [
        *(_need(key, of.count, of.cpus, of.gpus, full, loading) for key, of, full, loading in trainings),
        _need("score", score.actors, score.cpus, score.gpus, both, both),
    ]


def _need(key: str, count: int, cpus: float, gpus: float, full: int, loading: int) -> StageNeed:
    """On a GPU the model passes through the node's memory while it loads; without one all of the work is there."""
    host = PROCESS_BYTES + int(SLACK * (loading if gpus else full))
    return StageNeed(key, count, cpus, gpus, host, int(SLACK * full) if gpus else 0)


def estimate_disk_need(
    config: Config, slm: ModelSize, llm: ModelSize, labelled_bytes: int, corpus_bytes: int
) -> DiskNeed:
    """Bytes that the run will take, from the sizes of the models (those from scratch, too) and of the inputs."""
    slm_checkpoint = slm.parameters * _SLM_CHECKPOINT
    llm_checkpoints, kept = [0], [slm.parameters * 4]
    weight = _bytes(config.dtype)
    if config.llm.full_epochs:
        # The engine's weights, its optimizer, and the model as users load it; 19.9 bytes measured in float32.
        llm_checkpoints.append(llm.parameters * (2 * weight + _ZERO))
        kept.append(llm.parameters * weight)
    if config.llm.epochs:
        # The same of the adapter alone; and a tied embedding, which DeepSpeed writes though it is frozen.
        llm_checkpoints.append(llm.adapter_parameters * (2 * weight + _ZERO) + llm.tied_parameters * weight)
        kept.append(llm.adapter_parameters * weight)
    made = ((slm, config.slm.model), (llm, config.llm.model))
    kept += [of.parameters * 4 for of, model in made if model == "scratch"]
    # Of the tagger the best checkpoint and the last are kept, of the LLM the last; another while it is written.
    run = 3 * slm_checkpoint + 2 * sum(llm_checkpoints) + sum(kept) + _LABELLED * labelled_bytes
    out = int(corpus_bytes * (_TABLES + (_EVAHAN if config.tag.evahan else 0)))
    return DiskNeed(run, out, max(slm_checkpoint, *llm_checkpoints))


def _trained(config: Config, llm: ModelSize) -> int:
    """Parameters that get gradients in the larger of the trainings."""
    return llm.parameters if config.llm.full_epochs else llm.adapter_parameters if config.llm.epochs else 0


def _bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else 4


def format_bytes(n_bytes: float) -> str:
    """Bytes as people read them, such as `3.2 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(n_bytes) < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:,.1f} GiB"


def count_places(need: StageNeed, nodes: Sequence[tuple[float, float]]) -> list[int]:
    """How many processes of a stage have room on each node, of which the CPUs and the GPUs are given."""
    out = []
    for cpus, gpus in nodes:
        room = int((cpus + 1e-6) // need.cpus)
        out.append(min(room, int((gpus + 1e-6) // need.gpus)) if need.gpus else room)
    return out
