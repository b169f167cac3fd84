"""`pretraining.json` in the folder of a pretrained encoder: the text, the settings and the losses it comes from."""

from dataclasses import dataclass
from typing import Any

from rayner.runs.json_files import read_record_if_any, write_json
from rayner.runs.storage import StoragePath
from rayner.text.json_records import record_to_json

RECORD_FILE = "pretraining.json"
FORMAT_VERSION = 1
_REMEDY = "name another folder"


@dataclass(frozen=True)
class TextFacts:
    """The text of a pretraining.

    Attributes:
        digest: A digest of all texts of the corpus, their names and their order.
        documents: The number of texts that were read and not left out.
        characters: Their characters.
        left_out: The texts that were left out because they share characters with labelled sentences, by doc_id.
        left_out_characters: The characters of these texts.
        unread: For each file that cannot be read, the reason.
        labelled_sentences: The number of labelled sentences with which the texts were compared.
        short_sentences: The number of these that are too short to be found.
        labelled_digest: A digest of the strings of the labelled sentences; empty if there are none.

    """

    digest: str
    documents: int
    characters: int
    left_out: tuple[str, ...]
    left_out_characters: int
    unread: dict[str, str]
    labelled_sentences: int
    short_sentences: int
    labelled_digest: str


@dataclass(frozen=True)
class TrainingFacts:
    """The course of a pretraining.

    Attributes:
        steps: The number of steps. As `pretrain.steps` it gives the same training without a limit of hours.
        first_falling_step: The step from which the learning rate fell.
        epochs: How often the text was read.
        windows: The number of windows of the text, held-out ones included.
        held_out_windows: The number of held-out windows.
        loss: The mean training loss of the last steps.
        held_out_loss: The mean loss of the held-out windows at the end.
        held_out_losses: The same at each checkpoint, by the number of steps.
        parameters: The number of parameters of the encoder.

    """

    steps: int
    first_falling_step: int
    epochs: float
    windows: int
    held_out_windows: int
    loss: float
    held_out_loss: float
    held_out_losses: dict[str, float]
    parameters: int


@dataclass(frozen=True)
class PretrainingRecord:
    """The content of the file. inputs: the settings and digests on which the weights depend."""

    inputs: dict[str, Any]
    text: TextFacts
    training: TrainingFacts


def write_pretraining_record(folder: StoragePath, record: PretrainingRecord) -> None:
    """Write the record into the folder of an encoder."""
    write_json(folder / RECORD_FILE, {"format_version": FORMAT_VERSION, **record_to_json(record)})


def read_pretraining_record(folder: StoragePath) -> PretrainingRecord | None:
    """Read the record in the folder of an encoder; None if there is none.

    Raises DamagedFileError if the file is damaged, ConfigError if another version of rayner wrote it.
    """
    return read_record_if_any(
        folder / RECORD_FILE, PretrainingRecord, expected="the record of a pretraining", remedy=_REMEDY,
        format_version=FORMAT_VERSION,
    )  # fmt: skip
