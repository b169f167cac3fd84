"""Read and write plain texts without changing a character. `rayner.corpus.text_listing` lists those of a corpus."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rayner.corpus.plain_text.content_guess import format_guess_hint
from rayner.errors import DataError, JobError
from rayner.runs.error_messages import RERUN_HINT, format_error, is_storage_error
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, storage_path
from rayner.text.credentials import hide_credentials
from rayner.text.messages import escape_control_characters

TEXT_SUFFIX = ".txt"
_MAX_NAMES_FOR_HINT = 10_000  # comparing a name with those of a larger folder takes too long
# Errors that the file itself causes. A rerun would meet them again, unlike those of a busy machine or network.
_ERRORS_OF_FILES = frozenset(
    (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR,
     errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EOVERFLOW)
)  # fmt: skip


@dataclass(frozen=True)
class TextFile:
    """A plain text to tag, with its name in the tagged corpus.

    path: Where the file is. Bytes of the name that are not UTF-8 are written as escapes.
    problem: Why the file or folder cannot be read, if this is known before reading it. Otherwise None.
    """

    doc_id: str
    path: str
    problem: str | None = None


def read_bytes(path: str | StoragePath) -> bytes:
    """Read the bytes of a file. Raises DataError, which names the file, if it cannot be read."""
    try:
        return storage_path(path).read_bytes()
    except FileNotFoundError:
        hint = format_similar_name_hint(storage_path(path))
        raise DataError(f"{path}: expected a file, found nothing of that name{hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, found a folder") from None
    except OSError as error:
        raise DataError(f"{path}: expected a file that can be read, found: {error.strerror or error}") from None


def read_utf8(path: str | StoragePath) -> str:
    """Read a UTF-8 file unchanged: line breaks stay as they are, and a BOM stays as the character U+FEFF.

    If the text is encoded again, the result is the file's bytes. Raises DataError if the file cannot be read or is not
    UTF-8.
    """
    return decode_utf8(path, read_bytes(path))


def write_utf8(path: str | StoragePath, text: str) -> None:
    """Write a text to a UTF-8 file unchanged and atomically. Raises OSError."""
    with atomic_writer(storage_path(path)) as stream:
        stream.write(text.encode())


def decode_utf8(path: str | StoragePath, data: bytes) -> str:
    """Decode the bytes of a file. Raises DataError, which names the file and the line, if they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} ({error.reason})"
        found += format_guess_hint(data)
        raise DataError(f"{escape_control_characters(str(path))}:{line}: expected UTF-8, found {found}") from None


def read_corpus_file(path: str | StoragePath) -> bytes:
    """Read the bytes of a file that was found in a corpus.

    Unlike `read_bytes`, it reads regular files only, and it tells a file that cannot be read from a machine or network
    that fails at the moment.

    Raises:
        DataError: The file cannot be read. The message names it.
        JobError: The storage fails. A rerun may read the file.

    """
    file = storage_path(path)
    with errors_of_corpus_files(path):
        if not isinstance(file, Path):
            return file.read_bytes()
        # Opening a named pipe would wait for a writer, so O_NONBLOCK.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            file_type = describe_special_file(os.fstat(descriptor).st_mode)
            if not file_type:
                return stream.read()
    raise DataError(f"{escape_control_characters(str(path))}: expected a file, found {file_type}")


@contextmanager
def errors_of_corpus_files(path: str | StoragePath) -> Iterator[None]:
    """Turn an error of the storage into a DataError if the file or folder `path` causes it, otherwise into a JobError.

    In the first case the corpus can be tagged without the file, in the second case it must not.
    """
    shown = escape_control_characters(str(path))
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{shown}: expected what was listed before, found nothing of that name") from None
    except OSError as error:
        by_url = isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError)
        if by_url or (isinstance(storage_path(path), Path) and error.errno in _ERRORS_OF_FILES):
            reason = hide_credentials(str(error.strerror or error))
            raise DataError(f"{shown}: expected a file or folder that can be read, found: {reason}") from None
        raise JobError(f"{shown}: {format_error(error)}; {RERUN_HINT}") from error
    except Exception as error:
        if not is_storage_error(error):
            raise
        raise JobError(f"{shown}: {format_error(error)}; {RERUN_HINT}") from error


def describe_special_file(mode: int) -> str:
    """Return what a file is, such as `a named pipe`, by its `st_mode`; "" for a regular file."""
    types = (
        (stat.S_ISREG, ""), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    )  # fmt: skip
    return next((name for is_type, name in types if is_type(mode)), "something else")


def format_similar_name_hint(path: StoragePath) -> str:
    """Return a question that suggests a similar name in the same folder, or "" if there is no similar name."""
    try:
        names = [entry.name for entry in list_folder(path.parent)]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1) if len(names) <= _MAX_NAMES_FOR_HINT else []
    return f"; did you mean {path.parent / close[0]}?" if close else ""
