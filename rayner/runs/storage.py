"""Read and write files in local folders and in object stores (by URL, through fsspec).

Every write is atomic: a reader sees the complete file or no file. A local file is written under a temporary name and
then renamed. An object store shows an object only when its upload is complete, so a single upload is atomic.
"""

import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from upath import UPath

from rayner.errors import ConfigError, DataError
from rayner.runs.hub_names import is_hub_name, require_reachable_model
from rayner.text.credentials import CREDENTIALS_IN_URL, holds_credentials
from rayner.text.messages import shorten_repr

StoragePath = Path | UPath

_TEMPORARY_NAME = re.compile(r"\.rayner-[0-9a-f]{32}\.tmp")  # the names that `_temporary_name` returns
# Protocols of stores in which an object appears only when its upload is complete. `memory` is fsspec's store in memory.
_OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"))


class FolderEntry(NamedTuple):
    """An entry of a folder: a file or a subfolder."""

    name: str
    is_folder: bool


def is_url(path_or_url: str | StoragePath) -> bool:
    """Return whether the text is a URL for fsspec, such as `s3://bucket/folder`, and not a local path."""
    return "://" in str(path_or_url)


def storage_path(path_or_url: str | StoragePath) -> StoragePath:
    """Return the path object of a URL or of a local path, which is made absolute.

    Raises ConfigError, which does not name the URL, if it holds credentials.
    """
    if not is_url(path_or_url):
        return Path(str(path_or_url)).absolute()
    if holds_credentials(str(path_or_url)):
        raise ConfigError(CREDENTIALS_IN_URL)
    # A cached listing would hide what other processes have written since.
    return path_or_url if isinstance(path_or_url, UPath) else UPath(path_or_url, use_listings_cache=False)


def _accept_file(temporary: Path) -> None:
    pass


@contextmanager
def atomic_writer(path: StoragePath, check_file: Callable[[Path], None] = _accept_file) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file `path` if the block ends without an error.

    After an error, `path` is unchanged and no temporary file is left. Missing folders are made. In a local folder the
    bytes are on disk before the file gets its name (fsync, then rename). A run that is resumed after a crash therefore
    never reads an incomplete file. Raises OSError, and ConfigError for a URL that is not of an object store.

    check_file: Called with the local path of the complete content, before `path` is replaced. If it raises an error,
        `path` is unchanged.
    """
    if isinstance(path, Path):
        with _atomic_local_writer(path, check_file) as stream:
            yield stream
        return
    if path.protocol not in _OBJECT_STORES:  # elsewhere a reader could find half a file
        raise ConfigError(
            f"{path}: expected a local folder or an object store (s3://, gs://), found {path.protocol}://"
        )
    with tempfile.NamedTemporaryFile() as temporary:
        yield cast(BinaryIO, temporary)
        temporary.flush()
        check_file(Path(temporary.name))
        path.fs.put_file(temporary.name, path.path)


@contextmanager
def _atomic_local_writer(path: Path, check_file: Callable[[Path], None]) -> Iterator[BinaryIO]:
    _make_durable_folder(path.parent)
    temporary = path.parent / _temporary_name()
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        check_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_to_disk(path.parent)  # so that the rename survives a power cut


def _make_durable_folder(folder: Path) -> None:
    """Make a folder and its parents. A power cut does not take them away, together with what was written into them."""
    folder.mkdir(parents=True, exist_ok=True)
    _sync_parents(folder, folder.stat().st_ino)


@lru_cache(maxsize=4096)
def _sync_parents(folder: Path, inode: int) -> None:
    """Write the names of a folder and its parents to the disk, once in a process.

    Folders that exist are included, because a process that made them may have died before it did this.

    inode: tells a folder that was removed and made again from the earlier one.
    """
    for name in (folder, *folder.parents):
        if os.path.ismount(name):
            return
        try:
            sync_to_disk(name.parent)
        except PermissionError:  # this user cannot have made `name` there
            return


def sync_to_disk(path: Path) -> None:
    """Write the content of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_name() -> str:
    """Return a temporary name for a file that is being written.

    The name is random, because two workers may write the same file. It names rayner, because leftover files of this
    name are removed. It is short, because file systems limit the length of names.
    """
    return f".rayner-{uuid.uuid4().hex}.tmp"


def is_temporary_name(name: str) -> bool:
    """Return whether a file of this name is an unfinished file of `atomic_writer`."""
    return bool(_TEMPORARY_NAME.fullmatch(name))


def list_folder(folder: StoragePath) -> list[FolderEntry]:
    """List the entries of a folder, sorted so that a recursive listing gives all paths in sorted order.

    The list is empty if the folder does not exist, because an object store has no empty folders. Raises OSError if
    the folder cannot be read, and DataError if a name leads out of the folder.
    """
    try:
        if isinstance(folder, Path):
            with os.scandir(folder) as entries:
                listed = [FolderEntry(entry.name, _is_folder(entry)) for entry in entries]
        else:
            rows = folder.fs.ls(folder.path, detail=True)
            folder_path = folder.path.strip("/")
            listed = [
                FolderEntry(str(row["name"]).rstrip("/").rpartition("/")[2], row["type"] == "directory")
                for row in rows
                if str(row["name"]).strip("/") != folder_path
            ]
            if any(name in ("", ".", "..") for name, _ in listed):
                raise DataError(f"{folder}: expected names of files below this folder, found one that leads out of it")
    except FileNotFoundError:
        return []
    return sorted(listed, key=lambda entry: f"{entry.name}/" if entry.is_folder else entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one. A link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def remove_file(file: StoragePath) -> None:
    """Remove a file, if it exists."""
    if isinstance(file, Path):
        file.unlink(missing_ok=True)
    elif file.exists():
        file.fs.rm_file(file.path)  # fs.rm would treat a name with [ or * as a pattern


def remove_folder(folder: StoragePath) -> None:
    """Remove a folder with all its content, if it exists."""
    if isinstance(folder, Path):
        if folder.exists():
            shutil.rmtree(folder)
        return
    for name in folder.fs.find(folder.path):
        folder.fs.rm_file(name)


def remove_temporary_files(folder: StoragePath, *, recursive: bool = True) -> None:
    """Remove unfinished files of a killed `atomic_writer` from a folder and, if `recursive`, its subfolders.

    Links are not followed.
    """
    for name, is_folder in list_folder(folder):
        path = folder / name
        if isinstance(path, Path) and path.is_symlink():
            continue
        if is_folder and recursive:
            remove_temporary_files(path)
        elif not is_folder and is_temporary_name(name):
            remove_file(path)


def list_file_names(folder: StoragePath, prefix: str, suffix: str) -> list[str]:
    """List, in sorted order, the names of the files in a folder that begin with `prefix` and end with `suffix`.

    With a suffix such as `.parquet`, temporary files never match.
    """
    return [
        entry.name
        for entry in list_folder(folder)
        if entry.name.startswith(prefix) and entry.name.endswith(suffix) and not entry.is_folder
    ]


def local_copy(folder: StoragePath) -> Path:
    """Return a local path of a folder or file, for libraries that read only local files.

    A folder or file at a URL is copied into the user's cache. The copy's name is a digest of the listing (names,
    sizes, versions). So a folder that has changed is copied again, and all processes of a machine share one copy.
    Raises OSError, and DataError if an object's name leads out of the folder.
    """
    if isinstance(folder, Path):
        return folder
    objects: dict[str, dict[str, Any]] = folder.fs.find(folder.path, detail=True)
    if not objects:
        raise FileNotFoundError(2, "No such file or folder", str(folder))
    listing = [(name, row.get("size"), str(row.get("ETag") or row.get("mtime") or row.get("created") or ""))
               for name, row in sorted(objects.items())]  # fmt: skip
    key = hashlib.sha256(repr((str(folder), listing)).encode()).hexdigest()[:32]
    copy = cache_folder() / key / folder.name
    if copy.exists():
        return copy
    cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as temporary:
        download = Path(temporary, "download")
        for name in objects:
            relative = name.removeprefix(folder.path).strip("/")
            if any(part in ("", ".", "..") for part in relative.split("/")) and relative:
                raise DataError(f"{folder}: expected names of files below this folder, found {shorten_repr(name)}")
            target = download / folder.name / relative if relative else download / folder.name
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.fs.get_file(name, str(target))
        try:
            download.rename(copy.parent)
        except OSError:  # another process has made the same copy first
            if not copy.exists():
                raise
    return copy


def local_model_name(name: str) -> str:
    """Return the name by which a library loads a model: for one at a URL the path of a local copy, else the name.

    Raises ConfigError if it is a name on the hub, not in this machine's cache, and the hub cannot be reached.
    """
    if is_hub_name(name):
        require_reachable_model(name)
    return str(local_copy(storage_path(name))) if is_url(name) else name


def move_folder_over(source: Path, target: StoragePath) -> None:
    """Replace the folder `target` by a local folder.

    In a local file system the new folder appears complete, by a rename; its content is on the disk before. On an object
    store its files appear one by one. A reader there knows that the folder is complete from a file written later, such
    as a step's manifest.
    """
    remove_folder(target)
    if isinstance(target, Path):
        for path in (*source.rglob("*"), source):
            sync_to_disk(path)
        source.replace(target)
        _make_durable_folder(target.parent)
        sync_to_disk(target.parent)
        return
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        with atomic_writer(target / file.relative_to(source).as_posix()) as out, file.open("rb") as stream:
            shutil.copyfileobj(stream, out)


def cache_folder() -> Path:
    """Return the user's cache folder of rayner, which may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rayner"
