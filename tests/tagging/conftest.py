"""A small trained run, and its tagger."""

import pytest

import rayner
from tests.tagging.small_run import ROOT, write_small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A trained run without an LLM. Tests that change it take a copy."""
    return write_small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def tagger(run):
    return rayner.load(run)


@pytest.fixture(scope="session")
def texts():
    """The beginnings of the first texts of the sample's corpus."""
    return [path.read_text(encoding="utf-8")[:200] for path in sorted((ROOT / "sample" / "corpus").rglob("*.txt"))[:8]]
