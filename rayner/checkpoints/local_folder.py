"""A checkpoint folder on this machine, as a source of files like a repository on the hub."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rayner.checkpoints.hub import HubFile


@dataclass(frozen=True)
class LocalFolder:
    """A folder whose files are copied instead of downloaded."""

    root: Path
    commit: None = None

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self.root)

    @cached_property
    def files(self) -> dict[str, HubFile]:
        """The files in the folder, by name."""
        paths = [path for path in self.root.iterdir() if path.is_file()]
        return {path.name: HubFile(path.name, path.stat().st_size, None, None) for path in paths}

    def download(self, name: str, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Copy a file. A pickle, which is converted afterwards, is linked instead."""
        source = (self.root / name).resolve()
        if name.endswith(".bin"):
            target.symlink_to(source)
        else:
            shutil.copyfile(source, target)
        on_bytes(source.stat().st_size)
