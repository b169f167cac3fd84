"""Read files in a ZIP archive of unknown origin, which may be damaged or unpack to any size."""

import io
import lzma
import struct
import zipfile
import zlib

ZIP_SIGNATURE = b"PK\x03\x04"
# What `zipfile` raises for archives that are damaged, encrypted or packed in a way that it does not know.
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, IndexError, NotImplementedError, RuntimeError),
)


class ZipArchiveError(ValueError):
    """An archive cannot be read. The message says why."""


def list_archive(data: bytes) -> frozenset[str]:
    """Return the names of the files in an archive. Raises ZipArchiveError if the archive is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return frozenset(archive.namelist())
    except _ERRORS as error:
        raise ZipArchiveError(_describe(error)) from None


def read_archived_file(data: bytes, name: str, max_bytes: int) -> bytes:
    """Return the content of a file in an archive.

    Raises ZipArchiveError if there is no such file, if it has more than `max_bytes` bytes, or if the archive is
    damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(name) as stream:
            content = stream.read(max_bytes + 1)
    except KeyError:
        raise ZipArchiveError(f"no {name}") from None
    except _ERRORS as error:
        raise ZipArchiveError(_describe(error)) from None
    if len(content) > max_bytes:
        raise ZipArchiveError(f"{name} with more than {max_bytes:,} bytes")
    return content


def _describe(error: Exception) -> str:
    return " ".join(f"{error}".split()) or type(error).__name__
