"""Plain texts, in folders or at URLs: listed in a fixed order, read and written without changing a character."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rayner.errors import DataError
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, storage_path

TEXT_SUFFIX = ".txt"


@dataclass(frozen=True)
class TextFile:
    """A plain text to tag, with its name in the tagged corpus.

    problem: what is wrong with the file, if that is known before it is read.
    """

    doc_id: str
    path: str
    problem: str | None = None


def read_bytes(path: str | StoragePath) -> bytes:
    """Read the bytes of a file. Raises DataError, naming it, if it cannot be read."""
    try:
        return storage_path(path).read_bytes()
    except FileNotFoundError:
        hint = _format_similar_name_hint(storage_path(path))
        raise DataError(f"{path}: expected a file, found nothing of that name{hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, found a folder") from None
    except OSError as error:
        raise DataError(f"{path}: expected a file that can be read, found: {error.strerror or error}") from None


def read_utf8(path: str | StoragePath) -> str:
    """Read a UTF-8 file unchanged: line breaks stay as they are, and a BOM stays as the character U+FEFF.

    Encoded again, the text is the file's bytes. Raises DataError.
    """
    return decode_utf8(path, read_bytes(path))


def write_utf8(path: str | StoragePath, text: str) -> None:
    """Write a UTF-8 file, unchanged. It appears whole or not at all. Raises OSError."""
    with atomic_writer(storage_path(path)) as stream:
        stream.write(text.encode())


def decode_utf8(path: str | StoragePath, data: bytes) -> str:
    """Decode the bytes of a file. Raises DataError, naming file and line, if they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} ({error.reason})"
        raise DataError(f"{path}:{line}: expected UTF-8, found {found}") from None


def list_text_files(source: str | StoragePath) -> Iterator[TextFile]:
    """Yield the plain texts of a corpus: a single file, or the `.txt` files of a folder and its subfolders.

    A file of a folder has its path inside the folder as its doc_id, without the suffix; they come in the order of these
    paths. A single file's doc_id is its name without the suffix. A folder, or a link to nothing, with the name of a
    text is yielded with its problem. Only the names of one folder are in memory at a time.

    Raises:
        DataError: There is no text, a folder cannot be read, a link leads out of the corpus, or a name is not UTF-8.

    """
    source = storage_path(source)
    if source.is_file():
        yield _build_text_file_record(source.stem, source)
        return
    if not source.is_dir():
        raise DataError(
            f"{source}: expected a folder or a file, found nothing of that name{_format_similar_name_hint(source)}"
        )
    files = _walk_folder(source, "", source)
    first = next(files, None)
    if first is None:
        raise DataError(f"{source}: expected files ending in {TEXT_SUFFIX}, found none")
    yield first
    yield from files


def _walk_folder(folder: StoragePath, doc_id_prefix: str, source: StoragePath) -> Iterator[TextFile]:
    """Yield the texts below a folder. prefix: its path inside `source`, with a `/` at the end.

    A link to a folder inside `source` is not followed: its texts are found where they lie.
    """
    try:
        folder_entries = list_folder(folder)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read, found: {error.strerror or error}") from None
    for name, is_folder in folder_entries:
        path = folder / name
        is_text = name.endswith(TEXT_SUFFIX) and name != TEXT_SUFFIX
        doc_id = f"{doc_id_prefix}{name}".removesuffix(TEXT_SUFFIX)
        if isinstance(path, Path) and path.is_symlink() and (is_text or is_folder):
            if not path.resolve().is_relative_to(Path(str(source)).resolve()):
                raise DataError(f"{path}: expected texts inside {source}, found a link to {path.resolve()}")
            if is_folder:
                continue
        if is_folder:
            if is_text:
                yield _build_text_file_record(doc_id, path, "expected a file, found a folder")
            yield from _walk_folder(path, f"{doc_id_prefix}{name}/", source)
        elif is_text:
            is_readable = not isinstance(path, Path) or path.is_file()
            problem = None if is_readable else "expected a file, found something else or a link to nothing"
            yield _build_text_file_record(doc_id, path, problem)


def _build_text_file_record(doc_id: str, path: StoragePath, problem: str | None = None) -> TextFile:
    """Make a TextFile. Raises DataError for a name that is not UTF-8, because tables keep names as UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!r}: expected a file name in UTF-8, found other bytes") from None
    return TextFile(doc_id, str(path), problem and f"{path}: {problem}")


def _format_similar_name_hint(path: StoragePath) -> str:
    """Return a question about a similar name in the same folder; "" if there is none."""
    try:
        names = [entry.name for entry in list_folder(path.parent)]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
