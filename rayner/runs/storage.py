"""Read and write files in local folders and in object stores (by URL, through fsspec).

Every write is atomic: readers see the whole file or none. A local file is written under a temporary name and renamed.
An object store shows an object only when its upload is complete, so one upload is enough.
"""

import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from upath import UPath

from rayner.errors import ConfigError, DataError

StoragePath = Path | UPath

_TEMPORARY_NAME = re.compile(r"\.[0-9a-f]{32}\.tmp")  # what `_temporary_name` names
_CREDENTIALS_IN_URL = re.compile(r"://[^/]*:[^/]*@")
# Where an object appears when its upload is complete, and not before. `memory` is a dictionary of such objects.
_OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"))


class FolderEntry(NamedTuple):
    """A file or folder in a folder."""

    name: str
    is_folder: bool


def is_url(path_or_url: str | StoragePath) -> bool:
    """Return whether it is a URL for fsspec, such as `s3://bucket/folder`, and not a local path."""
    return "://" in str(path_or_url)


def storage_path(path_or_url: str | StoragePath) -> StoragePath:
    """Return the path object of a path, made absolute, or of a URL. Raises ConfigError for a URL with a password."""
    if not is_url(path_or_url):
        return Path(str(path_or_url)).absolute()
    if _CREDENTIALS_IN_URL.search(str(path_or_url)):
        raise ConfigError("a URL holds a user name or password: expected them in the environment, not in settings")
    # A cached listing would hide what other processes have written since.
    return path_or_url if isinstance(path_or_url, UPath) else UPath(path_or_url, use_listings_cache=False)


@contextmanager
def atomic_writer(path: StoragePath) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file `path` if the block ends without an error; else nothing is left.

    Missing folders are made. In a local folder the bytes are on disk before the file gets its name (fsync, then
    rename), so a run that is resumed after a crash never reads an incomplete file. Raises OSError.
    """
    if isinstance(path, Path):
        with _atomic_local_writer(path) as stream:
            yield stream
        return
    if path.protocol not in _OBJECT_STORES:  # a reader could meet half a file there
        raise ConfigError(
            f"{path}: expected a local folder or an object store (s3://, gs://), found {path.protocol}://"
        )
    with tempfile.NamedTemporaryFile() as temporary:
        yield cast(BinaryIO, temporary)
        temporary.flush()
        path.fs.put_file(temporary.name, path.path)


@contextmanager
def _atomic_local_writer(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / _temporary_name()
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # so that the rename lasts through a power cut
    finally:
        os.close(descriptor)


def _temporary_name() -> str:
    """Return the name of a file that is being written.

    It is random, because two workers may write the same file, and short, because names have a maximal length.
    """
    return f".{uuid.uuid4().hex}.tmp"


def list_folder(folder: StoragePath) -> list[FolderEntry]:
    """List a folder; listing its folders recursively then gives all paths in sorted order.

    Empty if there is no such folder: an object store has no empty folders. Raises OSError if it cannot be read, and
    DataError for a name that leads out of the folder.
    """
    try:
        if isinstance(folder, Path):
            with os.scandir(folder) as entries:
                listed = [FolderEntry(entry.name, entry.is_dir()) for entry in entries]
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


def remove_file(file: StoragePath) -> None:
    """Remove a file, if it exists."""
    if isinstance(file, Path):
        file.unlink(missing_ok=True)
    elif file.exists():
        file.fs.rm_file(file.path)  # fs.rm takes a name with [ or * for a pattern


def remove_folder(folder: StoragePath) -> None:
    """Remove a folder with all its content, if it exists."""
    if isinstance(folder, Path):
        if folder.exists():
            shutil.rmtree(folder)
        return
    for name in folder.fs.find(folder.path):
        folder.fs.rm_file(name)


def remove_temporary_files(folder: StoragePath) -> None:
    """Remove, in a folder and those below, files that `atomic_writer` could not finish because it was killed."""
    for name, is_folder in list_folder(folder):
        if is_folder:
            remove_temporary_files(folder / name)
        elif _TEMPORARY_NAME.fullmatch(name):
            remove_file(folder / name)


def list_file_names(folder: StoragePath, prefix: str, suffix: str) -> list[str]:
    """List the names of the files in a folder that begin and end so, sorted; temporary files never match."""
    return [
        entry.name
        for entry in list_folder(folder)
        if entry.name.startswith(prefix) and entry.name.endswith(suffix) and not entry.is_folder
    ]


def local_copy(folder: StoragePath) -> Path:
    """Return a local path of a folder or file, for libraries that read local files only.

    What lies at a URL is copied into the user's cache, under the digest of its listing (names, sizes, versions): a
    folder that changed is copied again, and the processes of a machine share a copy. Raises OSError, and DataError for
    an object whose name leads out of the folder.
    """
    if isinstance(folder, Path):
        return folder
    objects: dict[str, dict[str, Any]] = folder.fs.find(folder.path, detail=True)
    if not objects:
        raise FileNotFoundError(2, "No such file or folder", str(folder))
    listing = [(name, row.get("size"), str(row.get("ETag") or row.get("mtime") or row.get("created") or ""))
               for name, row in sorted(objects.items())]  # fmt: skip
    key = hashlib.sha256(repr((str(folder), listing)).encode()).hexdigest()[:32]
    copy = _cache_folder() / key / folder.name
    if copy.exists():
        return copy
    _cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_cache_folder()) as temporary:
        download = Path(temporary, "download")
        for name in objects:
            relative = name.removeprefix(folder.path).strip("/")
            if any(part in ("", ".", "..") for part in relative.split("/")) and relative:
                raise DataError(f"{folder}: expected names of files below this folder, found {name!r}")
            target = download / folder.name / relative if relative else download / folder.name
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.fs.get_file(name, str(target))
        try:
            download.rename(copy.parent)
        except OSError:  # another process was faster
            if not copy.exists():
                raise
    return copy


def local_model_name(name: str) -> str:
    """Return the name by which a library loads a model: of a model at a URL its local copy, else the name itself."""
    return str(local_copy(storage_path(name))) if is_url(name) else name


def move_folder_over(source: Path, target: StoragePath) -> None:
    """Replace `target` by a local folder. Only in a local file system is that atomic.

    Elsewhere a reader knows that the folder is complete from a file written later, such as a step's manifest.
    """
    remove_folder(target)
    if isinstance(target, Path):
        source.replace(target)
        return
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        with atomic_writer(target / file.relative_to(source).as_posix()) as out, file.open("rb") as stream:
            shutil.copyfileobj(stream, out)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rayner"
