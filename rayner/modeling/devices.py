"""Settings of a process that runs models: device, number of threads, number types, and what happens to freed memory."""

import ctypes
import os

import torch

from rayner.errors import ConfigError

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_MIN_RETURNED_BLOCK_BYTES = 2**20
_M_MMAP_THRESHOLD = -3  # its number in glibc's malloc.h


def resolve_device(name: str, gpus: float) -> torch.device:
    """Return the torch device of this process.

    Ray does not hide the GPUs of a machine from a process that was given none. So their number decides.

    Args:
        name: The value of the setting `device`. `auto` is CUDA if Ray gave this process a GPU that torch sees.
        gpus: The number of GPUs that Ray gave this process, by the settings.

    Raises:
        ConfigError: The device is CUDA, but the process has no GPU, or torch sees none.

    """
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    has_gpu = gpus > 0 and torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        found = "none that torch sees" if gpus else "none"
        raise ConfigError(
            f"device: expected, for cuda, a GPU in each process that runs a model, found {found}; set the GPUs of the "
            "step (slm.workers.gpus, llm.workers.gpus, score.gpus), or device=cpu"
        )
    return torch.device("cuda" if has_gpu else "cpu")


def set_torch_threads(cpus: int) -> None:
    """Let torch use as many threads as Ray gave this process CPUs, but not more than the machine has."""
    torch.set_num_threads(max(1, min(cpus, os.cpu_count() or 1)))


def stop_keeping_freed_memory() -> None:
    """Let the C library return each freed block of 1 MiB or more to the system at once, from now on.

    By itself glibc keeps freed blocks of up to 32 MiB. Blocks of many sizes, such as the weights that ZeRO-3 gathers
    and the tensors of batches of many lengths, then leave gaps that later blocks do not fill, and the process grows.
    Nothing changes where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MIN_RETURNED_BLOCK_BYTES)
