"""Check, before a job starts, that this machine or the connected cluster has the CPUs and GPUs of the settings.

The check of GPU memory needs the sizes of models, so it is apart from the check of their numbers.

Each check raises ConfigError for the first problem.
"""

import os
from collections.abc import Sequence
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayner.config.conditions import llm_is_trained, slm_is_encoder
from rayner.config.settings import Config
from rayner.errors import ConfigError
from rayner.modeling.gpus import Gpu, list_gpus_or_error
from rayner.runs.storage import local_model_name
from rayner.steps.model_sizes import ModelSize, read_model_size
from rayner.steps.requirements import GPU_MEMORY_REMEDY, StageNeed, estimate_stage_needs, format_bytes

_GPU_SECONDS = 120.0  # a node may have to import torch from slow storage


def check_and_describe_resources(config: Config) -> list[str]:
    """Check that each stage finds its CPUs and GPUs, and that the setting `device` fits the GPUs of the stages."""
    asked_gpus = {"score.gpus": config.score.gpus}
    if slm_is_encoder(config):
        asked_gpus["slm.workers.gpus"] = config.slm.workers.gpus
    if llm_is_trained(config):
        asked_gpus["llm.workers.gpus"] = config.llm.workers.gpus
    needs = [(need.key, need.processes * need.cpus, need.processes * need.gpus)
             for need in estimate_stage_needs(config, None, None)]  # fmt: skip
    return _check_and_describe_resources(config, asked_gpus, needs)


def check_and_describe_pretraining_resources(config: Config) -> list[str]:
    """Check that the workers of pretraining find their CPUs and GPUs, and that the setting `device` fits these."""
    workers = config.pretrain.workers
    need = ("pretrain.workers", workers.count * workers.cpus, workers.count * workers.gpus)
    return _check_and_describe_resources(config, {"pretrain.workers.gpus": workers.gpus}, [need])


def _check_and_describe_resources(
    config: Config, asked_gpus: dict[str, float], needs: Sequence[tuple[str, float, float]]
) -> list[str]:
    """Check what some stages need.

    asked_gpus: the GPUs of each process, by the setting's key.
    needs: for each stage the setting's key, and the CPUs and GPUs of all its processes.
    """
    available = _cluster_or_local_resources()
    owner = "the cluster" if ray.is_initialized() else "this machine"
    notes = _check_device(config, asked_gpus, available.get("GPU", 0), owner)
    for key, cpus, gpus in needs:
        for unit, asked in (("CPU", cpus), ("GPU", gpus)):
            if asked > available.get(unit, 0):
                raise ConfigError(
                    f"{key}: expected at most the {available.get(unit, 0):g} {unit}s of {owner}, found settings "
                    f"for {asked:g}; lower this setting or add nodes"
                )
    return [f"{owner}: {available.get('CPU', 0):g} CPUs, {available.get('GPU', 0):g} GPUs", *notes]


def _check_device(config: Config, asked: dict[str, float], gpus: float, owner: str) -> list[str]:
    """Check that `device` fits the GPUs that there are and those that each stage asks for; return warnings.

    A process uses a GPU only if its stage asks for one.
    """
    without = [key for key, count in asked.items() if not count]
    if config.device == "cuda" and not gpus:
        seen = "" if ray.is_initialized() else " (torch sees none; is its CUDA build installed, and the driver?)"
        raise ConfigError(
            f"device: expected a GPU of {owner} for device=cuda, found none{seen}; set device=cpu and 0 for "
            f"{', '.join(asked)}, or add a GPU"
        )
    if config.device == "cuda" and without:
        raise ConfigError(
            f"{without[0]}: expected more than 0 for device=cuda, found 0; Ray gives a GPU only to a process that asks "
            "for one"
        )
    if config.device == "cpu" and len(without) < len(asked):
        key = next(key for key, count in asked.items() if count)
        return [f"WARNING: {key}={asked[key]:g} takes GPUs, which device=cpu leaves unused; set it to 0"]
    if config.device == "auto" and gpus and without:
        return [f"WARNING: {', '.join(without)}: 0, so these processes run on CPUs although {owner} has GPUs"]
    return []


def _cluster_or_local_resources() -> dict[str, float]:
    """Return the numbers of CPUs and GPUs: those of the cluster, else those that torch sees on this machine."""
    if ray.is_initialized():
        return dict(ray.cluster_resources())
    return {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}


def check_and_describe_memory(config: Config) -> list[str]:
    """Check that what a process holds on its GPU, by estimate, fits the smallest GPU there is.

    Returns a line for each stage with GPUs. Raises ConfigError, with the arithmetic, for a stage that does not fit.
    """
    if not any(need.gpus for need in estimate_stage_needs(config, None, None)):
        return []  # the sizes of the models take seconds, and are not needed
    needs = [need for need in estimate_needs(config) if need.gpu_bytes]
    gpus = _list_gpus() if needs else []
    smallest = min(gpus, key=lambda gpu: gpu.n_bytes) if gpus else None
    lines = []
    for need in needs:
        estimate = f"{format_bytes(need.gpu_bytes)} ({need.describe_parts()})"
        if smallest is None:
            lines.append(f"{need.key}: needs about {estimate} of GPU memory a process; that of the GPUs is not known")
            continue
        available = smallest.n_bytes * min(1.0, need.gpus)
        if need.gpu_bytes > available:
            raise ConfigError(
                f"{need.key}: expected at most the {format_bytes(available)} of a GPU ({smallest.name}) for a process, "
                f"found an estimate of {estimate}; {GPU_MEMORY_REMEDY}"
            )
        lines.append(f"{need.key}: about {estimate} of the {format_bytes(available)} of a GPU ({smallest.name})")
    return lines


def estimate_needs(config: Config) -> list[StageNeed]:
    """Estimate the needs of all stages; a model from scratch or without a readable configuration counts as 0."""
    slm = try_read_model_size(config.slm.model, None) if slm_is_encoder(config) else None
    return estimate_stage_needs(config, slm, try_read_model_size(config.llm.model, config))


def try_read_model_size(model: str, config_if_llm: Config | None) -> ModelSize | None:
    """Read the size of a checkpoint; return None for no model, one from scratch, or an unreadable configuration.

    Other checks report a configuration that cannot be read.
    """
    if model in ("scratch", "none"):
        return None
    try:
        return read_model_size(local_model_name(model), config_if_llm)
    except (OSError, ValueError, ConfigError):  # ConfigError: a hub that cannot be reached
        return None


def _list_gpus() -> list[Gpu]:
    """List the GPUs that torch sees on the nodes of the cluster, else on this machine."""
    if not ray.is_initialized():
        return list_gpus_or_error()[0]
    tasks = []
    for row in ray.nodes():
        if row["Alive"] and row["Resources"].get("GPU"):
            pinned: Any = NodeAffinitySchedulingStrategy(row["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)(list_gpus_or_error)
            tasks.append(task.remote())
    done, _ = ray.wait(tasks, num_returns=len(tasks), timeout=_GPU_SECONDS) if tasks else ([], [])
    try:
        return [gpu for gpus, _ in ray.get(done) for gpu in gpus]
    except RayError:  # a node that cannot run a task; the doctor says why
        return []
