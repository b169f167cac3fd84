"""Safe loading of checkpoints: only safetensors and JSON are read.

No pickle is opened, and no code that comes with a checkpoint is run.
"""

import json
from pathlib import Path
from typing import Any

from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

_PICKLE_SUFFIXES = frozenset((".bin", ".pt", ".pth", ".ckpt", ".pkl"))
_SAFETENSORS_INDEX = ".safetensors.index.json"


def reject_pickles_and_build_kwargs(model: str | Path) -> dict[str, bool]:
    """Reject a checkpoint folder with pickled weights, and return the arguments that make transformers load safely.

    With these arguments transformers opens only safetensors and runs no code of the checkpoint.

    Raises:
        ConfigError: The folder has only pickled weights, or its JSON makes transformers open pickled weights. The
            message names the file.

    """
    folder = Path(model)
    if folder.is_dir():
        _reject_pickled_weights(folder)
    return {"use_safetensors": True, "trust_remote_code": False}


def checkpoint_error(model: str | Path, expected_content: str, error: Exception) -> ConfigError:
    """Return the error for a checkpoint that cannot be loaded, in one line.

    Args:
        model: The checkpoint folder or hub name.
        expected_content: What the checkpoint should be.
        error: The error that loading raised.

    """
    found = " ".join(str(error).split())
    if "trust_remote_code" in found:  # transformers asks for an argument that users of rayner cannot give
        found = "one that needs Python code of its own, which is not run (docs/security.md)"
    return ConfigError(f"{model}: expected {expected_content}, found: {found}")


def _reject_pickled_weights(folder: Path) -> None:
    present = sorted(path.name for path in folder.iterdir())
    pickled = [name for name in present if Path(name).suffix in _PICKLE_SUFFIXES]
    if pickled and not any(name.endswith(".safetensors") for name in present):
        raise _pickle_error(folder, pickled[0])
    for name in sorted(_weight_files_in_json(folder)):
        if not name.endswith((".safetensors", _SAFETENSORS_INDEX)):
            raise _pickle_error(folder, name)
        if Path(name).name != name:
            raise ConfigError(f"{folder}: expected weights in this folder, found {shorten_repr(name)} named among them")
    if "adapter_model.bin" in present and "adapter_model.safetensors" not in present:
        raise _pickle_error(folder, "adapter_model.bin")


def _weight_files_in_json(folder: Path) -> set[str]:
    """Return the files that the folder's JSON names as weights.

    transformers opens these files whatever their format is.
    """
    names: set[str] = set()
    for path in (folder / "config.json", *folder.glob(f"*{_SAFETENSORS_INDEX}")):
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            names |= {str(name) for name in fields.get("weight_map", {}).values()}
            if path.name == "config.json" and fields.get("transformers_weights"):
                names.add(str(fields["transformers_weights"]))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, AttributeError) as error:
            raise checkpoint_error(path, "JSON of a checkpoint", error) from error
    return names


def _pickle_error(folder: Path, name: str) -> ConfigError:
    return ConfigError(
        f"{folder}: expected weights in safetensors, found {shorten_repr(name)}: pickles can run code and are not "
        "read; `rayner fetch THIS_FOLDER NEW_FOLDER` converts them"
    )
