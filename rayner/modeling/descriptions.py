"""Description files: the JSON file that training writes beside a model's weights and that loading reads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rayner.errors import ConfigError, DamagedFileError, NotFiniteError
from rayner.runs.json_files import read_json
from rayner.text.json_records import check_format_version

Description = TypeVar("Description")


def read_description(
    path: Path, from_json: Callable[[Mapping[str, Any]], Description], format_version: int, expected_content: str
) -> Description:
    """Read a description file.

    Args:
        path: The file.
        from_json: Makes the description from the fields of the file.
        format_version: The format version that the file must have.
        expected_content: What the folder should hold, for messages.

    Raises:
        ConfigError: The file is missing, broken, incomplete or of another format version.
        NotFiniteError: A number in the file is not finite.

    """
    try:
        fields = read_json(path, "train the model again")
        check_format_version(fields, format_version, path, "train the model again")
        return from_json(fields)
    except NotFiniteError:
        raise
    except (OSError, DamagedFileError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, KeyError):
            reason = f"{path.name} without {reason}"
        raise ConfigError(f"{path.parent}: expected {expected_content}, found: {reason}") from error


def write_description(path: Path, fields: Mapping[str, Any], format_version: int) -> None:
    """Write a description file. fields: the fields that `from_json` takes."""
    text = json.dumps({"format_version": format_version, **fields}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
