"""`llm.json`: the file that fine-tuning writes beside an LLM's weights, so that later steps load the same model."""

from dataclasses import dataclass
from pathlib import Path

from rayner.modeling.descriptions import read_description, write_description
from rayner.runs.storage import StoragePath

DESCRIPTION_FILE = "llm.json"
BASE_FOLDER, ADAPTER_FOLDER = "base", "adapter"
# To be raised also when the same settings give other prompts: an LLM must be asked with the prompts it was trained on.
LLM_FORMAT_VERSION = 2


@dataclass(frozen=True)
class LlmDescription:
    """The parts of a fine-tuned LLM.

    Attributes:
        base: The base model. `base` means the folder of that name beside the file; any other value is a checkpoint
            folder or hub name.
        adapter: The folder of the LoRA adapter beside the file; None if no adapter was trained.
        instruction: The instruction in the prompts that the LLM was trained on.
        types: The entity types that the LLM may write.
        hint: The hint in the prompts that the LLM was trained on, as in `llm.hint`; None if they had none.

    """

    base: str
    adapter: str | None
    instruction: str
    types: tuple[str, ...]
    hint: str | None = None

    @property
    def has_own_base(self) -> bool:
        """Whether the base model is the folder `base` beside the file."""
        return self.base == BASE_FOLDER


def read_llm_description(folder: StoragePath) -> LlmDescription:
    """Read `llm.json`.

    Raises ConfigError if it is missing or of another format version, DamagedFileError if it is damaged.
    """
    return read_description(folder / DESCRIPTION_FILE, LlmDescription, LLM_FORMAT_VERSION, "a fine-tuned LLM")


def write_llm_description(folder: Path, description: LlmDescription) -> None:
    """Write `llm.json`."""
    write_description(folder / DESCRIPTION_FILE, description, LLM_FORMAT_VERSION)
