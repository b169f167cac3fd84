"""Find out what the machine has, without using a GPU in the process that starts the checks."""

import os
import platform
from importlib import metadata

from gpu_check.child_process import ChildCall, ChildFailedError, run_in_child
from gpu_check.records import Machine

# The packages that the checks can use, with the distributions that they may come from.
_DISTRIBUTIONS = {
    "torch": ("torch",),
    "transformers": ("transformers",),
    "peft": ("peft",),
    "deepspeed": ("deepspeed",),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12", "faiss-gpu-cuvs"),
    "ray": ("ray",),
}
_SECONDS = 120


def describe_machine(device: str) -> Machine:
    """Describe the machine.

    device: `auto`, `cuda` or `cpu`. `auto` becomes `cuda` if there is a GPU, else `cpu`.
    Raises ValueError if the device is `cuda` and no GPU is found.
    """
    name, gpu_bytes = "", 0
    if device != "cpu":
        try:
            name, gpu_bytes = run_in_child(ChildCall(_describe_gpu, ()), _SECONDS, fork=True)
        except ChildFailedError as error:
            raise ValueError(f"--device {device}: looking for a GPU failed: {error}") from error
    if device == "cuda" and not gpu_bytes:
        raise ValueError("--device cuda: expected a GPU that torch can use, found none; use --device cpu")
    return Machine(
        device="cuda" if gpu_bytes else "cpu",
        device_name=name or platform.machine(),
        gpu_bytes=gpu_bytes,
        cpus=os.cpu_count() or 1,
        packages={package: _find_version(names) for package, names in _DISTRIBUTIONS.items()},
    )


def _describe_gpu() -> tuple[str, int]:
    import torch

    if not torch.cuda.is_available():
        return "", 0
    properties = torch.cuda.get_device_properties(0)
    return properties.name, properties.total_memory


def _find_version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return f"{name} {metadata.version(name)}" if len(distributions) > 1 else metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
