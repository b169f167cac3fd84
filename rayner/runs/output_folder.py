"""Folders that rayner writes for the user. Nothing of the user's in them is ever replaced or removed.

An output folder is new, empty, or marked. The first file in it is the marker `.rayner-output`, which names the purpose
of the folder, such as `export tei`. For an export or a site, the marker also lists each file that rayner wrote, with
its SHA-256. A listed file is replaced or removed only if its content is still the listed one. A folder with other
content, or with another purpose, is refused.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rayner import __version__
from rayner.errors import ConfigError, DamagedFileError, DataError
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.run_folder import file_sha256
from rayner.runs.storage import (
    StoragePath,
    atomic_writer,
    is_temporary_name,
    list_folder,
    remove_file,
    remove_temporary_files,
    sync_to_disk,
)

MARKER_FILE = ".rayner-output"
RUN_PURPOSE, TAGGED_PURPOSE = "run", "tagged corpus"
_FORMAT_VERSION = 1
_SECONDS_BETWEEN_SAVES = 30.0


def check_output_folder(
    folder: StoragePath, purpose: str, is_unmarked_output: Callable[[StoragePath], bool] = lambda folder: False
) -> dict[str, str]:
    """Return the SHA-256 of each file that rayner wrote into a folder, by its path in the folder. Write nothing.

    Args:
        folder: The folder to check.
        purpose: What the folder is written for.
        is_unmarked_output: Whether a folder without a marker was written for the purpose by an earlier version.

    Raises:
        ConfigError: The folder is a file, or it holds other files, or it was written for another purpose.

    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder, found a file")
    marker = _read_marker(folder)
    if marker is not None and marker["purpose"] == purpose:
        return dict(marker["files"])
    names = list_other_names(folder)
    if not names or (marker is None and is_unmarked_output(folder)):
        return {}
    if marker is None and _read_marker(folder) is not None:  # another job has marked the folder since the first reading
        return check_output_folder(folder, purpose, is_unmarked_output)
    if marker is None and MARKER_FILE in names:
        raise ConfigError(
            f"{folder / MARKER_FILE}: expected the list of the files that rayner wrote here, found a damaged one: move "
            "the folder away, or name another one. Nothing was written"
        )
    if marker is not None:
        found = f"a folder that rayner wrote for another purpose ({marker['purpose']})"
    else:
        found = f"files that rayner did not mark as its own, such as {names[0]!r}"
    raise ConfigError(
        f"{folder}: expected a new folder, an empty one, or one that rayner wrote before ({purpose}), found {found}: "
        "name another folder. Nothing was written"
    )


def mark_output_folder_as_ours(
    folder: StoragePath, purpose: str, is_unmarked_output: Callable[[StoragePath], bool] = lambda folder: False
) -> None:
    """Mark a folder as written by rayner for a purpose. The arguments and errors are those of `check_output_folder`."""
    check_output_folder(folder, purpose, is_unmarked_output)
    if _read_marker(folder) is None:
        remove_temporary_files(folder, recursive=False)  # of a call that was killed before it had written the marker
        write_folder_marker(folder, purpose, {})


def list_other_names(folder: StoragePath) -> list[str]:
    """List the names in a folder, but for unfinished files of a call that was killed."""
    return [entry.name for entry in list_folder(folder) if not is_temporary_name(entry.name)]


def list_missing_and_changed_files(folder: StoragePath, purpose: str) -> tuple[list[str], list[str]]:
    """Return the names of the files in a marked folder that are missing, and of those that were changed since.

    Raises ConfigError as `check_output_folder` does.
    """
    missing, changed = [], []
    for name, digest in check_output_folder(folder, purpose).items():
        if not path_exists(folder / name):
            missing.append(name)
        elif not file_has_sha256(folder / name, digest):
            changed.append(name)
    return missing, changed


def write_folder_marker(folder: StoragePath, purpose: str, sha256_by_name: dict[str, str]) -> None:
    """Write the marker of a folder: its purpose, and the SHA-256 of each file by its path in the folder."""
    content = {"format_version": _FORMAT_VERSION, "rayner": __version__, "purpose": purpose, "files": sha256_by_name}
    write_checked_json(folder / MARKER_FILE, content)


def file_has_sha256(path: StoragePath, digest: str) -> bool:
    """Return whether a path is a file, not a link, with this SHA-256."""
    is_file = path.is_file() and not (isinstance(path, Path) and path.is_symlink())
    return is_file and file_sha256(path) == digest


def _read_marker(folder: StoragePath) -> dict[str, Any] | None:
    """Return the content of the marker, or None if there is no valid one.

    A path that leads out of the folder makes the marker invalid: with it, foreign files could be removed.
    """
    try:
        content = read_checked_json(folder / MARKER_FILE)
        purpose, digests = content["purpose"], content["files"]
        is_valid = content.keys() == {"format_version", "rayner", "purpose", "files"}
        is_valid &= content["format_version"] == _FORMAT_VERSION and isinstance(purpose, str)
        is_valid &= all(isinstance(value, str) and _is_inside(name) for name, value in digests.items())
    except (FileNotFoundError, NotADirectoryError, DamagedFileError, KeyError, TypeError, AttributeError):
        return None
    return content if is_valid else None


def _is_inside(name: str) -> bool:
    return not any(part in ("", ".", "..") or "\0" in part for part in name.split("/"))


class OutputFolder:
    """A marked folder and the files that are written into it.

    root: The folder.
    written: The SHA-256 of each file that was written or kept, by its path in the folder.
    """

    def __init__(self, root: StoragePath, purpose: str) -> None:
        """Check that the folder may be written. Raises ConfigError as `check_output_folder` does."""
        self.root, self._purpose = root, purpose
        self.written: dict[str, str] = {}
        self._earlier = check_output_folder(root, purpose)
        # An object store needs a request for each `exists`. There, nobody else is expected to write at the same time.
        self._may_hold_other_files = isinstance(root, Path) or bool(list_other_names(root))
        self._saved_at = time.monotonic()

    def path(self, name: str) -> StoragePath:
        """Return the path of a file in the folder. Raises ConfigError if a link leads out of the folder."""
        path = self.root
        for part in name.split("/"):  # one at a time, because UPath takes `s3:/x` for a URL
            path = path / part
        if isinstance(path, Path):
            target = path.parent.resolve()
            if not target.is_relative_to(Path(str(self.root)).resolve()):
                raise ConfigError(f"{path}: expected a place inside {self.root}, found a link to {target}")
        return path

    def require_unchanged_files(self) -> None:
        """Raise ConfigError, which names the file, if a file that rayner wrote earlier was changed since."""
        for name, digest in self._earlier.items():
            path = self.path(name)
            if path_exists(path) and not file_has_sha256(path, digest):
                raise ConfigError(
                    f"{path}: expected the file that rayner wrote, found one that was changed since: "
                    "name another folder, or move this file away. Nothing was written"
                )

    def keep_if_exists(self, name: str) -> bool:
        """Return whether a file exists that rayner wrote earlier. If so, count it as written."""
        if name in self._earlier and path_exists(self.path(name)):
            self.written[name] = self._earlier[name]
            return True
        return False

    @contextmanager
    def writer(self, name: str) -> Iterator[BinaryIO]:
        """Yield a stream whose bytes become a file of the folder, as `atomic_writer` does.

        Raises ConfigError if a file exists there that rayner did not write, and DataError if this file was already
        written.
        """
        if name in self.written:
            raise DataError(f"{self.root}: expected a file of its own for each document, found two for {name!r}")
        path, digest = self.path(name), ""

        def check_existing_file(temporary: Path) -> None:
            nonlocal digest
            digest = file_sha256(temporary)
            self._require_no_other_file(name, digest)

        with atomic_writer(path, check_existing_file) as stream:
            yield stream
        self.written[name] = digest
        if time.monotonic() - self._saved_at > _SECONDS_BETWEEN_SAVES:
            self.save_marker()

    def move_in(self, source: Path, name: str) -> str:
        """Rename a complete local file, on the same file system, to a file of the folder; return its SHA-256.

        Raises ConfigError as `writer`.
        """
        digest = file_sha256(source)
        self._require_no_other_file(name, digest)
        sync_to_disk(source)  # so that a power cut leaves no empty file under the name
        source.replace(str(self.path(name)))
        self.written[name] = digest
        return digest

    def _require_no_other_file(self, name: str, digest: str) -> None:
        """Raise ConfigError if a file exists there that rayner did not write and that has another digest."""
        path = self.path(name)
        is_foreign = self._may_hold_other_files and name not in self._earlier and path_exists(path)
        if is_foreign and not file_has_sha256(path, digest):
            raise ConfigError(
                f"{path}: expected no file of this name, or one that rayner wrote, found another: "
                "name another folder, or move this file away. It was not changed"
            )

    def save_marker(self) -> None:
        """Write the marker. It lists the files written so far and those of the earlier call."""
        write_folder_marker(self.root, self._purpose, dict(sorted({**self._earlier, **self.written}.items())))
        self._saved_at = time.monotonic()

    def remove_files_not_written_again(self) -> None:
        """Remove the files of an earlier call that this call did not write. A file that was changed since is kept."""
        folders = set()
        for name, digest in self._earlier.items():
            path = self.path(name)
            if name not in self.written and path_exists(path) and file_has_sha256(path, digest):
                remove_file(path)
                folders.add(path.parent)
        for folder in folders:  # a power cut must not bring back a file that the marker no longer lists
            if isinstance(folder, Path):
                sync_to_disk(folder)
        self._earlier = {}


@contextmanager
def open_output_folder(root: StoragePath, purpose: str, *, keep_existing: bool = False) -> Iterator[OutputFolder]:
    """Mark a folder and yield it, to write files into it. At the end, files of an earlier call that remain are removed.

    After an error, the files that were written are listed in the marker, so that a later call may replace them.

    Args:
        root: The folder.
        purpose: What the folder is written for.
        keep_existing: Whether the caller keeps the files of an earlier, interrupted call.

    Raises:
        ConfigError: The folder holds other files, or a file in it was changed since rayner wrote it.

    """
    folder = OutputFolder(root, purpose)
    if not keep_existing:
        folder.require_unchanged_files()
    folder.save_marker()
    try:
        yield folder
    except BaseException:
        folder.save_marker()
        raise
    folder.remove_files_not_written_again()
    folder.save_marker()


def remove_written_files(root: StoragePath, purpose: str) -> None:
    """Remove the files that earlier calls wrote into a folder, so that new ones can be written without replacing any.

    A call that is killed while it replaces files may leave one that the marker does not list yet. The next call would
    take it for a file of the user's.

    Raises ConfigError as `open_output_folder`, before anything is removed.
    """
    if not check_output_folder(root, purpose):
        return
    folder = OutputFolder(root, purpose)
    folder.require_unchanged_files()
    folder.remove_files_not_written_again()
    folder.save_marker()


def path_exists(path: StoragePath) -> bool:
    """Return whether there is a file or folder of this name, or a link, even one that leads nowhere."""
    return path.exists() or (isinstance(path, Path) and path.is_symlink())
