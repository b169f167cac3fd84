"""`rayner-checkpoint.json`: what a checkpoint folder that `rayner fetch` wrote holds, and where it is from."""

import json
from dataclasses import dataclass
from pathlib import Path

from rayner.checkpoints.file_choice import RECORD_FILE
from rayner.runs.json_files import read_record_if_any
from rayner.text.json_records import record_to_json

FORMAT_VERSION = 1
_REMEDY = "fetch the checkpoint into a new folder"


@dataclass(frozen=True)
class RecordedFile:
    """A file with its size and its SHA-256."""

    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class CheckpointRecord:
    """The origin and the files of a checkpoint.

    Attributes:
        name: The name on the hub, or the folder that was converted.
        revision: The commit that was downloaded; None for a folder.
        files: The files of the checkpoint.
        converted_from: The pickles that the weights were converted from; empty if they were published as safetensors.

    """

    name: str
    revision: str | None
    files: tuple[RecordedFile, ...]
    converted_from: tuple[RecordedFile, ...]

    def encode(self) -> bytes:
        """Return the content of the file."""
        content = {"format_version": FORMAT_VERSION, **record_to_json(self)}
        return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def read_checkpoint_record(folder: Path) -> CheckpointRecord | None:
    """Read the record of a checkpoint folder; None if there is none.

    Raises DamagedFileError if the file is damaged, ConfigError if another version of rayner wrote it.
    """
    return read_record_if_any(
        folder / RECORD_FILE, CheckpointRecord, expected="the record of a checkpoint", remedy=_REMEDY,
        format_version=FORMAT_VERSION,
    )  # fmt: skip
