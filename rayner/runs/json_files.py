"""Read and write the JSON files by which a job continues: manifests, records, descriptions, status.

A file is written whole or not at all, and only if it is JSON. A file that cannot be read as JSON is reported as
damaged, in one line that names the file, what was found, and what to do.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, Never, TypeVar

from rayner.errors import DamagedFileError, JobError, NotFiniteFileError
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.json_records import parse_record

Record = TypeVar("Record")
START_OVER = "start over beside it with --fresh"
_DIGEST_KEY = "content_sha256"
_DIGEST_LINE = re.compile(rf'\{{\n "{_DIGEST_KEY}": "([0-9a-f]{{64}})",'.encode())
_JSON_SPACE = b" \t\r\n"


def write_json(path: StoragePath, value: Any) -> None:  # noqa: ANN401 - anything that JSON can write
    """Write a JSON file atomically: a reader finds either the old file or the complete new file.

    Raises JobError, and leaves the old file, if the value holds a number that is not finite or text that UTF-8 cannot
    write. Raises TypeError if the value holds an object that JSON does not have.
    """
    content = _encode(path, value)
    with atomic_writer(path) as stream:
        stream.write(content)


def read_json(path: StoragePath, remedy: str = START_OVER) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file that `write_json` wrote.

    remedy: what the user can do about a damaged file that has no backup.

    Raises DamagedFileError if the file holds something else (NotFiniteFileError for a number that is not finite, which
    includes a number that is too large, such as 1e999), FileNotFoundError if it is missing, and other OSErrors if
    it cannot be read.
    """
    try:
        return parse_json(path.read_bytes(), path, remedy)
    except IsADirectoryError:
        raise damaged_file_error(path, "a folder", remedy) from None


def read_record_if_any(
    path: StoragePath, record_type: type[Record], *, expected: str, remedy: str, format_version: int
) -> Record | None:
    """Read a record that was written with its format version; None if the file is missing.

    expected, remedy, format_version: see `parse_record`.

    Raises DamagedFileError if the file is damaged, ConfigError if another version of rayner wrote it.
    """
    if not path.exists():
        return None
    content = read_json(path, remedy)
    return parse_record(record_type, content, path, expected=expected, remedy=remedy, format_version=format_version)


def write_checked_json(path: StoragePath, value: Mapping[str, Any]) -> None:
    """Write a JSON object with the digest of its content, so that a changed character is noticed when it is read.

    Raises as `write_json`.
    """
    content = _encode(path, value)
    digest = hashlib.sha256(content).hexdigest()
    with atomic_writer(path) as stream:
        stream.write(f'{{\n "{_DIGEST_KEY}": "{digest}",'.encode() + content[1:])


def read_checked_json(path: StoragePath, remedy: str = START_OVER) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON object that `write_checked_json` wrote, without its digest.

    A file without a digest is one of an earlier version, and is read unchecked. Raises as `read_json`;
    DamagedFileError also if the content does not have the digest.
    """
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise damaged_file_error(path, "a folder", remedy) from None
    match = _DIGEST_LINE.match(content)
    if match is None:
        value = parse_json(content, path, remedy)
        if isinstance(value, Mapping) and _DIGEST_KEY in value:
            raise damaged_file_error(path, f"a {_DIGEST_KEY} that rayner did not write", remedy)
        return value
    content = b"{" + content[match.end() :]
    if hashlib.sha256(content).hexdigest() != match[1].decode():
        raise damaged_file_error(path, "content that was changed since rayner wrote it", remedy)
    return parse_json(content, path, remedy)


def parse_json(content: bytes, path: StoragePath | str, remedy: str = START_OVER) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value that a file holds. Raises DamagedFileError if the file holds something else.

    content: the content of the file.
    path: the file, for the message.
    remedy: what the user can do about a damaged file that has no backup.
    """
    try:
        return _decode(content)
    except _NotFiniteError as error:
        message = str(damaged_file_error(path, str(error), remedy))
        raise NotFiniteFileError(message) from None
    except _NotJsonError as error:
        raise damaged_file_error(path, str(error), remedy) from None


def damaged_file_error(path: StoragePath | str, found: str, remedy: str = START_OVER) -> DamagedFileError:
    """Return the error for a file that is not the JSON that rayner wrote.

    found: what is there instead, such as `an empty file`.
    remedy: what the user can do if there is no backup.
    """
    return DamagedFileError(
        f"{path}: expected JSON, found {found}: the file is damaged; restore it from a backup, or {remedy}"
    )


class _NotJsonError(Exception):
    """The message says what was found instead of JSON."""


class _NotFiniteError(_NotJsonError):
    """The message says which number is not finite."""


def _decode(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    if not content.strip(_JSON_SPACE):
        raise _NotJsonError("an empty file")
    if not content.strip(b"\0"):
        raise _NotJsonError("only NUL bytes")
    try:
        text = content.decode("utf-8")
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_float, parse_int=_parse_int)
        if "\\ud" in text.lower():  # half a surrogate pair, such as "\ud800", can neither be printed nor written
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _NotJsonError(f"bytes that are not UTF-8 at line {line}") from None
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"something else at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeEncodeError:
        raise _NotJsonError("half a surrogate pair in a text") from None
    except RecursionError:
        raise _NotJsonError("brackets nested too deeply") from None
    except ValueError:  # Python limits the digits of a number
        raise _NotJsonError("a number with too many digits") from None
    return value


def _reject_constant(name: str) -> Never:
    raise _NotFiniteError(f"{name}, which is not a JSON number")


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _too_large_error(digits)
    return value


def _parse_int(digits: str) -> int:
    value = int(digits)
    if abs(value) > sys.float_info.max:
        raise _too_large_error(digits)
    return value


def _too_large_error(digits: str) -> _NotFiniteError:
    return _NotFiniteError(f"{digits[:20]}, which is too large a number")


def _encode(path: StoragePath, value: Any) -> bytes:  # noqa: ANN401 - anything that JSON can write
    try:
        return (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
    except ValueError as error:  # UnicodeEncodeError among them
        key, reason = _find_unwritable(value) or ("", str(error))
        raise JobError(
            f"{path}: expected values that JSON can hold, found {reason}{f' at {key}' if key else ''}: the file was "
            "not written. A model or a rule that gives such values must be made again"
        ) from None


def _find_unwritable(value: Any, key: str = "") -> tuple[str, str] | None:  # noqa: ANN401 - anything JSON can write
    """Return the dotted key of the first value that cannot be written, and what it is."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (key, str(value))
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return key, f"{value!r}, which is not Unicode text"
        return None
    children: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, list | tuple):
        children = list(enumerate(value))
    for name, child in children:
        child_key = f"{key}.{name}" if key else str(name)
        unwritable = _find_unwritable(name, key) or _find_unwritable(child, child_key)
        if unwritable:
            return unwritable
    return None
