"""Checks of a checkpoint folder that read the headers of its weights, never the weights themselves."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.checkpoints.file_choice import (
    CONFIG_FILE,
    DOWNLOAD_FOLDER,
    RECORD_FILE,
    SAFETENSORS_FILE,
    SAFETENSORS_INDEX,
    TOKENIZER_FILES,
    read_weight_map,
)
from rayner.errors import ConfigError, DataError
from rayner.modeling.checkpoint import reject_pickles_and_build_kwargs

_COPY_AGAIN = "it was copied in part or is damaged: copy it again, or get it again by `rayner fetch`"
_LFS_POINTER = b"version https://git-lfs"
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8", "U8": "uint8"}


@dataclass(frozen=True)
class WeightFacts:
    """What the headers of a checkpoint's weights say.

    n_bytes: the size of the tensors.
    dtypes: their number types, the one with most bytes first.
    """

    n_files: int
    n_tensors: int
    n_parameters: int
    n_bytes: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class TensorHeader:
    """A tensor as the header of its file describes it.

    end: the offset of its end in the part of the file behind the header.
    """

    dtype: str
    shape: tuple[int, ...]
    n_bytes: int
    end: int


def check_checkpoint_and_read_weight_facts(folder: Path) -> WeightFacts:
    """Check that a folder holds the weights and the tokenizer of a checkpoint, all complete.

    Raises ConfigError or DataError, which names the file, if it does not.
    """
    if (folder / DOWNLOAD_FOLDER).exists() and not (folder / RECORD_FILE).exists():
        raise ConfigError(
            f"{folder}: expected a checkpoint, found a download that is not complete: run its `rayner fetch` again"
        )
    reject_pickles_and_build_kwargs(folder)
    facts = check_and_read_weight_facts(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ConfigError(f"{folder}: expected a tokenizer ({', '.join(TOKENIZER_FILES)}), found none of these files")
    return facts


def check_and_read_weight_facts(folder: Path) -> WeightFacts:
    """Check that all weights of a checkpoint are there, and that each file has the size that its header says.

    Raises ConfigError or DataError, which names the file, if one is missing or damaged.
    """
    entry = _find_weights(folder)
    if entry.name.endswith(".index.json"):
        headers = _read_sharded_headers(entry)
    else:
        headers = {entry.name: read_safetensors_header(entry)}
    tensors = [tensor for header in headers.values() for tensor in header.values()]
    bytes_by_dtype: dict[str, int] = {}
    for tensor in tensors:
        bytes_by_dtype[tensor.dtype] = bytes_by_dtype.get(tensor.dtype, 0) + tensor.n_bytes
    return WeightFacts(
        len(headers),
        len(tensors),
        sum(math.prod(tensor.shape) for tensor in tensors),
        sum(bytes_by_dtype.values()),
        tuple(_DTYPES.get(dtype, dtype) for dtype in sorted(bytes_by_dtype, key=lambda key: -bytes_by_dtype[key])),
    )


def _find_weights(folder: Path) -> Path:
    names = [SAFETENSORS_FILE, SAFETENSORS_INDEX]
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if config.get("transformers_weights"):  # transformers then reads this file
            names.insert(0, str(config["transformers_weights"]))
    except (OSError, ValueError, AttributeError):
        pass  # the check of the configuration reports it
    entry = next((folder / name for name in names if (folder / name).is_file()), None)
    if entry is None:
        raise ConfigError(f"{folder}: expected weights ({SAFETENSORS_FILE} or {SAFETENSORS_INDEX}), found none")
    return entry


def _read_sharded_headers(index: Path) -> dict[str, dict[str, TensorHeader]]:
    """Read the headers of the files that an index names. Each must hold the tensors that the index says."""
    weight_map = read_weight_map(index)
    names = sorted(set(weight_map.values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise ConfigError(
            f"{index.parent}: expected {len(names)} files of weights, as {index.name} says, found no {missing[0]}"
            + (f" and {len(missing) - 1} more missing" if len(missing) > 1 else "")
            + ": copy them too, or get them by `rayner fetch`"
        )
    headers = {name: read_safetensors_header(index.parent / name) for name in names}
    for tensor, name in weight_map.items():
        if tensor not in headers[name]:
            raise DataError(
                f"{index.parent / name}: expected the tensor {tensor}, as {index.name} says, found none of that name: "
                "the files are of different checkpoints"
            )
    return headers


def read_safetensors_header(path: Path) -> dict[str, TensorHeader]:
    """Read the header of a safetensors file, by tensor.

    Raises DataError if the file is damaged, or is not of the size that the header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
        if start == _LFS_POINTER:
            raise DataError(
                f"{path}: expected weights, found a pointer of Git LFS: run `git lfs pull`, or get the checkpoint by "
                "`rayner fetch`"
            )
        length = struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else -1
        if not 2 <= length <= size - 8:
            raise DataError(f"{path}: expected a header of safetensors, found a file of {size:,} bytes: {_COPY_AGAIN}")
        file.seek(8)
        content = file.read(length)
    try:
        tensors = {name: _parse_tensor(entry) for name, entry in json.loads(content).items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected a header of safetensors, found {error!r}: {_COPY_AGAIN}") from error
    expected = 8 + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size != expected:
        raise DataError(f"{path}: expected {expected:,} bytes, as its header says, found {size:,}: {_COPY_AGAIN}")
    return tensors


def _parse_tensor(entry: Mapping[str, Any]) -> TensorHeader:
    start, end = (int(offset) for offset in entry["data_offsets"])
    return TensorHeader(str(entry["dtype"]), tuple(int(n) for n in entry["shape"]), end - start, end)
