"""Estimate the memory and disk space that a configuration needs, by simple rules based on measurements.

Activations and the key-value cache of a batch depend on the text and are not counted. The factor `SLACK` allows for
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rayner.config.model_settings import ScratchConfig
from rayner.config.settings import Config

SLACK = 1.2
PROCESS_BYTES = 512 * 1024**2  # a worker with torch, transformers, DeepSpeed and Ray, without a model; 400 MB measured

# Bytes per parameter.
_ADAM = 16  # torch's AdamW in float32: weights, gradients, two moments
_ZERO = 12  # DeepSpeed's own float32 weights and two moments; weights and gradients in the model's precision are added
_SLM_CHECKPOINT = 12  # weights and two moments; 12.0 measured
_VOCABULARY = 10_000  # an upper bound for a model made from scratch

# Factor on the bytes of the labelled files, for two copies as JSON, the index, the LLM's training examples, scores, and
# the trials of fusion. With vectors of 256 numbers, 10 to 12 were measured, most of it for the vectors. Vectors of
# pretrained encoders have 768 or 1024 numbers.
_LABELLED = 40
# Factors on the bytes of the corpus. On 1.9 MB with 60,000 entities, 1.4 was measured for the tables, and 2.2 for the
# char-tab-tag files.
_TABLES, _EVAHAN = 2.0, 2.5


@dataclass(frozen=True)
class ModelSize:
    """Numbers of parameters of a checkpoint.

    parameters: those of the model without an adapter.
    adapter_parameters: those that the configured LoRA adapter adds.
    tied_parameters: those of the embedding if the output layer shares them, else 0.
    """

    parameters: int
    adapter_parameters: int = 0
    tied_parameters: int = 0


@dataclass(frozen=True)
class StageNeed:
    """The processes of one stage, and what each process needs on its node.

    key: the setting that configures the processes.
    processes: the number of processes.
    cpus: the CPUs of each process.
    gpus: the GPUs of each process.
    host_bytes: the memory of the node that each process needs.
    gpu_bytes: the GPU memory that each process needs.
    """

    key: str
    processes: int
    cpus: float
    gpus: float
    host_bytes: int
    gpu_bytes: int


@dataclass(frozen=True)
class DiskNeed:
    """The disk space that a job needs.

    run_bytes: bytes in the run folder.
    out_bytes: bytes in the folder of the tagged corpus.
    temporary_bytes: bytes in the temporary folder of a node.
    """

    run_bytes: int
    out_bytes: int
    temporary_bytes: int


def read_model_size(model: str, config_if_llm: Config | None = None) -> ModelSize:
    """Compute the size of a checkpoint from its configuration, without loading weights.

    model: a checkpoint folder or hub name.
    config_if_llm: the settings if the checkpoint is an LLM, whose LoRA adapter is then counted too; None for an
        encoder.
    Raises OSError or ValueError if the checkpoint has no configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    model_config = AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        auto_class: Any = AutoModelForCausalLM if config_if_llm else AutoModel
        skeleton = auto_class.from_config(model_config)
    total = sum(parameter.numel() for parameter in skeleton.parameters())
    if config_if_llm is None:
        return ModelSize(total)
    output, embedding = skeleton.get_output_embeddings(), skeleton.get_input_embeddings()
    targets = None if config_if_llm.llm.lora.targets == ["all-linear"] else tuple(config_if_llm.llm.lora.targets)
    adapter = sum(
        config_if_llm.llm.lora.r * (module.in_features + module.out_features)
        for name, module in skeleton.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module is not output
        and (targets is None or name.rpartition(".")[2] in targets)
    )
    tied = embedding.weight.numel() if output is not None and output.weight is embedding.weight else 0
    return ModelSize(total, adapter, tied)


def estimate_scratch_size(shape: ScratchConfig, lora_rank: int = 0) -> ModelSize:
    """Estimate the size of a model made from scratch, and of its adapter.

    The estimate is chosen too large rather than too small.
    """
    layer = 4 * shape.hidden**2 + 3 * shape.hidden * shape.intermediate
    adapter = lora_rank * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    embedding = _VOCABULARY * shape.hidden
    return ModelSize(embedding + shape.layers * layer, shape.layers * adapter, embedding)


def estimate_stage_needs(config: Config, slm: ModelSize | None, llm: ModelSize | None) -> list[StageNeed]:
    """Estimate what each stage needs on the nodes.

    slm, llm: the sizes of the models. For a model made from scratch pass None. Its own memory is then not counted,
        only that of its processes.
    """
    slm_training = slm_scoring = llm_loading = llm_training = 0
    if slm:
        slm_training, slm_scoring = slm.parameters * _ADAM, slm.parameters * _weight_bytes(config.slm.dtype)
    if llm:
        llm_loading = llm.parameters * _weight_bytes(config.llm.dtype)
        llm_training = llm_loading + _trained_parameters(config, llm) * (_weight_bytes(config.llm.dtype) + _ZERO)
        if config.llm.epochs and not config.llm.full_epochs:
            llm_training += llm.adapter_parameters * _weight_bytes(config.llm.dtype)  # the adapter's own weights
    trainings = (
        ("slm.workers", config.slm.workers, slm_training, slm_training),
        ("llm.workers", config.llm.workers, llm_training, llm_loading),
    )
    score, models = config.score, slm_scoring + llm_loading
    return [
        *(
            _stage_need(key, workers.count, workers.cpus, workers.gpus, n_bytes, loading)
            for key, workers, n_bytes, loading in trainings
        ),
        _stage_need("score", score.actors, score.cpus, score.gpus, models, models),
    ]


def _stage_need(
    key: str, processes: int, cpus: float, gpus: float, working_bytes: int, loading_bytes: int
) -> StageNeed:
    """Build the need of a stage.

    With a GPU, the node's memory holds the model only while it loads. Without a GPU, it holds all working data.
    """
    host = PROCESS_BYTES + int(SLACK * (loading_bytes if gpus else working_bytes))
    return StageNeed(key, processes, cpus, gpus, host, int(SLACK * working_bytes) if gpus else 0)


def estimate_disk_need(
    config: Config, slm: ModelSize, llm: ModelSize, labelled_bytes: int, corpus_bytes: int
) -> DiskNeed:
    """Estimate the bytes that a run writes, from the sizes of its models and inputs."""
    slm_checkpoint = slm.parameters * _SLM_CHECKPOINT
    llm_checkpoints, saved_models = [0], [slm.parameters * 4]
    weight = _weight_bytes(config.llm.dtype)
    if config.llm.full_epochs:
        # DeepSpeed's weights and optimizer, and the model as users load it. In float32, 19.9 bytes were measured.
        llm_checkpoints.append(llm.parameters * (2 * weight + _ZERO))
        saved_models.append(llm.parameters * weight)
    if config.llm.epochs:
        # The same for the adapter alone. A tied embedding is added, because DeepSpeed writes it although it is frozen.
        llm_checkpoints.append(llm.adapter_parameters * (2 * weight + _ZERO) + llm.tied_parameters * weight)
        saved_models.append(llm.adapter_parameters * weight)
    models = ((slm, config.slm.model), (llm, config.llm.model))
    saved_models += [size.parameters * 4 for size, model in models if model == "scratch"]
    # The SLM keeps its best and its last checkpoint, the LLM its last. A checkpoint that is being written is added.
    run = 3 * slm_checkpoint + 2 * sum(llm_checkpoints) + sum(saved_models) + _LABELLED * labelled_bytes
    out = int(corpus_bytes * (_TABLES + (_EVAHAN if config.tag.evahan else 0)))
    return DiskNeed(run, out, max(slm_checkpoint, *llm_checkpoints))


def _trained_parameters(config: Config, llm: ModelSize) -> int:
    """Count the parameters that get gradients in the largest training stage."""
    return llm.parameters if config.llm.full_epochs else llm.adapter_parameters if config.llm.epochs else 0


def _weight_bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else 4


def format_bytes(n_bytes: float) -> str:
    """Format a number of bytes with a unit, such as `3.2 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(n_bytes) < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:,.1f} GiB"


def count_fitting_processes(need: StageNeed, cpus_and_gpus_by_node: Sequence[tuple[float, float]]) -> list[int]:
    """Count, for each node, how many processes of a stage fit on its CPUs and GPUs.

    cpus_and_gpus_by_node: the numbers of CPUs and GPUs of each node.
    """
    places = []
    for cpus, gpus in cpus_and_gpus_by_node:
        by_cpus = int((cpus + 1e-6) // need.cpus)
        places.append(min(by_cpus, int((gpus + 1e-6) // need.gpus)) if need.gpus else by_cpus)
    return places
