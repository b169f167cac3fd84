"""List the plain texts of a corpus, in folders or at URLs, in a fixed order.

A file or folder that cannot be read is listed with its problem, so that one of them does not stop a job. Other files
are counted.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rayner.corpus.ignored_files import FOLDER_LINK, RAYNER_OUTPUT, IgnoredFiles, describe_ignored_files
from rayner.corpus.text_files import (
    TEXT_SUFFIX,
    TextFile,
    describe_special_file,
    errors_of_corpus_files,
    format_similar_name_hint,
)
from rayner.errors import DataError
from rayner.runs.output_folder import MARKER_FILE
from rayner.runs.storage import StoragePath, list_folder, storage_path
from rayner.text.messages import escape_control_characters

_LINK_ERRORS = {errno.ELOOP: "a link that leads to itself", errno.EACCES: "a link to a place that may not be read"}


class _Entry(NamedTuple):
    """A file or folder in a corpus. `relative_path` is its path inside the corpus."""

    path: StoragePath
    relative_path: str
    is_folder: bool

    @property
    def is_text(self) -> bool:
        """Whether the name ends in `.txt`, in small or capital letters, after at least one character."""
        name = self.relative_path.rpartition("/")[2]
        return name.lower().endswith(TEXT_SUFFIX) and len(name) > len(TEXT_SUFFIX)


def list_text_files(source: str | StoragePath, ignored: IgnoredFiles | None = None) -> Iterator[TextFile]:
    """Yield the plain texts of a corpus: a single file, or the `.txt` files of a folder and its subfolders.

    The doc_id of a file in a folder is its path inside the folder without `.txt` (see `make_doc_id`). The order of the
    files depends only on these paths. The doc_id of a single file is its name without the suffix.

    What cannot be read is yielded with a `problem`: links that lead to themselves, to nothing or out of the corpus,
    folders without permission, pipes, names that are not UTF-8. A link to a folder inside the corpus is not followed,
    because the folder itself is also visited. Folders that rayner wrote, such as exports, are ignored. Only the names
    of one folder, and of the folders above it, are in memory at a time.

    Args:
        source: The file, the folder or the URL.
        ignored: Counts the files that are not texts.

    Raises:
        DataError: There is no text, or the source itself cannot be read.
        JobError: The storage fails.

    """
    source, ignored = storage_path(source), IgnoredFiles() if ignored is None else ignored
    file_type = _find_type_of_source(source)
    if not file_type:
        yield _build_text_file(source, source.stem)
        return
    if file_type != "a folder":
        raise DataError(f"{source}: expected a folder or a file, found {file_type}")
    texts = _walk_folder(source, ignored)
    first = next(texts, None)
    if first is None:
        others = describe_ignored_files(ignored.groups)
        raise DataError(
            f"{source}: expected files ending in {TEXT_SUFFIX}, found none{f'; ignored: {others}' if others else ''}"
        )
    yield first
    yield from texts


def make_doc_id(relative_path: str) -> str:
    """Return the doc_id of a text: its path inside the corpus without `.txt`.

    An unusual suffix (`B.TXT`) is kept, because `B.txt` may be beside it. So that all doc_ids differ, `B.TXT.txt` keeps
    its suffix too. `get_relative_path` is the inverse.
    """
    return relative_path if _has_unusual_suffix(relative_path) else relative_path.removesuffix(TEXT_SUFFIX)


def get_relative_path(doc_id: str) -> str:
    """Return the path inside the corpus of the text with this doc_id."""
    return doc_id if _has_unusual_suffix(doc_id) else f"{doc_id}{TEXT_SUFFIX}"


def _has_unusual_suffix(name: str) -> bool:
    """Return whether a name, without any `.txt` at its end, ends in `.TXT`, `.Txt` or the like."""
    while name.endswith(TEXT_SUFFIX):
        name = name.removesuffix(TEXT_SUFFIX)
    return name.lower().endswith(TEXT_SUFFIX)


def _find_type_of_source(source: StoragePath) -> str:
    """Return what the source of a corpus is: "" for a file, `a folder`, or something that is no corpus.

    Raises DataError if it does not exist or may not be read.
    """
    if isinstance(source, Path):
        try:
            return describe_special_file(source.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a path with a null character
            pass
        except OSError as error:
            raise DataError(f"{source}: expected a folder or a file, found: {error.strerror}") from None
    else:
        with errors_of_corpus_files(source):
            if source.is_file():
                return ""
            if source.is_dir():
                return "a folder"
    hint = "" if "\0" in str(source) else format_similar_name_hint(source)
    shown = escape_control_characters(str(source))
    raise DataError(f"{shown}: expected a folder or a file, found nothing of that name{hint}")


def _walk_folder(source: StoragePath, ignored: IgnoredFiles) -> Iterator[TextFile]:
    """Yield the texts in a folder and its subfolders. Raises DataError if `source` itself cannot be listed."""
    # Not recursive: a path may have more folders than Python's stack has room for.
    folders = [_list_entries(source, "")]
    root = Path(os.path.realpath(source)) if isinstance(source, Path) else None
    while folders:
        entry = next(folders[-1], None)
        if entry is None:
            folders.pop()
            continue
        problem, doc_id = _find_problem(entry, root), make_doc_id(entry.relative_path)
        if problem:
            yield _build_text_file(entry.path, doc_id, problem)
        elif entry.is_folder:
            if root and os.path.islink(str(entry.path)):
                ignored.add(entry.relative_path, FOLDER_LINK)  # the folder itself is visited anyway
                continue
            if entry.is_text:
                yield _build_text_file(entry.path, doc_id, "expected a file, found a folder")
            try:
                entries = list(_list_entries(entry.path, f"{entry.relative_path}/"))
            except DataError as error:
                yield TextFile(
                    escape_control_characters(doc_id), escape_control_characters(str(entry.path)), str(error)
                )
                continue
            if any(each.relative_path == f"{entry.relative_path}/{MARKER_FILE}" for each in entries):
                ignored.add(entry.relative_path, RAYNER_OUTPUT)
            else:
                folders.append(iter(entries))
        elif entry.is_text:
            yield _build_text_file(entry.path, doc_id)
        else:
            ignored.add(entry.relative_path)


def _list_entries(folder: StoragePath, prefix: str) -> Iterator[_Entry]:
    """List a folder. `prefix`: its path inside the corpus, with a `/` at the end; "" for the corpus itself."""
    with errors_of_corpus_files(folder):
        entries = list_folder(folder)
        if not entries and isinstance(folder, Path):
            folder.stat()  # `list_folder` returns nothing for a folder that has vanished
    return (_Entry(folder / name, f"{prefix}{name}", is_folder) for name, is_folder in entries)


def _find_problem(entry: _Entry, root: Path | None) -> str | None:
    """Return why an entry of a local folder cannot be read, or None.

    A special file with another name than a text's has no problem, because it would be ignored anyway.

    Args:
        entry: The file or folder.
        root: The folder of the whole corpus, without links; None for an object store.

    """
    if root is None:
        return None
    try:
        mode = os.lstat(str(entry.path)).st_mode
        if stat.S_ISLNK(mode):
            return _find_problem_of_link(entry, root)
    except FileNotFoundError:
        return "expected what was listed before, found nothing of that name"
    except OSError as error:
        return f"expected a file that can be read, found: {error.strerror}" if entry.is_text else None
    file_type = "" if entry.is_folder or not entry.is_text else describe_special_file(mode)
    return f"expected a file, found {file_type}" if file_type else None


def _find_problem_of_link(entry: _Entry, root: Path) -> str | None:
    """Return why a link is not read. It is read, or ignored by its name, if it leads to a file inside the corpus."""
    try:
        mode = os.stat(str(entry.path)).st_mode
    except OSError as error:
        return f"expected a file, found {_LINK_ERRORS.get(error.errno or 0, 'a link to nothing')}"
    if not (entry.is_text or stat.S_ISDIR(mode)):
        return None
    target = Path(os.path.realpath(str(entry.path)))
    if not target.is_relative_to(root):
        shown = escape_control_characters(str(target))
        return f"expected texts inside {root}, found a link to {shown}; copy it there to tag it"
    file_type = "" if stat.S_ISDIR(mode) else describe_special_file(mode)
    return f"expected a file, found a link to {file_type}" if file_type else None


def _build_text_file(path: StoragePath, doc_id: str, problem: str | None = None) -> TextFile:
    """Make a TextFile. A name that is not UTF-8 is a problem, because the tables store names as UTF-8."""
    shown = escape_control_characters(str(path))
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        problem = problem or "expected a file name in UTF-8, found other bytes; rename it"
        return TextFile(escape_control_characters(doc_id), shown, f"{shown}: {problem}")
    return TextFile(doc_id, str(path), problem and f"{shown}: {problem}")
