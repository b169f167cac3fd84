"""Check that the weights of a model are finite. With NaN or infinity in them, a model silently finds no entities."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from rayner.errors import NotFiniteError

_REMEDY = "the weights are damaged, or their training diverged: restore them from a backup, or train the model again"


def require_finite_weights(model: torch.nn.Module, source: str | Path, name_part: str = "") -> None:
    """Raise NotFiniteError if a parameter or a buffer of a model holds NaN or infinity.

    The message names the tensor and, if `source` is a folder, the file.

    Args:
        model: The model, on any device.
        source: The checkpoint folder or hub name.
        name_part: Only tensors whose names contain this text are checked.

    """
    name = find_non_finite_weight(model, name_part)
    if name is not None:
        if Path(source).is_dir():
            require_finite_files(Path(source))
        raise NotFiniteError(f"{source}: expected finite weights, found NaN or infinity in {name}: {_REMEDY}")


def find_non_finite_weight(model: torch.nn.Module, name_part: str = "") -> str | None:
    """Return the name of the first parameter or buffer that holds NaN or infinity; None if all are finite.

    Of a parameter that ZeRO-3 has divided among workers, only this worker's part is checked.

    A buffer that is computed and not stored may hold infinity, because some models keep attention masks there.

    name_part: Only tensors whose names contain this text are checked.
    """
    stored_names = set(model.state_dict(keep_vars=True))
    bounds = {name: _compute_bounds(tensor) for name, tensor in _iter_float_tensors(model) if name_part in name}
    if not bounds:
        return None
    # One transfer from the device for all tensors.
    for name, (low, high) in zip(bounds, torch.stack([*bounds.values()]).tolist(), strict=True):
        if math.isnan(low) or (name in stored_names and (math.isinf(low) or math.isinf(high))):
            return name
    return None


def require_finite_files(folder: Path) -> None:
    """Raise NotFiniteError, which names the file and the tensor, if a file of a folder holds NaN or infinity.

    Only safetensors files are read.
    """
    for path in sorted(folder.glob("*.safetensors")):
        require_finite_file(path)


def require_finite_file(path: Path) -> None:
    """Raise NotFiniteError if a tensor in a safetensors file holds NaN or infinity. The message names the tensor."""
    with safe_open(path, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - not a dictionary
            tensor = tensors.get_tensor(name)
            if tensor.is_floating_point() and tensor.numel() and not torch.isfinite(_compute_bounds(tensor)).all():
                raise NotFiniteError(f"{path}: expected finite weights, found NaN or infinity in {name}: {_REMEDY}")


def _iter_float_tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for named_tensors in (model.named_parameters(), model.named_buffers()):
        for name, whole in named_tensors:
            tensor = _own_shard(whole) if hasattr(whole, "ds_tensor") else whole
            if tensor.is_floating_point() and tensor.numel():
                yield name, tensor.detach()


def _own_shard(parameter: Any) -> torch.Tensor:  # noqa: ANN401 - DeepSpeed adds attributes to a parameter
    """Return the part of a parameter that this worker holds under ZeRO-3, without the padding at its end."""
    shard: torch.Tensor = parameter.ds_tensor
    start = shard.numel() * torch.distributed.get_rank()
    return shard.narrow(0, 0, max(0, min(shard.numel(), parameter.ds_numel - start)))


def _compute_bounds(tensor: torch.Tensor) -> torch.Tensor:
    """Return the smallest and the largest number of a tensor, shape [2]; both NaN if any number is NaN.

    This reads a tensor once and needs no memory of its size; `torch.isfinite(tensor).all()` takes thirty times as long.
    """
    if tensor.element_size() == 1:  # float8 has no minimum
        tensor = tensor.float()
    return torch.stack(torch.aminmax(tensor)).float()
