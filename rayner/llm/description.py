"""`llm.json`: what fine-tuning records beside the weights of an LLM, so that later steps load the same model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.modeling.descriptions import read_description, write_description

DESCRIPTION_FILE = "llm.json"
BASE_FOLDER, ADAPTER_FOLDER = "base", "adapter"
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class LlmDescription:
    """What a fine-tuned LLM consists of.

    base: the base model: `base` for the folder of that name beside the file, else a checkpoint folder or hub name.
    adapter: the folder of the LoRA adapter beside the file, if one was trained. instruction: in words, as in the
    prompts that it was trained on. types: the entity types that it may write.
    """

    base: str
    adapter: str | None
    instruction: str
    types: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        return {
            "base": self.base,
            "adapter": self.adapter,
            "instruction": self.instruction,
            "types": list(self.types),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "LlmDescription":
        """Make a description from what `to_json` returned."""
        return cls(fields["base"], fields["adapter"], fields["instruction"], tuple(fields["types"]))

    @property
    def has_own_base(self) -> bool:
        """Whether the base model is the folder `base` beside the file."""
        return self.base == BASE_FOLDER


def read_llm_description(folder: Path) -> LlmDescription:
    """Read `llm.json`. Raises ConfigError where it is missing, broken or of another format version."""
    return read_description(folder / DESCRIPTION_FILE, LlmDescription.from_json, _FORMAT_VERSION, "a fine-tuned LLM")


def write_llm_description(folder: Path, description: LlmDescription) -> None:
    """Write `llm.json`."""
    write_description(folder / DESCRIPTION_FILE, description.to_json(), _FORMAT_VERSION)
