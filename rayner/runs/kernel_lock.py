"""A lock of the kernel on a folder (flock), which ends with its process, however the process ends.

No setting of the clock and no change to a file takes it away. It holds among the processes of one machine. On a network
file system it may hold among several machines or not, so it proves nothing about other machines.
"""

import errno
import fcntl
import os
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.ENOSYS)


class KernelLock:
    """The lock of one folder. No file is needed for it: the folder itself is locked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pid = os.getpid()
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock, if it is not held already; return False if another process holds it.

        Also returns True where the file system has no such locks; then `is_held` is False. Raises OSError if the
        folder cannot be made or opened.
        """
        if self.is_held():
            return True
        self.release()
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _UNSUPPORTED:
                return True
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._descriptor = descriptor
        _held_descriptors.add(descriptor)
        return True

    def is_held(self) -> bool:
        """Return whether this process holds the lock of the folder that now has this path.

        It does not if the folder was removed and made again.
        """
        if self._descriptor is None or os.getpid() != self._pid:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.folder.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None and os.getpid() == self._pid:
            _held_descriptors.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


_held_descriptors: set[int] = set()


def _close_in_child() -> None:
    """Close the locked folders in a forked process, which would hold the locks longer than its parent lives."""
    for descriptor in _held_descriptors:
        os.close(descriptor)
    _held_descriptors.clear()


os.register_at_fork(after_in_child=_close_in_child)
