"""List plain texts (in folders or at URLs) in a fixed order; read and write them without changing a character."""

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

    problem: Why the file cannot be read, if this is known before reading it. Otherwise None.
    """

    doc_id: str
    path: str
    problem: str | None = None


def read_bytes(path: str | StoragePath) -> bytes:
    """Read the bytes of a file. Raises DataError, which names the file, if it cannot be read."""
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
        raise DataError(f"{path}:{line}: expected UTF-8, found {found}") from None


def list_text_files(source: str | StoragePath) -> Iterator[TextFile]:
    """Yield the plain texts of a corpus: a single file, or the `.txt` files of a folder and its subfolders.

    The doc_id of a file in a folder is its path inside the folder without `.txt`. The order of the files depends only
    on these paths. The doc_id of a single file is its name without the suffix. If a folder or a broken link has a name
    that ends in `.txt`, it is yielded with a `problem`. Only the names of one folder are in memory at a time.

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
    """Yield the texts in a folder and its subfolders.

    A link to a folder inside `source` is not followed, because the folder itself is also visited.

    Args:
        folder: The folder.
        doc_id_prefix: The path of `folder` inside `source`, with a `/` at the end; "" for `source` itself.
        source: The folder of the whole corpus.

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
    """Make a TextFile. Raises DataError if the path is not UTF-8, because the tables store paths as UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!r}: expected a file name in UTF-8, found other bytes") from None
    return TextFile(doc_id, str(path), problem and f"{path}: {problem}")


def _format_similar_name_hint(path: StoragePath) -> str:
    """Return a question that suggests a similar name in the same folder, or "" if there is no similar name."""
    try:
        names = [entry.name for entry in list_folder(path.parent)]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
