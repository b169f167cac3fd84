"""Checkpoints read as data: safetensors and JSON. No pickle of a user is opened, no code that came along is run."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rayner.errors import ConfigError

_PICKLE_SUFFIXES = frozenset((".bin", ".pt", ".pth", ".ckpt", ".pkl"))
_SAFETENSORS_INDEX = ".safetensors.index.json"


def safe_load_options(model: str | Path) -> dict[str, bool]:
    """The arguments by which transformers opens safetensors alone and runs no code of a checkpoint.

    Raises ConfigError, naming the file, for a folder whose weights it would unpickle all the same, or that has no
    others.
    """
    folder = Path(model)
    if folder.is_dir():
        _reject_pickled_weights(folder)
    return {"use_safetensors": True, "trust_remote_code": False}


def checkpoint_error(model: str | Path, expected: str, error: Exception) -> ConfigError:
    """The error, in one line, for a checkpoint that cannot be loaded."""
    found = " ".join(str(error).split())
    if "trust_remote_code" in found:  # transformers goes on about an argument that nobody can give here
        found = "one that needs Python code of its own, which is not run (docs/security.md)"
    return ConfigError(f"{model}: expected {expected}, found: {found}")


def _reject_pickled_weights(folder: Path) -> None:
    present = sorted(path.name for path in folder.iterdir())
    pickled = [name for name in present if Path(name).suffix in _PICKLE_SUFFIXES]
    if pickled and not any(name.endswith(".safetensors") for name in present):
        raise _pickle_error(folder, pickled[0])
    for name in sorted(_weight_files_in_json(folder)):
        if not name.endswith((".safetensors", _SAFETENSORS_INDEX)):
            raise _pickle_error(folder, name)
        if Path(name).name != name:
            raise ConfigError(f"{folder}: expected weights in this folder, found {name!r} named among them")
    if "adapter_model.bin" in present and "adapter_model.safetensors" not in present:
        raise _pickle_error(folder, "adapter_model.bin")


def _weight_files_in_json(folder: Path) -> set[str]:
    """Files that the folder's own JSON names as weights: transformers opens them whatever their format."""
    named: set[str] = set()
    for path in (folder / "config.json", *folder.glob(f"*{_SAFETENSORS_INDEX}")):
        try:
            tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            named |= {str(name) for name in tree.get("weight_map", {}).values()}
            if path.name == "config.json" and tree.get("transformers_weights"):
                named.add(str(tree["transformers_weights"]))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, AttributeError) as error:
            raise checkpoint_error(path, "JSON of a checkpoint", error) from error
    return named


def _pickle_error(folder: Path, name: str) -> ConfigError:
    return ConfigError(
        f"{folder}: expected weights in safetensors, found {name!r}: pickles can run code and are not read; "
        "docs/security.md says how to convert one"
    )


@contextmanager
def unpickle_only_deepspeed_states() -> Iterator[None]:
    """While it lasts torch unpickles nothing but tensors and the three classes of DeepSpeed's own training states.

    DeepSpeed asks for unrestricted pickles; anything else in one raises pickle.UnpicklingError.
    """
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    force = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(force)
    os.environ[force] = "1"
    try:
        with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
            yield
    finally:
        if before is None:
            del os.environ[force]
        else:
            os.environ[force] = before
