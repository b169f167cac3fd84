"""Estimate the memory and disk space that a configuration needs, by simple rules based on measurements.

Of the memory of a node, one part is private to each process. The other part is shared: processes on CPUs map the
weights from the checkpoint's files, and the node holds each page of a file once. Weights are private as soon as they
are changed, converted to another precision, or copied to a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rayner.config.conditions import has_llm, llm_has_adapter, llm_learns_from_hints
from rayner.config.settings import Config
from rayner.steps.model_sizes import ModelSize

SLACK = 1.2  # for what the rules leave out; not on weights, whose size is exact
PROCESS_BYTES = 512 * 1024**2  # a worker with torch, transformers, DeepSpeed and Ray, without a model; 400 MB measured
CUDA_BYTES = 512 * 1024**2  # on the GPU, for each process: CUDA and its libraries. Not measured here

GPU_MEMORY_REMEDY = (
    "lower score.llm.batch_tokens or llm.micro_batch_tokens, set llm.gradient_checkpointing=true, llm.dtype=bfloat16 "
    "or llm.load_in=nf4, or use a smaller model or larger GPUs"
)

# Bytes per parameter.
_ADAM = 16  # torch's AdamW in float32: weights, gradients, two moments
_ZERO = 12  # DeepSpeed's own float32 weights and two moments; weights and gradients in the model's precision are added
_SLM_CHECKPOINT = 12  # weights and two moments; 12.0 measured
_NF4 = 0.52  # 4 bits, and 0.127 bits for the scales of blocks of 64 weights

# Numbers per token and layer, as multiples of the hidden size and of the size of the feed-forward layers.
_TRAINED_LAYER = (20, 6)  # kept for the backward pass, the inputs of the adapters included
_PREDICTING_LAYER = (6, 3)  # at the same time in one layer, in a forward pass alone
_CHUNK_BYTES = 3 * 4 * 2**25  # logits of a chunk of positions over the vocabulary, in float32, and what is made of them
# In bfloat16 on CPUs, oneDNN compiles a kernel for each new shape of the input of a linear layer, and keeps it.
# About 650 KiB each were measured. This is for 1,024 shapes; a process that meets more shapes needs more.
_KERNEL_BYTES = 1024 * 650 * 1024

# Factor on the bytes of the labelled files, for two copies as JSON, the index, the LLM's training examples, scores, and
# the trials of fusion. With vectors of 256 numbers, 10 to 12 were measured, most of it for the vectors. Vectors of
# pretrained encoders have 768 or 1024 numbers.
_LABELLED = 40
# Factors on the bytes of the corpus. On 1.9 MB with 60,000 entities, 1.4 was measured for the tables, and 2.2 for the
# char-tab-tag files.
_TABLES, _EVAHAN = 2.0, 2.5


@dataclass(frozen=True)
class MemoryPart:
    """A part of the memory of a process.

    is_mapped: whether a process on CPUs maps the part from files, so that the processes of a node share it.
    """

    name: str
    n_bytes: int
    is_mapped: bool = False


@dataclass(frozen=True)
class StageNeed:
    """The processes of one stage, and what each process needs on its node.

    key: the setting that configures the processes.
    processes: the number of processes.
    cpus: the CPUs of each process.
    gpus: the GPUs of each process.
    host_bytes: the memory of the node that each process needs for itself.
    gpu_bytes: the GPU memory that each process needs.
    shared_bytes: the memory of the node that all its processes of the stage need together.
    parts: what a process holds on its device.
    """

    key: str
    processes: int
    cpus: float
    gpus: float
    host_bytes: int
    gpu_bytes: int
    shared_bytes: int = 0
    parts: Sequence[MemoryPart] = ()

    def describe_parts(self) -> str:
        """Return the parts and their sizes as a sum, such as `LLM 27.5 GiB + cache of 32,768 tokens 6.0 GiB`."""
        return " + ".join(f"{part.name} {format_bytes(part.n_bytes)}" for part in self.parts if part.n_bytes)


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


def estimate_stage_needs(config: Config, slm: ModelSize | None, llm: ModelSize | None) -> list[StageNeed]:
    """Estimate what each stage needs on the nodes.

    slm, llm: the sizes of the models. For no model or one made from scratch pass None. The memory of a model made
        from scratch is not counted, only that of its processes.
    """
    slm_training = [MemoryPart("training of the small model", int(SLACK * slm.parameters * _ADAM))] if slm else []
    llm_training = _list_training_parts(config, llm) if llm else []
    slm_workers, llm_workers, score = config.slm.workers, config.llm.workers, config.score
    # Held-out sentences are predicted by actors with all models in any case.
    predicting = _list_prediction_parts(config, slm, llm)
    tagging = []
    if score.slm.actors:
        parts = _list_prediction_parts(config, slm, None)
        tagging = [_stage_need("score.slm", score.slm.actors, score.slm.cpus, score.slm.gpus, parts)]
    training = [_stage_need("slm.workers", slm_workers.count, slm_workers.cpus, slm_workers.gpus, slm_training)]
    if has_llm(config):
        training.append(_stage_need("llm.workers", llm_workers.count, llm_workers.cpus, llm_workers.gpus, llm_training))
    elif tagging:  # these actors do all the predicting
        return [*tagging, *training]
    return [*tagging, *training, _stage_need("score", score.actors, score.cpus, score.gpus, predicting)]


def _stage_need(key: str, processes: int, cpus: float, gpus: float, parts: Sequence[MemoryPart]) -> StageNeed:
    """Build the need of a stage from the parts that each process holds.

    With a GPU, all parts are there, and the node holds the files of the weights, once, while they are read.
    """
    total = sum(part.n_bytes for part in parts)
    mapped = sum(part.n_bytes for part in parts if part.is_mapped)
    if gpus:
        with_cuda = (*parts, MemoryPart("CUDA", CUDA_BYTES)) if parts else ()
        return StageNeed(
            key, processes, cpus, gpus, PROCESS_BYTES, sum(part.n_bytes for part in with_cuda), mapped, with_cuda
        )
    return StageNeed(key, processes, cpus, gpus, PROCESS_BYTES + total - mapped, 0, mapped, tuple(parts))


def _list_training_parts(config: Config, llm: ModelSize) -> list[MemoryPart]:
    """List what a training worker of the LLM holds in its largest stage."""
    settings, weight = config.llm, _weight_bytes(config.llm.dtype)
    trained = _count_trained_parameters(config, llm)
    optimizer = trained * (weight + _ZERO)
    if not settings.full_epochs:
        optimizer += trained * weight  # the adapter's own weights
    changed, gpus = llm.parameters if settings.full_epochs else 0, settings.workers.gpus
    parts = [
        *(
            _list_sharded_weight_parts(config, llm)
            if settings.zero_stage == 3 and not _has_4_bits(config, llm)
            else _list_weight_parts(config, llm, gpus=gpus, changed_parameters=changed)
        ),
        MemoryPart("training of its weights" if settings.full_epochs else "training of the adapter", optimizer),
        *_list_kernel_parts([settings.dtype], gpus),
    ]
    if llm.shape and trained:
        hidden, intermediate = _TRAINED_LAYER
        layer = weight * (hidden * llm.shape.hidden + intermediate * llm.shape.intermediate)
        kept = llm.shape.layers * weight * llm.shape.hidden + layer
        per_token = kept if settings.gradient_checkpointing else llm.shape.layers * layer
        tokens = settings.micro_batch_tokens
        activations = int(SLACK * tokens * per_token) + _CHUNK_BYTES
        parts.append(MemoryPart(f"activations of {tokens:,} tokens", activations))
    return parts


def _list_prediction_parts(config: Config, slm: ModelSize | None, llm: ModelSize | None) -> list[MemoryPart]:
    """List what an actor holds that predicts with both models."""
    parts = [MemoryPart("small model", int(SLACK * slm.parameters * _weight_bytes(config.slm.dtype)))] if slm else []
    dtypes = [config.slm.dtype] if slm else []
    if llm is None:
        return [*parts, *_list_kernel_parts(dtypes, config.score.gpus)]
    weight, adapter = _weight_bytes(config.llm.dtype), llm_has_adapter(config)
    changed = llm.linear_parameters if adapter else 0
    parts += _list_weight_parts(config, llm, gpus=config.score.gpus, changed_parameters=changed)
    if adapter and _has_4_bits(config, llm):
        parts.append(MemoryPart("adapter", llm.adapter_parameters * 4))  # not merged, in float32
    parts += _list_kernel_parts([*dtypes, config.llm.dtype], config.score.gpus)
    if llm.shape and config.llm.engine == "transformers":
        tokens, (hidden, intermediate) = config.score.llm.batch_tokens, _PREDICTING_LAYER
        parts.append(MemoryPart(f"cache of {tokens:,} tokens", tokens * llm.shape.cached_numbers * weight))
        layer = weight * (hidden * llm.shape.hidden + intermediate * llm.shape.intermediate)
        # At most half of the tokens are in one forward pass; the other half are held.
        parts.append(MemoryPart("activations", int(SLACK * tokens // 2 * layer) + _CHUNK_BYTES))
    return parts


def _list_kernel_parts(dtypes: Sequence[str], gpus: float) -> list[MemoryPart]:
    """List what a process keeps for models in these precisions, besides weights and tensors."""
    return [] if gpus or "bfloat16" not in dtypes else [MemoryPart("kernels for the shapes of batches", _KERNEL_BYTES)]


def _list_weight_parts(config: Config, llm: ModelSize, *, gpus: float, changed_parameters: int) -> list[MemoryPart]:
    """List the weights of the LLM: those mapped from its files as they are, and those that a process has for itself.

    gpus: the GPUs of the process.
    changed_parameters: those that a process on CPUs changes, by training or by merging an adapter.
    """
    weight, linear = _weight_bytes(config.llm.dtype), llm.linear_parameters
    if _has_4_bits(config, llm):
        return [MemoryPart("LLM in 4 bits", int(linear * _NF4) + (llm.parameters - linear) * weight)]
    total = llm.parameters * weight
    if llm.stored_dtype != config.llm.dtype:
        return [MemoryPart("LLM", total)]
    if gpus:
        return [MemoryPart("LLM", total, is_mapped=True)]
    changed = changed_parameters * weight
    return [MemoryPart("LLM", total - changed, is_mapped=True), MemoryPart("its changed weights", changed)]


def _list_sharded_weight_parts(config: Config, llm: ModelSize) -> list[MemoryPart]:
    """List the weights that a training worker holds under ZeRO-3: its part, and what is whole at a time.

    A worker copies its part out of the checkpoint's files, also if it is alone. One module is whole at a time, and with
    gradient checkpointing one layer.
    """
    weight, workers = _weight_bytes(config.llm.dtype), config.llm.workers
    layer = llm.linear_parameters // llm.shape.layers if llm.shape else 0
    copies = 1 if workers.gpus else 2  # with Gloo, more than one was measured
    return [
        MemoryPart("its part of the LLM", llm.parameters * weight // workers.count),
        MemoryPart("gathered weights", copies * max(llm.largest_module_parameters, layer) * weight),
    ]


def _has_4_bits(config: Config, llm: ModelSize) -> bool:
    return config.llm.load_in == "nf4" or llm.is_stored_in_4_bits


def _count_trained_parameters(config: Config, llm: ModelSize) -> int:
    """Count the parameters that get gradients in the largest training stage."""
    return llm.parameters if config.llm.full_epochs else llm.adapter_parameters if config.llm.epochs else 0


def estimate_disk_need(
    config: Config, slm: ModelSize, llm: ModelSize | None, labelled_bytes: int, corpus_bytes: int
) -> DiskNeed:
    """Estimate the bytes that a run writes, from the sizes of its models and inputs. llm: None without an LLM."""
    slm_checkpoint = slm.parameters * _SLM_CHECKPOINT
    llm_checkpoints, saved_models = [0], [slm.parameters * 4]
    weight = _weight_bytes(config.llm.dtype)
    if llm and config.llm.full_epochs:
        # DeepSpeed's weights and optimizer, and the model as users load it. In float32, 19.9 bytes were measured.
        llm_checkpoints.append(llm.parameters * (2 * weight + _ZERO))
        saved_models.append(llm.parameters * weight)
    if llm and config.llm.epochs:
        # The same for the adapter alone. A tied embedding is added, because DeepSpeed writes it although it is frozen.
        llm_checkpoints.append(llm.adapter_parameters * (2 * weight + _ZERO) + llm.tied_parameters * weight)
        saved_models.append(llm.adapter_parameters * weight)
    models = ((slm, config.slm.model), (llm, config.llm.model))
    saved_models += [size.parameters * 4 for size, model in models if size and model == "scratch"]
    # The SLM keeps its best and its last checkpoint, the LLM its last. A checkpoint that is being written is added.
    n_slms = 1 + (config.llm.hint_folds if llm_learns_from_hints(config) else 0)
    saved_models += [(n_slms - 1) * slm.parameters * 4]
    run = 3 * n_slms * slm_checkpoint + 2 * sum(llm_checkpoints) + sum(saved_models) + _LABELLED * labelled_bytes
    out = int(corpus_bytes * (_TABLES + (_EVAHAN if config.tag.evahan else 0)))
    return DiskNeed(run, out, max(slm_checkpoint, *llm_checkpoints))


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
