"""Check, before a job starts, that this machine or the connected cluster has the CPUs and GPUs of the settings.

Each check raises ConfigError for the first problem.
"""

import os

import ray
import torch

from rayner.config.conditions import llm_is_trained, slm_is_encoder
from rayner.config.settings import Config
from rayner.errors import ConfigError


def check_and_describe_resources(config: Config) -> list[str]:
    """Check that each stage finds its CPUs and GPUs, and that the setting `device` fits the GPUs of the stages."""
    available = _cluster_or_local_resources()
    owner = "the cluster" if ray.is_initialized() else "this machine"
    notes = _check_device(config, available.get("GPU", 0), owner)
    slm, llm, score = config.slm.workers, config.llm.workers, config.score
    for key, processes, cpus, gpus in (
        ("slm.workers", slm.count, slm.cpus, slm.gpus),
        ("llm.workers", llm.count, llm.cpus, llm.gpus),
        ("score", score.actors, score.cpus, score.gpus),
    ):
        for unit, needed in (("CPU", processes * cpus), ("GPU", processes * gpus)):
            if needed > available.get(unit, 0):
                raise ConfigError(
                    f"{key}: expected at most the {available.get(unit, 0):g} {unit}s of {owner}, found settings for "
                    f"{needed:g}; lower this setting or add nodes"
                )
    return [f"{owner}: {available.get('CPU', 0):g} CPUs, {available.get('GPU', 0):g} GPUs", *notes]


def _check_device(config: Config, gpus: float, owner: str) -> list[str]:
    """Check that `device` fits the GPUs that there are and those that each stage asks for; return warnings.

    A process uses a GPU only if its stage asks for one.
    """
    asked = {"score.gpus": config.score.gpus}
    if slm_is_encoder(config):
        asked["slm.workers.gpus"] = config.slm.workers.gpus
    if llm_is_trained(config):
        asked["llm.workers.gpus"] = config.llm.workers.gpus
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
