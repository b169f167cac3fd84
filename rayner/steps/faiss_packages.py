"""FAISS: which package provides it, on which device it runs, and the check of the setting `index.device`."""

import re
from importlib.metadata import packages_distributions, requires, version

from rayner.config.conditions import has_no_llm
from rayner.config.settings import Config
from rayner.errors import ConfigError

_CUDA_LIBRARY = re.compile(r"nvidia-[\w-]+-cu(\d+)")


def list_faiss_packages() -> dict[str, str]:
    """Return the installed packages that provide the module `faiss`, each with its version.

    There should be one: `faiss-cpu`, `faiss-gpu` or another build.
    """
    names = sorted(set(packages_distributions().get("faiss", ())))
    return {name: version(name) for name in names}


def find_cuda_majors_by_package() -> dict[str, str]:
    """Return the major version of CUDA that torch and each FAISS package are built for; none for builds for CPUs."""
    import torch

    majors = {"torch": torch.version.cuda.partition(".")[0]} if torch.version.cuda else {}
    for name in list_faiss_packages():
        match = next(filter(None, map(_CUDA_LIBRARY.match, requires(name) or ())), None)
        if match:
            majors[name] = match[1]
    return majors


def choose_index_device(config: Config) -> str:
    """Return the device for FAISS, `auto`, `cpu` or `cuda`, which each process resolves for itself.

    Under `device: cpu`, `auto` means the CPU for FAISS too.
    """
    is_cpu = config.index.device == "auto" and config.device == "cpu"
    return "cpu" if is_cpu else config.index.device


def check_index_device(config: Config) -> None:
    """Raise ConfigError if `index.device` is `cuda`, but FAISS or the processes that score have no GPU."""
    if config.index.device != "cuda" or has_no_llm(config):
        return
    from rayner.modeling.vector_search import faiss_can_use_gpus

    if not faiss_can_use_gpus():
        found = ", ".join(f"{name} {number}" for name, number in list_faiss_packages().items()) or "none"
        raise ConfigError(
            "index.device: expected, for cuda, faiss-gpu in place of faiss-cpu (pip install 'rayner[gpu]'), found "
            f"{found}"
        )
    if not config.score.gpus:
        raise ConfigError(
            "index.device: expected, for cuda, GPUs for the processes that search the index (score.gpus), found 0: set "
            "it, or index.device=auto"
        )
