"""The text of a pretraining on the disk: windows of tokens of equal length, in numpy files.

Texts follow each other, with a separator after each, and are cut into windows without a gap. The last window ends at
the end of the last text, so it may repeat tokens of the one before it. A window is read by its number, from files that
are mapped into memory, so memory does not depend on the length of the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rayner.errors import DamagedFileError
from rayner.pretraining.training_order import Ints
from rayner.runs.json_files import START_OVER

_FILE_WINDOWS = 1 << 16
Tokens = npt.NDArray[np.unsignedinteger]


def write_windows(
    folder: Path,
    texts: Iterable[Ints],
    window_size: int,
    separator: int,
    n_tokens: int,
    file_windows: int = _FILE_WINDOWS,
) -> int:
    """Write the windows of all texts into files of a folder, and return the number of windows.

    It is 0 if the texts together are shorter than a window.

    Args:
        folder: The folder.
        texts: The tokens of each text, shape [n_tokens of the text].
        window_size: The number of tokens of a window.
        separator: The token after each text.
        n_tokens: The number of tokens in the vocabulary.
        file_windows: The number of windows in a file.

    """
    pending, n_pending, n_windows = list[Tokens](), 0, 0
    for window_block in _cut_into_windows(texts, window_size, separator, np.min_scalar_type(n_tokens - 1)):
        pending.append(window_block)
        n_pending += len(window_block)
        while n_pending >= file_windows:
            rows = np.concatenate(pending)
            n_windows += _write_file(folder, n_windows // file_windows, rows[:file_windows])
            pending, n_pending = [rows[file_windows:]], n_pending - file_windows
    if n_pending:
        n_windows += _write_file(folder, n_windows // file_windows, np.concatenate(pending))
    return n_windows


def _cut_into_windows(texts: Iterable[Ints], window_size: int, separator: int, dtype: np.dtype) -> Iterator[Tokens]:
    """Yield windows as blocks of rows, shape [n, window_size]."""
    rest, last = np.zeros(0, dtype=dtype), np.zeros(0, dtype=dtype)
    for text in texts:
        tokens = np.concatenate([rest, text.astype(dtype), np.array([separator], dtype=dtype)])
        n_whole = len(tokens) // window_size
        rest = tokens[n_whole * window_size :]
        if n_whole:
            block = tokens[: n_whole * window_size].reshape(n_whole, window_size)
            last = block[-1]
            yield block
    if len(rest) and len(last):
        yield np.concatenate([last, rest])[-window_size:].reshape(1, window_size)


def _write_file(folder: Path, number: int, rows: Tokens) -> int:
    np.save(folder / f"windows-{number:06d}.npy", rows, allow_pickle=False)
    return len(rows)


class TextWindows:
    """The windows in a folder that `write_windows` wrote."""

    def __init__(self, folder: Path) -> None:
        self._files: Sequence[Tokens] = [
            np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("windows-*.npy"))
        ]
        if not self._files:
            raise DamagedFileError(f"{folder}: expected windows of text, found none: {START_OVER}")
        self._file_windows = len(self._files[0])

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._files)

    def read(self, rows: Ints) -> Ints:
        """Return windows by their numbers, shape [n_rows, window_size]."""
        return np.stack(
            [self._files[row // self._file_windows][row % self._file_windows] for row in rows.tolist()]
        ).astype(np.int64)
