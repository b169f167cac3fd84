"""The same examples on every run; `pytest --hypothesis-profile=explore` draws new ones, and many."""

import gc
import os
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# A machine that is busy is slow at drawing, too.
REPEATABLE = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", **REPEATABLE)
settings.register_profile("fast", **REPEATABLE, max_examples=5)  # `make fast`: a first look, the suite draws them all
settings.register_profile(  # `make mutate`: that a mutant is found out is enough, no simplest example is wanted
    "mutants", **REPEATABLE, max_examples=40, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False
)
settings.register_profile("explore", deadline=None, max_examples=2000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("repeatable")


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        keep_caches_apart(config)
    gc.disable()  # a third of the time in which the tests are collected would go into collecting garbage


def keep_caches_apart(config):
    """Give the jobs of the tests a cache folder of their own, so that they record no pace for those of the user."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", f"{cache}/matplotlib")  # matplotlib needs seconds to find its fonts
    os.environ["XDG_CACHE_HOME"] = own = tempfile.mkdtemp(prefix="rayner-tests-")
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))


def pytest_collection_finish():
    gc.enable()


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Writes a module into the working folder, an empty one; it is forgotten afterwards."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}

    def write(name, code):
        (tmp_path / "here" / f"{name}.py").write_text(textwrap.dedent(code), encoding="utf-8")

    yield write
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
