"""All text is in windows of one length, in order and without a gap, in files of any size."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import DamagedFileError
from rayner.pretraining.text_windows import TextWindows, write_windows

TEXTS = st.lists(st.lists(st.integers(2, 69_999), max_size=40).map(np.array), max_size=8)
SEPARATOR = 1


@given(texts=TEXTS, size=st.integers(1, 15), file_windows=st.integers(1, 9), n_tokens=st.sampled_from([70_000, 2**16]))
def test_windows_joined_are_the_texts_each_with_a_separator_behind_it(texts, size, file_windows, n_tokens):
    texts = [(text % n_tokens).astype(np.int64) for text in texts]
    joined = [token for text in texts for token in (*text.tolist(), SEPARATOR)]
    with tempfile.TemporaryDirectory() as name:
        n_windows = write_windows(Path(name), texts, size, SEPARATOR, n_tokens, file_windows)
        assert n_windows == (-(-len(joined) // size) if len(joined) >= size else 0)
        if not n_windows:
            return
        windows = TextWindows(Path(name))
        assert len(windows) == n_windows
        rows = windows.read(np.arange(n_windows))
        assert rows.dtype == np.int64
        assert rows[: len(joined) // size].reshape(-1).tolist() == joined[: len(joined) // size * size]
        assert rows[-1].tolist() == joined[-size:]
        backwards = np.arange(n_windows)[::-1]
        assert np.array_equal(windows.read(backwards), rows[::-1])
        assert len([*Path(name).iterdir()]) == -(-n_windows // file_windows)


def test_windows_that_were_removed_are_missed_with_one_clear_error(tmp_path):
    with pytest.raises(DamagedFileError, match="expected windows of text, found none: start over"):
        TextWindows(tmp_path)
