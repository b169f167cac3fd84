"""Settings of torch: device, number of threads, and number types."""

import os

import torch

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name. `auto` is CUDA if there is a GPU, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def set_torch_threads(cpus: int) -> None:
    """Let torch use as many threads as Ray gave this process CPUs, but not more than the machine has."""
    torch.set_num_threads(max(1, min(cpus, os.cpu_count() or 1)))
