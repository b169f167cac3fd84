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
    """What lies in a folder."""

    name: str
    is_folder: bool


def is_url(path_or_url: str | StoragePath) -> bool:
    """Whether a place is one of fsspec's, such as `s3://bucket/folder`, not a path of this machine."""
    return "://" in str(path_or_url)


def storage_path(path_or_url: str | StoragePath) -> StoragePath:
    """The place that a path or a URL names; a path is made absolute."""
    if not is_url(path_or_url):
        return Path(str(path_or_url)).absolute()
    if _CREDENTIALS_IN_URL.search(str(path_or_url)):
        raise ConfigError("a URL holds a user name or password: expected them in the environment, not in settings")
    # A listing that is remembered would hide what other processes have written since.
    return path_or_url if isinstance(path_or_url, UPath) else UPath(path_or_url, use_listings_cache=False)


@contextmanager
def atomic_writer(path: StoragePath) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file `path` when the block ends well; upon an error nothing is left behind.

    Folders above `path` are made. In a local folder the bytes are on disk before the name points to them (fsync, then
    rename), so that a reader, or a run that is resumed after a crash, never meets half a file. Raises OSError.
    """
    if isinstance(path, Path):
        with _atomic_local_writer(path) as stream:
            yield stream
        return
    if path.protocol not in _OBJECT_STORES:  # a reader could meet half a file there
        raise ConfigError(
            f"{path}: expected a local folder or an object store (s3://, gs://), found {path.protocol}://"
        )
    with tempfile.NamedTemporaryFile() as whole:
        yield cast(BinaryIO, whole)
        whole.flush()
        path.fs.put_file(whole.name, path.path)


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
    """The name of a file that is not whole yet.

    It is random, as two workers may write the same file, and short, as the file's own may be as long as names can be.
    """
    return f".{uuid.uuid4().hex}.tmp"


def list_folder(folder: StoragePath) -> list[FolderEntry]:
    """What lies in a folder, in the order that makes a walk through it one in the order of whole paths.

    Nothing if there is no such folder: an object store knows no empty ones. Raises OSError for one that cannot be read.
    """
    try:
        if isinstance(folder, Path):
            with os.scandir(folder) as found:
                listed = [FolderEntry(item.name, item.is_dir()) for item in found]
        else:
            rows = folder.fs.ls(folder.path, detail=True)
            own = folder.path.rstrip("/")
            listed = [
                FolderEntry(str(row["name"]).rstrip("/").rpartition("/")[2], row["type"] == "directory")
                for row in rows
                if str(row["name"]).strip("/") != own.strip("/")
            ]
            if any(name in ("", ".", "..") for name, _ in listed):
                raise DataError(f"{folder}: expected names of files below this folder, found one that leads out of it")
    except FileNotFoundError:
        return []
    return sorted(listed, key=lambda entry: f"{entry.name}/" if entry.is_folder else entry.name)


def remove_file(file: StoragePath) -> None:
    """Take a file away, if it is there."""
    if isinstance(file, Path):
        file.unlink(missing_ok=True)
    elif file.exists():
        file.fs.rm_file(file.path)  # not fs.rm, to which a name with [ or * is a pattern


def remove_folder(folder: StoragePath) -> None:
    """Take a folder away with all that lies in it, if it is there."""
    if isinstance(folder, Path):
        if folder.exists():
            shutil.rmtree(folder)
        return
    for name in folder.fs.find(folder.path):
        folder.fs.rm_file(name)


def remove_temporary_files(folder: StoragePath) -> None:
    """Take away, in a folder and those below, the files that a kill cut off while `atomic_writer` wrote them."""
    for name, is_folder in list_folder(folder):
        if is_folder:
            remove_temporary_files(folder / name)
        elif _TEMPORARY_NAME.fullmatch(name):
            remove_file(folder / name)


def list_file_names(folder: StoragePath, prefix: str, suffix: str) -> list[str]:
    """The names of the files in a folder that begin and end so, in order; what a kill cut off has neither."""
    return [
        entry.name
        for entry in list_folder(folder)
        if entry.name.startswith(prefix) and entry.name.endswith(suffix) and not entry.is_folder
    ]


def local_copy(folder: StoragePath) -> Path:
    """A folder or file as libraries want it that read local files only: itself, or a copy on this machine.

    Copies are kept in the user's cache under the digest of the listing (names, sizes, versions), so that one that was
    written anew is copied anew, and processes of one machine share them. Raises OSError, and DataError
    for an object whose name leads out of the folder.
    """
    if isinstance(folder, Path):
        return folder
    found: dict[str, dict[str, Any]] = folder.fs.find(folder.path, detail=True)
    if not found:
        raise FileNotFoundError(2, "No such file or folder", str(folder))
    seen = [(name, row.get("size"), str(row.get("ETag") or row.get("mtime") or row.get("created") or ""))
            for name, row in sorted(found.items())]  # fmt: skip
    key = hashlib.sha256(repr((str(folder), seen)).encode()).hexdigest()[:32]
    kept = _cache_folder() / key / folder.name
    if kept.exists():
        return kept
    _cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_cache_folder()) as temporary:
        whole = Path(temporary, "whole")
        for name in found:
            inside = name.removeprefix(folder.path).strip("/")
            if any(part in ("", ".", "..") for part in inside.split("/")) and inside:
                raise DataError(f"{folder}: expected names of files below this folder, found {name!r}")
            target = whole / folder.name / inside if inside else whole / folder.name
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.fs.get_file(name, str(target))
        try:
            whole.rename(kept.parent)
        except OSError:  # another process was faster
            if not kept.exists():
                raise
    return kept


def local_model_name(name: str) -> str:
    """What a library is to load, by the name it takes: the local copy of what lies at a URL; else the name itself."""
    return str(local_copy(storage_path(name))) if is_url(name) else name


def move_folder_to(source: Path, target: StoragePath) -> None:
    """Put a local folder in the place of `target`. Only in a local file system does it appear as a whole.

    Elsewhere whoever reads it must know from something written later, as a step's manifest is, that it is whole.
    """
    remove_folder(target)
    if isinstance(target, Path):
        source.replace(target)
        return
    for file in sorted(item for item in source.rglob("*") if item.is_file()):
        with atomic_writer(target / file.relative_to(source).as_posix()) as out, file.open("rb") as stream:
            shutil.copyfileobj(stream, out)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rayner"
