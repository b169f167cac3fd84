"""Tell Ray Train and Ray Tune where to store their files.

It is apart from `ray_train`, because the processes of Ray Tune need no torch.
"""

from pathlib import Path
from typing import Any

from pyarrow.fs import FSSpecHandler, PyFileSystem

from rayner.runs.storage import StoragePath


def ray_storage_settings(folder: StoragePath) -> dict[str, Any]:
    """Return the arguments that make Ray store files in a folder, which may be at a URL."""
    if isinstance(folder, Path):
        return {"storage_path": str(folder.absolute())}
    return {"storage_path": folder.path, "storage_filesystem": PyFileSystem(FSSpecHandler(folder.fs))}
