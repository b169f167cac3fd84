"""Open, read and write files of the simulated file system.

Files are io.BufferedReader, io.BufferedWriter and io.TextIOWrapper over a raw file, as the real `open` makes them. So
what a process has not flushed is lost with it, and a write goes to the file system in the pieces that it really would.
"""

import errno
import io
import os
from collections.abc import Callable
from typing import Any

from tests.simulation.file_system import File, Folder, raise_os_error
from tests.simulation.world import OpenFile, World, current_world

ROOT = "/simulated"
FIRST_DESCRIPTOR = 1 << 24  # of simulated files; real ones are smaller


def simulated_path(path: Any) -> str | None:
    """Return the path as text if it is below the simulated root, else None."""
    if isinstance(path, int):
        return None
    try:
        text = os.fspath(path)
    except TypeError:
        return None
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if not text.startswith(ROOT):
        return None
    if "\0" in text:
        raise ValueError("embedded null byte")
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts):
        raise_os_error(errno.ENAMETOOLONG, text)
    return "/" + "/".join(parts)


class RawFile(io.RawIOBase):
    """A raw file; see `io.FileIO`."""

    def __init__(self, world: World, descriptor: int, file: OpenFile, *, reads: bool) -> None:
        self.world, self.descriptor, self.file, self.reads = world, descriptor, file, reads
        self.name = file.path
        self.mode = "rb+" if reads and file.writes else "wb" if file.writes else "rb"

    def readable(self) -> bool:
        return self.reads

    def writable(self) -> bool:
        return self.file.writes

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        data = read_open_file(self.world, self.file, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return read_open_file(self.world, self.file, len(self.file.node.data))

    def write(self, buffer: Any) -> int:
        return write_open_file(self.world, self.file, bytes(buffer))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.file.offset, os.SEEK_END: len(self.file.node.data)}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.file.offset = base + offset
        return self.file.offset

    def tell(self) -> int:
        return self.file.offset

    def truncate(self, size: int | None = None) -> int:
        length = self.file.offset if size is None else size
        self.world.operate("write", self.file.path, lambda _: self.file.node.truncate(length), None, self.file.process)
        return length

    def close(self) -> None:
        if not self.closed:
            close_descriptor(self.world, self.descriptor)
        super().close()


def read_open_file(world: World, file: OpenFile, size: int) -> bytes:
    """Read from the file's offset."""

    def read(_: object) -> bytes:
        data = bytes(file.node.data[file.offset : file.offset + size])
        file.offset += len(data)
        return data

    if isinstance(file.node, Folder):
        raise_os_error(errno.EISDIR, file.path)
    return world.operate("read", file.path, read, None, file.process)


def write_open_file(world: World, file: OpenFile, data: bytes) -> int:
    """Write at the file's offset."""

    def write(part: bytes) -> int:
        if file.appends:
            file.offset = len(file.node.data)
        file.node.write(file.offset, part)
        file.node.modified = world.wall_time()
        file.offset += len(part)
        return len(part)

    return world.operate("write", file.path, write, data, file.process)


def open_descriptor(world: World, path: str, flags: int) -> int:
    """Open a file or folder and return its descriptor."""
    file_system = world.file_system
    access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
    creates = bool(flags & os.O_CREAT) and not file_system.exists(path)

    def open_node(_: object) -> int:
        if flags & os.O_CREAT and flags & os.O_EXCL and file_system.exists(path):
            raise_os_error(errno.EEXIST, path)
        node = file_system.make_file(path) if flags & os.O_CREAT and not file_system.exists(path) else (
            file_system.find(path))  # fmt: skip
        if isinstance(node, Folder) and access != os.O_RDONLY:
            raise_os_error(errno.EISDIR, path)
        if isinstance(node, File) and flags & os.O_DIRECTORY:
            raise_os_error(errno.ENOTDIR, path)
        if flags & os.O_TRUNC and isinstance(node, File) and node.data:
            node.truncate(0)
        descriptor = FIRST_DESCRIPTOR + len(world.files)
        while descriptor in world.files:
            descriptor += 1
        world.files[descriptor] = OpenFile(
            node, path, world.current_process(), access != os.O_RDONLY, bool(flags & os.O_APPEND)
        )
        return descriptor

    return world.operate("create" if creates else "open", path, open_node)


def close_descriptor(world: World, descriptor: int) -> None:
    """Close a descriptor. This is no operation at which faults strike."""
    file = world.files.pop(descriptor, None)
    if file is not None and world.folder_locks.get(file.node) is file:
        del world.folder_locks[file.node]


def open_stream(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
) -> Any:
    """Do what `io.open` does, for a path in the simulated file system or a descriptor from there."""
    world = current_world()
    reads, writes = "r" in mode or "+" in mode, any(letter in mode for letter in "wax+")
    if isinstance(file, int):
        descriptor = file
    else:
        flags = os.O_RDWR if reads and writes else os.O_WRONLY if writes else os.O_RDONLY
        for letter, flag in (
            ("w", os.O_CREAT | os.O_TRUNC),
            ("x", os.O_CREAT | os.O_EXCL),
            ("a", os.O_CREAT | os.O_APPEND),
        ):
            flags |= flag if letter in mode else 0
        path = simulated_path(file)
        assert path is not None
        descriptor = opener(path, flags) if opener else open_descriptor(world, path, flags)
        if isinstance(world.files[descriptor].node, Folder):
            close_descriptor(world, descriptor)
            raise_os_error(errno.EISDIR, path)
    raw = RawFile(world, descriptor, world.files[descriptor], reads=reads)
    if buffering == 0:
        return raw
    buffered = (
        io.BufferedRandom(raw) if reads and writes else io.BufferedWriter(raw) if writes else io.BufferedReader(raw)
    )
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)
