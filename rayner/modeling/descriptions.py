"""Description files: the JSON file that training writes beside a model's weights and that loading reads back."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rayner.errors import ConfigError

Description = TypeVar("Description")


def check_format_version(fields: Mapping[str, Any], version: int) -> None:
    """Raise ValueError unless `format_version` of a description is the one that this version of rayner reads."""
    found = fields.get("format_version", "none")
    if found != version:
        raise ValueError(
            f"format_version {found}, where this version of rayner reads {version}; train the model again, "
            "or use the version of rayner that trained it"
        )


def read_description(path: Path, from_json: Callable[[Mapping[str, Any]], Description], expected: str) -> Description:
    """Read a description file.

    from_json: makes the description from the fields of the file. expected: what the folder should hold, for messages.

    Raises ConfigError, naming the folder, for a file that is missing, broken, incomplete or of another format version.
    """
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, KeyError):
            reason = f"{path.name} without {reason}"
        raise ConfigError(f"{path.parent}: expected {expected}, found: {reason}") from error


def write_description(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a description file. fields: what `from_json` takes."""
    path.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
