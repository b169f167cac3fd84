"""Whether one file or folder lies in another, whatever their paths look like: links, `..`, and URLs."""

import os
import posixpath
from pathlib import Path

from rayner.runs.storage import StoragePath

_PROTOCOLS = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs", "adl": "abfs", "local": "file"}


def is_same_or_inside(path: StoragePath, folder: StoragePath) -> bool:
    """Return whether `path` is `folder` or lies in it. Neither has to exist.

    In a local file system, links are followed, and two paths of one folder (a bind mount, a file system that ignores
    case) count as the same.
    """
    protocol, place = _resolve(path)
    folder_protocol, folder_place = _resolve(folder)
    if protocol != folder_protocol:
        return False
    if protocol != "file":
        return place == folder_place or place.startswith(folder_place.rstrip("/") + "/")
    local, local_folder = Path(place), Path(folder_place)
    return any(
        ancestor == local_folder or _is_same_file(ancestor, local_folder) for ancestor in (local, *local.parents)
    )


def _resolve(path: StoragePath) -> tuple[str, str]:
    """Return the protocol (`file` for a local path) and the path without links and `..`."""
    if isinstance(path, Path):
        return "file", os.path.realpath(path)
    protocol = _PROTOCOLS.get(path.protocol, path.protocol)
    if protocol == "file":
        return protocol, os.path.realpath(path.path)
    return protocol, posixpath.normpath("/" + path.path.strip("/"))


def _is_same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist
        return False
