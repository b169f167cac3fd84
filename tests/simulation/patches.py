"""The functions of `os`, `io` and `fcntl`, replaced for paths and descriptors of the simulated file system."""

import builtins
import errno
import fcntl
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from tests.simulation.file_system import File, Folder, Node, raise_os_error, stat_node
from tests.simulation.system_calls import (
    FIRST_DESCRIPTOR,
    close_descriptor,
    open_descriptor,
    open_stream,
    read_open_file,
    simulated_path,
    write_open_file,
)
from tests.simulation.world import OpenFile, current_world

_Call = Callable[..., Any]
_NOT_SIMULATED = ("symlink", "truncate", "chown", "lchown", "mkfifo", "mknod", "chdir", "setxattr", "removexattr")


class DirectoryEntry:
    """An entry that `scan` yields; see `os.DirEntry`."""

    def __init__(self, folder: str, name: str, node: Node) -> None:
        self.name, self.path, self._node = name, f"{folder.rstrip('/')}/{name}", node

    def __fspath__(self) -> str:
        return self.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return isinstance(self._node, Folder)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return isinstance(self._node, File)

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return self._node.number

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return stat_node(self._node)


class _Scan:
    """What `os.scandir` returns: an iterator and a context manager."""

    def __init__(self, entries: list[DirectoryEntry]) -> None:
        self._entries = iter(entries)

    def __enter__(self) -> "_Scan":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[DirectoryEntry]:
        return self._entries

    def __next__(self) -> DirectoryEntry:
        return next(self._entries)

    def close(self) -> None:
        self._entries = iter(())


def scan_folder(path: str) -> list[DirectoryEntry]:
    """List a folder in an order that the seed decides, because a real one promises none."""
    world = current_world()

    def list_entries(_: object) -> list[DirectoryEntry]:
        entries = world.file_system.find_folder(path).entries
        return [DirectoryEntry(path, name, entries[name]) for name in sorted(entries)]

    listed: list[DirectoryEntry] = world.operate("scandir", path, list_entries)
    world.rng.shuffle(listed)
    return listed


def _stat(path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    world = current_world()
    result: os.stat_result = world.operate("stat", path, lambda _: stat_node(world.file_system.find(path)))
    return result


def _access(path: str, mode: int, **_: object) -> bool:
    return current_world().file_system.exists(path)


def _readlink(path: str, **_: object) -> str:
    current_world().file_system.find(path)
    raise_os_error(errno.EINVAL, path)


def _change(kind: str, method: str) -> Callable[..., None]:
    def change(path: str, *_: object, **__: object) -> None:
        world = current_world()
        world.operate(kind, path, lambda _: getattr(world.file_system, method)(path))

    return change


def _rename(source: str, target: Any, **_: object) -> None:
    world, new = current_world(), simulated_path(target)
    if new is None:
        raise_os_error(errno.EXDEV, source)
    world.operate("rename", f"{source} -> {new}", lambda _: world.file_system.rename(source, new))


def _link(source: str, target: Any, **_: object) -> None:
    world, new = current_world(), simulated_path(target)
    assert new is not None
    world.operate("rename", f"{source} = {new}", lambda _: world.file_system.link(source, new))


def _change_mode(path: str, mode: int, **_: object) -> None:
    current_world().file_system.find(path).mode = stat.S_IMODE(mode)


def _utime(path: str, times: tuple[float, float] | None = None, **_: object) -> None:
    current_world().file_system.find(path).modified = times[1] if times else current_world().wall_time()


def _sync(file: OpenFile) -> None:
    world = current_world()
    if isinstance(file.node, Folder):
        world.operate("fsync_folder", file.path, lambda _: world.file_system.sync_folder(file.node), None, file.process)
    else:
        world.operate("fsync", file.path, lambda _: file.node.sync(), None, file.process)


def _lock_file(file: OpenFile, operation: int) -> None:
    world = current_world()

    def is_free() -> bool:
        holder = world.folder_locks.get(file.node)
        return holder is None or holder is file

    def take(_: object) -> None:
        if operation & fcntl.LOCK_NB and not is_free():
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), file.path)
        world.wait(is_free)
        world.folder_locks[file.node] = file

    if operation & fcntl.LOCK_UN:
        if world.folder_locks.get(file.node) is file:
            del world.folder_locks[file.node]
        return
    world.operate("flock", file.path, take, None, file.process)


def _close(file: OpenFile) -> None:
    world = current_world()
    close_descriptor(world, next(number for number, each in world.files.items() if each is file))


def _change_file_mode(file: OpenFile, mode: int) -> None:
    file.node.mode = stat.S_IMODE(mode)


_BY_PATH: dict[str, Callable[..., Any]] = {
    "stat": _stat, "lstat": _stat, "access": _access, "readlink": _readlink, "chmod": _change_mode, "utime": _utime,
    "mkdir": _change("mkdir", "make_folder"), "rmdir": _change("rmdir", "remove_folder"),
    "unlink": _change("unlink", "remove_file"), "remove": _change("unlink", "remove_file"),
    "rename": _rename, "replace": _rename, "link": _link,
    "scandir": lambda path: _Scan(scan_folder(path)),
    "listdir": lambda path: [entry.name for entry in scan_folder(path)],
    "open": lambda path, flags, mode=0o777, *, dir_fd=None: open_descriptor(current_world(), path, flags),
}  # fmt: skip
_BY_DESCRIPTOR: dict[str, Callable[..., Any]] = {
    "close": _close, "fsync": _sync, "fdatasync": _sync, "fchmod": _change_file_mode,
    "fstat": lambda file: stat_node(file.node),
    "read": lambda file, size: read_open_file(current_world(), file, size),
    "write": lambda file, data: write_open_file(current_world(), file, bytes(data)),
    "ftruncate": lambda file, size: file.node.truncate(size),
}  # fmt: skip


def _dispatch(real: _Call, by_path: _Call | None, by_descriptor: _Call | None) -> _Call:
    def call(first: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if type(first) is int:
            if first >= FIRST_DESCRIPTOR and by_descriptor is not None:
                file = current_world().files.get(first)
                if file is None:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                return by_descriptor(file, *args, **kwargs)
        elif by_path is not None:
            path = simulated_path(first)
            if path is not None:
                return by_path(path, *args, **kwargs)
        return real(first, *args, **kwargs)

    return call


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(path: str, *_: object, **__: object) -> None:
        raise NotImplementedError(f"os.{name} is not simulated: {path}")

    return refuse


def _open_any(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(file: Any, *args: Any, **kwargs: Any) -> Any:
        is_simulated = file >= FIRST_DESCRIPTOR if isinstance(file, int) else simulated_path(file) is not None
        return open_stream(file, *args, **kwargs) if is_simulated else real(file, *args, **kwargs)

    return call


def _lock_any(descriptor: Any, operation: int) -> None:
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    if number < FIRST_DESCRIPTOR:
        _REAL_FLOCK(descriptor, operation)
    else:
        _lock_file(current_world().files[number], operation)


_REAL_FLOCK = fcntl.flock


@contextmanager
def replace_system_calls() -> Iterator[None]:
    """Replace the system calls while the block runs."""
    with ExitStack() as stack:
        for name in sorted(_BY_PATH.keys() | _BY_DESCRIPTOR.keys()):
            call = _dispatch(getattr(os, name), _BY_PATH.get(name), _BY_DESCRIPTOR.get(name))
            stack.enter_context(patch.object(os, name, call))
        for name in _NOT_SIMULATED:
            stack.enter_context(patch.object(os, name, _dispatch(getattr(os, name), _refuse(name), None)))
        opener = _open_any(io.open)
        stack.enter_context(patch.object(io, "open", opener))
        stack.enter_context(patch.object(builtins, "open", opener))
        stack.enter_context(patch.object(fcntl, "flock", _lock_any))
        stack.enter_context(patch.object(shutil, "_use_fd_functions", False))
        yield
