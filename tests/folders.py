"""Folders before and after, and changes to their files."""

import os
from pathlib import Path


def snapshot(folder):
    """Every path below a folder: the bytes of a file, the target of a link, or False for a folder."""

    def content(path):
        return os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()

    return {path.relative_to(folder).as_posix(): content(path) for path in sorted(Path(folder).rglob("*"))}


def put(path, content=b"mine"):
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def flip(path):
    """Invert one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
