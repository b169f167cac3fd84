import pytest

from rayner.corpus.labelled_files import read_labelled_file
from rayner.errors import DataError


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a file of the given content: its texts, each with its entities as (string, type)."""
    monkeypatch.chdir(tmp_path)

    def _read(content, layout="auto", name="labels"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return texts_and_entities(read_labelled_file(name, layout=layout))

    return _read


@pytest.fixture
def refusal(read):
    """The message with which a file is refused."""

    def _refusal(content, layout="auto", name="labels"):
        with pytest.raises(DataError) as caught:
            read(content, layout, name)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return _refusal


def texts_and_entities(labelled):
    return [
        (labelled.text[a:b], [(labelled.text[s.start : s.end], s.type) for s in labelled.spans if a <= s.start < b])
        for a, b in labelled.text_bounds()
    ]
