"""The files of a repository that make up a checkpoint: configuration, tokenizer and weights, and nothing else."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rayner.errors import DataError
from rayner.text.messages import shorten_repr

CONFIG_FILE = "config.json"
RECORD_FILE = "rayner-checkpoint.json"  # what `rayner fetch` writes last
DOWNLOAD_FOLDER = ".download"  # holds the files until all are complete
SAFETENSORS_FILE, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE_FILE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
# In the order in which transformers looks for them.
_WEIGHT_ENTRIES = (SAFETENSORS_FILE, SAFETENSORS_INDEX, PICKLE_FILE, PICKLE_INDEX)
# Each of these is enough for a tokenizer.
TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip
_OTHER_FILES = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "chat_template.jinja",
    "generation_config.json",
)  # fmt: skip
_OTHER_WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack", ".gguf", ".onnx", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of a repository to fetch.

    plain: the configuration and the files of the tokenizer.
    weights_entry: the file of all weights, or the index of files that share them.
    """

    plain: tuple[str, ...]
    weights_entry: str

    @property
    def is_sharded(self) -> bool:
        """Whether several files share the weights."""
        return self.weights_entry in (SAFETENSORS_INDEX, PICKLE_INDEX)

    @property
    def is_pickled(self) -> bool:
        """Whether the weights are pickles, which must be converted."""
        return self.weights_entry in (PICKLE_FILE, PICKLE_INDEX)


def choose_checkpoint_files(source: str, names: Collection[str]) -> CheckpointFiles:
    """Choose the files of a checkpoint.

    Args:
        source: The name of the repository, for messages.
        names: The names of its files.

    Raises:
        DataError: Configuration, tokenizer or weights are missing.

    """
    if CONFIG_FILE not in names:
        found = "an adapter, not a whole model" if "adapter_config.json" in names else "none"
        raise DataError(f"{source}: expected a checkpoint with a {CONFIG_FILE}, found {found}")
    entry = next((name for name in _WEIGHT_ENTRIES if name in names), None)
    if entry is None:
        others = sorted(name for name in names if name.endswith(_OTHER_WEIGHTS) and "/" not in name)
        found = f"only {', '.join(others[:3])}" if others else "no weights"
        raise DataError(f"{source}: expected weights in {SAFETENSORS_FILE} or {PICKLE_FILE}, found {found}")
    if not any(name in names for name in TOKENIZER_FILES):
        raise DataError(f"{source}: expected a tokenizer ({', '.join(TOKENIZER_FILES)}), found none")
    plain = tuple(name for name in (CONFIG_FILE, *TOKENIZER_FILES, *_OTHER_FILES) if name in names)
    return CheckpointFiles(plain, entry)


def read_weight_map(index: Path) -> dict[str, str]:
    """Return, for each tensor, the file that holds it, from the index of sharded weights.

    Raises DataError if the index is damaged, or if it names a file outside its folder or of another format than its
    own.
    """
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        weight_map = {str(tensor): str(file) for tensor, file in content["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{index}: expected an index of weights, found another file: {error!r}") from error
    for name in weight_map.values():
        if Path(name).name != name or not name.endswith(suffix):
            raise DataError(f"{index}: expected names of {suffix} files in its folder, found {shorten_repr(name)}")
    if not weight_map:
        raise DataError(f"{index}: expected at least one tensor, found none")
    return weight_map


def name_converted_file(name: str) -> str:
    """Return the name in safetensors of a file of pickled weights or of their index."""
    if name == PICKLE_INDEX:
        return SAFETENSORS_INDEX
    return f"{name.removesuffix('.bin').replace('pytorch_model', 'model', 1)}.safetensors"
