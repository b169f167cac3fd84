"""Description files: the JSON file that training writes beside a model's weights and that loading reads."""

from pathlib import Path
from typing import TypeVar

from rayner.errors import ConfigError
from rayner.runs.json_files import read_json, write_json
from rayner.runs.storage import StoragePath
from rayner.text.json_records import parse_record, record_to_json

_REMEDY = "train the model again"
Description = TypeVar("Description")


def read_description(
    path: StoragePath, record_type: type[Description], format_version: int, expected_content: str
) -> Description:
    """Read a description file.

    Args:
        path: The file.
        record_type: The dataclass of the description.
        format_version: The format version that the file must have.
        expected_content: What the folder should hold, for messages.

    Raises:
        ConfigError: The file is missing or of another format version.
        DamagedFileError: The file is damaged: empty, no JSON, incomplete, or with values of another type.
        NotFiniteFileError: A number in the file is not finite.

    """
    try:
        content = read_json(path, _REMEDY)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path.parent}: expected {expected_content}, found: {reason}") from error
    return parse_record(
        record_type, content, path, expected=f"the description of {expected_content}", remedy=_REMEDY,
        format_version=format_version,
    )  # fmt: skip


def write_description(path: Path, description: object, format_version: int) -> None:
    """Write a description, a dataclass, to a file that `read_description` reads."""
    write_json(path, {"format_version": format_version, **record_to_json(description)})
