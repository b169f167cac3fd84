"""Plain texts, in folders or at URLs: found in one order, read without changing a character."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rayner.errors import DataError
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, storage_path

TEXT_SUFFIX = ".txt"


@dataclass(frozen=True)
class TextFile:
    """A plain text to tag: its path, and the name it goes by in the tagged corpus.

    fault: what is wrong with the file, if that is known already; None for one that can be tried.
    """

    doc_id: str
    path: str
    problem: str | None = None


def read_bytes(path: str | StoragePath) -> bytes:
    """The bytes of a file. Raises DataError, naming it, for one that cannot be read."""
    try:
        return storage_path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: expected a file, found nothing of that name{_suggest_name(storage_path(path))}"
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, found a folder") from None
    except OSError as error:
        raise DataError(f"{path}: expected a file that can be read, found: {error.strerror or error}") from None


def read_utf8(path: str | StoragePath) -> str:
    """The text of a UTF-8 file, unchanged: line breaks as they are, a BOM kept as the character U+FEFF.

    Encoded again, it is the file's bytes. An empty file is an empty text. Raises DataError.
    """
    return decode_utf8(path, read_bytes(path))


def write_utf8(path: str | StoragePath, text: str) -> None:
    """Write a UTF-8 file, unchanged. It appears whole or not at all. Raises OSError."""
    with atomic_writer(storage_path(path)) as stream:
        stream.write(text.encode())


def _suggest_name(path: StoragePath) -> str:
    """The name in the same folder that was perhaps meant, as a question; "" if there is none."""
    try:
        names = [entry.name for entry in list_folder(path.parent)]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""


def decode_utf8(path: str | StoragePath, data: bytes) -> str:
    """The text of these bytes of a file. Raises DataError, naming the line, where they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} ({error.reason})"
        raise DataError(f"{path}:{line}: expected UTF-8, found {found}") from None


def list_text_files(source: str | StoragePath) -> Iterator[TextFile]:
    """The texts of a corpus: what ends in `.txt` in a folder and its subfolders, or a single file.

    In order of their paths inside the folder, which without their ending are their doc_ids; a single file's is its
    name without the ending. What bears such a name but is no file is listed with its fault. The names of one folder
    are in memory at a time. Raises DataError where there is none, or where a link leads out of the folder.
    """
    source = storage_path(source)
    if source.is_file():
        yield _text_file(source.stem, source)
        return
    if not source.is_dir():
        raise DataError(f"{source}: expected a folder or a file, found nothing of that name{_suggest_name(source)}")
    files = _walk_folder(source, "", source)
    first = next(files, None)
    if first is None:
        raise DataError(f"{source}: expected files ending in {TEXT_SUFFIX}, found none")
    yield first
    yield from files


def _walk_folder(folder: StoragePath, inside: str, source: StoragePath) -> Iterator[TextFile]:
    """The texts below a folder. A link to a folder inside it is not followed: those texts are met where they are."""
    try:
        listed = list_folder(folder)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read, found: {error.strerror or error}") from None
    for name, is_folder in listed:
        path = folder / name
        is_text = name.endswith(TEXT_SUFFIX) and name != TEXT_SUFFIX
        if isinstance(path, Path) and path.is_symlink() and (is_text or is_folder):
            if not path.resolve().is_relative_to(Path(str(source)).resolve()):
                raise DataError(f"{path}: expected texts inside {source}, found a link to {path.resolve()}")
            if is_folder:
                continue
        if is_folder:
            if is_text:
                yield _text_file(f"{inside}{name}"[: -len(TEXT_SUFFIX)], path, "expected a file, found a folder")
            yield from _walk_folder(path, f"{inside}{name}/", source)
        elif is_text:
            fault = None
            if isinstance(path, Path) and not path.is_file():
                fault = "expected a file, found something else or a link to nothing"
            yield _text_file(f"{inside}{name}"[: -len(TEXT_SUFFIX)], path, fault)


def _text_file(doc_id: str, path: StoragePath, fault: str | None = None) -> TextFile:
    """The text under its name, which tables keep as UTF-8. Raises DataError for a name that is not."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!r}: expected a file name in UTF-8, found other bytes") from None
    return TextFile(doc_id, str(path), fault and f"{path}: {fault}")
