"""Writing a file so that it is either wholly there or not there at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file `path` when the block ends well; upon an error nothing is left behind.

    Folders above `path` are made. The bytes are on disk before the name points to them (fsync, then rename), so
    that a reader, or a run that is resumed after a crash, never meets half a file. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is random, as two workers may write the same file, and short, as `path` may be as long as names can be.
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename inside the folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
