"""A file system in memory that knows what a power cut would leave.

It is strict, as POSIX is: the bytes of a file are durable after fsync of the file, and the names in a folder after
fsync of the folder. What was not synced may survive a power cut, wholly, in part, or not at all.
"""

import errno
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

Write = tuple[int, bytes]  # offset and bytes; bytes of length 0 stand for a truncation at the offset


@dataclass(eq=False)
class File:
    """A file. `durable` is its content at the last fsync, `unsynced` are the writes since then."""

    number: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    unsynced: list[Write] = field(default_factory=list)
    mode: int = 0o644
    modified: float = 0.0

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes; a gap before `offset` is filled with zeros."""
        if not data:
            return
        _apply_write(self.data, (offset, data))
        self.unsynced.append((offset, data))

    def truncate(self, size: int) -> None:
        """Cut the file, or extend it with zeros."""
        _apply_write(self.data, (size, b""))
        self.unsynced.append((size, b""))

    def sync(self) -> None:
        """Make the content durable."""
        if self.unsynced:
            self.durable, self.unsynced = bytes(self.data), []

    def lose_power(self, rng: random.Random) -> None:
        """Replace the content by one that a power cut may leave."""
        if self.unsynced:
            self.data = bytearray(_draw_surviving_content(self, rng))
        self.durable, self.unsynced = bytes(self.data), []


def _apply_write(data: bytearray, write: Write) -> None:
    offset, new = write
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    if new:
        data[offset : offset + len(new)] = new
    else:
        del data[offset:]


def _draw_surviving_content(file: File, rng: random.Random) -> bytes:
    choice = rng.randrange(4)
    if choice == 0:
        return file.durable
    if choice == 1:
        return bytes(file.data)
    content = bytearray(file.durable)
    for offset, data in file.unsynced:
        if choice == 2:  # the length was stored, the blocks were not
            _apply_write(content, (offset, bytes(len(data))))
        elif rng.random() < 0.5:
            _apply_write(content, (offset, data[: rng.randint(1, len(data))] if data else data))
    return bytes(content)


@dataclass(eq=False)
class Folder:
    """A folder. `durable` are the entries at the last fsync."""

    number: int
    entries: dict[str, "File | Folder"] = field(default_factory=dict)
    durable: dict[str, "File | Folder"] = field(default_factory=dict)
    mode: int = 0o755
    modified: float = 0.0


Node = File | Folder
# One operation on names: each part sets an entry of a folder, or removes it (None). The parts survive together.
NameChange = list[tuple[Folder, str, Node | None]]


class FileSystem:
    """Files and folders below the folder `root`, which is the only one that exists at first."""

    def __init__(self, root: str) -> None:
        self.root_path = root
        self.root = Folder(1)
        self.unsynced_names: list[NameChange] = []
        self._next_number = 2

    # ---- looking up

    def find(self, path: str) -> Node:
        """Return the node at a path. Raises FileNotFoundError or NotADirectoryError."""
        node: Node = self.root
        for part in self._parts(path):
            if not isinstance(node, Folder):
                raise_os_error(errno.ENOTDIR, path)
            if part not in node.entries:
                raise_os_error(errno.ENOENT, path)
            node = node.entries[part]
        return node

    def find_folder(self, path: str) -> Folder:
        """Return the folder at a path. Raises OSError if there is none."""
        node = self.find(path)
        if not isinstance(node, Folder):
            raise_os_error(errno.ENOTDIR, path)
        return node

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder at a path."""
        try:
            self.find(path)
        except OSError:
            return False
        return True

    def _parts(self, path: str) -> list[str]:
        return [part for part in path[len(self.root_path) :].split("/") if part not in ("", ".")]

    def _parent(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rstrip("/").rpartition("/")
        return self.find_folder(parent), name

    # ---- changing names

    def make_file(self, path: str) -> File:
        """Make an empty file. The name must be free."""
        parent, name = self._parent(path)
        file = File(self._take_number())
        self._change_names([(parent, name, file)])
        return file

    def make_folder(self, path: str) -> None:
        """Make an empty folder."""
        parent, name = self._parent(path)
        if name in parent.entries:
            raise_os_error(errno.EEXIST, path)
        self._change_names([(parent, name, Folder(self._take_number()))])

    def remove_file(self, path: str) -> None:
        """Remove the name of a file."""
        parent, name = self._parent(path)
        if isinstance(self.find(path), Folder):
            raise_os_error(errno.EISDIR, path)
        self._change_names([(parent, name, None)])

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        parent, name = self._parent(path)
        if self.find_folder(path).entries:
            raise_os_error(errno.ENOTEMPTY, path)
        self._change_names([(parent, name, None)])

    def rename(self, source: str, target: str) -> None:
        """Rename a file or folder. A file replaces a file, a folder an empty folder."""
        (from_folder, from_name), (to_folder, to_name) = self._parent(source), self._parent(target)
        node = self.find(source)
        existing = to_folder.entries.get(to_name)
        if existing is node:
            return
        if isinstance(node, Folder) and f"{target}/".startswith(f"{source}/"):
            raise_os_error(errno.EINVAL, target)
        if existing is not None:
            if isinstance(existing, Folder) and not isinstance(node, Folder):
                raise_os_error(errno.EISDIR, target)
            if isinstance(node, Folder) and not isinstance(existing, Folder):
                raise_os_error(errno.ENOTDIR, target)
            if isinstance(existing, Folder) and existing.entries:
                raise_os_error(errno.ENOTEMPTY, target)
        self._change_names([(from_folder, from_name, None), (to_folder, to_name, node)])

    def link(self, source: str, target: str) -> None:
        """Give a file a second name."""
        node, (folder, name) = self.find(source), self._parent(target)
        if name in folder.entries:
            raise_os_error(errno.EEXIST, target)
        if isinstance(node, Folder):
            raise_os_error(errno.EPERM, source)
        self._change_names([(folder, name, node)])

    def _change_names(self, change: NameChange) -> None:
        _apply_name_change(change, durable=False)
        self.unsynced_names.append(change)

    def _take_number(self) -> int:
        self._next_number += 1
        return self._next_number

    # ---- durability

    def sync_folder(self, folder: Folder) -> None:
        """Make the names in a folder durable."""
        remaining = []
        for change in self.unsynced_names:
            if any(part[0] is folder for part in change):
                _apply_name_change(change, durable=True)
            else:
                remaining.append(change)
        self.unsynced_names = remaining

    def sync_all(self) -> None:
        """Make everything durable."""
        for change in self.unsynced_names:
            _apply_name_change(change, durable=True)
        self.unsynced_names = []
        for _, node in self.walk():
            if isinstance(node, File):
                node.sync()

    def cut_power(self, rng: random.Random) -> None:
        """Replace everything by a state that a power cut may leave, which is durable."""
        share = rng.choice((0.0, 0.5, 0.5, 0.9, 1.0))  # of the unsynced names that survive
        for change in self.unsynced_names:
            if rng.random() < share:
                _apply_name_change(change, durable=True)
        self.unsynced_names = []
        pending = [self.root]
        while pending:
            folder = pending.pop()
            folder.entries = dict(folder.durable)
            for node in folder.entries.values():
                if isinstance(node, Folder):
                    pending.append(node)
                else:
                    node.lose_power(rng)

    # ---- whole trees

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield the path below the root and the node of every file and folder, in the order of the paths."""
        pending: list[tuple[str, Node]] = [("", self.root)]
        while pending:
            path, node = pending.pop()
            if path:
                yield path, node
            if isinstance(node, Folder):
                prefix = f"{path}/" if path else ""
                pending += [(prefix + name, node.entries[name]) for name in sorted(node.entries, reverse=True)]

    def files(self, folder: str = "") -> dict[str, bytes]:
        """Return the content of every file below a folder of the root, by its path there."""
        prefix = f"{folder}/" if folder else ""
        return {
            path.removeprefix(prefix): bytes(node.data)
            for path, node in self.walk()
            if isinstance(node, File) and path.startswith(prefix)
        }

    def remove_tree(self, path: str) -> None:
        """Remove a file, or a folder with its content, durably."""
        parent, name = self._parent(path)
        self._change_names([(parent, name, None)])
        self.sync_all()

    def write_files(self, files: dict[str, bytes]) -> None:
        """Write files, with their folders, durably. The paths are below the root."""
        for name, content in files.items():
            path = f"{self.root_path}/{name}"
            parts = name.split("/")[:-1]
            for i in range(len(parts)):
                folder = "/".join((self.root_path, *parts[: i + 1]))
                if not self.exists(folder):
                    self.make_folder(folder)
            file = self.find(path) if self.exists(path) else self.make_file(path)
            assert isinstance(file, File)
            file.data = bytearray(content)
            file.unsynced.append((0, content))
        self.sync_all()


def _apply_name_change(change: NameChange, *, durable: bool) -> None:
    for folder, name, node in change:
        entries = folder.durable if durable else folder.entries
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def raise_os_error(number: int, path: str) -> NoReturn:
    """Raise the OSError of an error number, as the operating system would."""
    raise OSError(number, os.strerror(number), path)


def stat_node(node: Node) -> os.stat_result:
    """Return what os.stat returns for a node."""
    is_folder = isinstance(node, Folder)
    size = 4096 if is_folder else len(node.data)
    kind = stat.S_IFDIR if is_folder else stat.S_IFREG
    seconds, nanoseconds = int(node.modified), int(node.modified * 1e9)
    numbers = (kind | node.mode, node.number, 1, 1, os.getuid(), os.getgid(), size, seconds, seconds, seconds)
    return os.stat_result(numbers, {"st_mtime_ns": nanoseconds, "st_mtime": node.modified, "st_atime_ns": nanoseconds,
                                    "st_ctime_ns": nanoseconds, "st_nlink": 1})  # fmt: skip
