"""Conversion of pickled weights (`pytorch_model.bin`) to safetensors.

A pickle can run code when it is opened. torch's restricted unpickler (`weights_only`) builds tensors and nothing else;
a pickle that asks for anything else is refused.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from rayner.checkpoints.file_choice import SAFETENSORS_INDEX, name_converted_file
from rayner.checkpoints.weight_files import read_safetensors_header
from rayner.errors import DataError
from rayner.text.messages import shorten_repr

_FORBIDDEN_NAME = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")


def convert_pickle(source: Path, target: Path) -> None:
    """Write the tensors of a pickle to a safetensors file.

    Each tensor is written in full, also one that shares its memory with another one (tied weights). So a model that
    does not tie them finds both.

    Raises DataError if the pickle holds anything but tensors, or is damaged.
    """
    tensors = copy_shared_tensors(_load_tensors(source))
    part = target.with_name(f"{target.name}.part")
    save_file(tensors, part, {"format": "pt"})  # transformers refuses a file without the format
    part.replace(target)


def write_converted_index(folder: Path, weight_map: Mapping[str, str]) -> None:
    """Write the index of converted weights.

    folder: The folder of the converted files.
    weight_map: For each tensor, the pickle that held it.
    """
    converted = {tensor: name_converted_file(pickle) for tensor, pickle in sorted(weight_map.items())}
    n_bytes = sum(
        tensor.n_bytes for name in set(converted.values()) for tensor in read_safetensors_header(folder / name).values()
    )
    content = {"metadata": {"total_size": n_bytes}, "weight_map": converted}
    (folder / SAFETENSORS_INDEX).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def copy_shared_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors with contiguous content; those that share memory with an earlier one are copied."""
    storages: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        is_copied = address in storages or not tensor.is_contiguous()
        storages.add(address)
        result[name] = tensor.detach().clone(memory_format=torch.contiguous_format) if is_copied else tensor.detach()
    return result


def _load_tensors(source: Path) -> dict[str, torch.Tensor]:
    """Read a pickle of tensors. Where its format allows it, they stay on the disk until they are used."""
    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source))
    except Exception as error:  # a damaged or hostile file can raise any error
        raise _refusal(source, error) from error
    if not isinstance(content, Mapping):
        raise DataError(f"{source.name}: expected tensors by name, found {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            found = type(value).__name__
        elif value.layout is not torch.strided or value.is_quantized:
            found = "a sparse or quantised tensor"
        else:
            continue
        raise DataError(f"{source.name}: expected dense tensors by name, found {found} under {shorten_repr(name)}")
    return dict(content)


def _refusal(source: Path, error: Exception) -> DataError:
    forbidden = _FORBIDDEN_NAME.search(str(error))
    if forbidden:
        return DataError(
            f"{source.name}: expected tensors alone, found a pickle that calls {forbidden[1]}: it could run code and "
            "was not opened. Use another checkpoint"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return DataError(f"{source.name}: expected a file of tensors, found another, or a damaged one: {lines[-1][:200]}")
