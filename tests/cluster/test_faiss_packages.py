"""Either package of FAISS will do, one at a time; the dry run and the doctor say what does not fit."""

import dataclasses
import sys
from importlib.metadata import PackageNotFoundError

import faiss
import pytest

from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.doctor.faiss_diagnosis import check_faiss
from rayner.errors import ConfigError
from rayner.fusion.region_rule import RegionRule
from rayner.steps import faiss_packages
from rayner.steps.faiss_packages import (
    check_index_device,
    choose_index_device,
    find_cuda_majors_by_package,
    list_faiss_packages,
)
from tests.cluster.test_diagnosis import NODE, fails, only
from tests.report.records import make_fusion


def install(site, name, number, *requirements):
    """What pip leaves of a package that brings the module `faiss`, as far as its metadata goes."""
    folder = site / f"{name.replace('-', '_')}-{number}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {number}"]
    (folder / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {line}" for line in requirements), ""]))
    (folder / "RECORD").write_text(f"faiss/__init__.py,,\n{folder.name}/METADATA,,\n{folder.name}/RECORD,,\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An environment of its own: only what a test installs is there."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    return tmp_path / "site"


def test_the_installed_package_is_found():
    assert list(list_faiss_packages().values()) == [faiss.__version__]


@pytest.mark.parametrize("name", ["faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"])
def test_either_package_is_recorded_by_its_own_name(site, name):
    install(site, name, "1.15.1")
    assert list_faiss_packages() == {name: "1.15.1"}


def test_the_facts_of_a_run_name_faiss_gpu_where_that_is_installed(monkeypatch):
    """`version("faiss-cpu")` ended the job there, after tagging."""
    from rayner.steps import pipeline

    right = pipeline.version

    def version(name):
        if name == "faiss-cpu":
            raise PackageNotFoundError(name)
        return right(name)

    monkeypatch.setattr(pipeline, "version", version)
    monkeypatch.setattr(faiss_packages, "version", lambda name: {"faiss-gpu": "1.15.1"}[name])
    monkeypatch.setattr(faiss_packages, "packages_distributions", lambda: {"faiss": ["faiss-gpu"]})
    monkeypatch.setattr(pipeline, "find_silent_models", lambda part: [])
    names = ("train_slm", "train_llm", "tune_fusion")
    results = {
        "data": {"parts": {}, "characters": 0, "faults": {}, "seconds": 1.0},
        "score": {"dev": {}, "test": {}, "seconds": 1.0},
        **{name: {"seconds": 1.0} for name in names},
    }
    facts = pipeline._collect_run_facts(Config(), make_fusion(RegionRule(0.2)), results, 1.0, 1.0)
    assert facts.versions["faiss-gpu"] == "1.15.1"
    assert "faiss-cpu" not in facts.versions


def test_two_packages_overwrite_each_other(site):
    install(site, "faiss-cpu", "1.15.1")
    install(site, "faiss-gpu", "1.15.1")
    both = dataclasses.replace(NODE, faiss=list_faiss_packages())
    fails(check_faiss([both]), "faiss-cpu 1.15.1, faiss-gpu 1.15.1 on a")


def test_the_cuda_of_a_package_is_that_of_its_libraries(site, monkeypatch):
    import torch

    install(site, "faiss-gpu", "1.15.1", "numpy>=1.25", "nvidia-cublas-cu12<13,>=12.6")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert find_cuda_majors_by_package() == {"torch": "13", "faiss-gpu": "12"}
    monkeypatch.setattr(torch.version, "cuda", None)
    assert find_cuda_majors_by_package() == {"faiss-gpu": "12"}


def test_the_doctor_tells_two_versions_of_cuda_and_a_missing_faiss():
    fine = dataclasses.replace(NODE, faiss={"faiss-gpu": "1.15.1"}, cuda_versions={"torch": "12", "faiss-gpu": "12"})
    assert only(check_faiss([fine])).ok
    clash = dataclasses.replace(fine, cuda_versions={"torch": "13", "faiss-gpu": "12"})
    fails(check_faiss([clash]), "torch for CUDA 13, faiss-gpu for CUDA 12 on a")
    fails(check_faiss([fine, dataclasses.replace(NODE, name="b", faiss={})]), "nothing on b")
    older = dataclasses.replace(fine, name="b", faiss={"faiss-gpu": "1.14.1"})
    fails(check_faiss([fine, older]), "faiss-gpu 1.14.1 on b")
    other = dataclasses.replace(fine, name="b", faiss={"faiss-cpu": "1.15.1"}, cuda_versions={"torch": "13"})
    assert only(check_faiss([fine, other])).ok  # a head without a GPU


def test_index_device_cuda_needs_faiss_gpu_and_gpus(monkeypatch):
    check_index_device(Config())
    config = load_config(None, ["index.device=cuda", "score.gpus=1"])
    monkeypatch.setattr(faiss_packages, "list_faiss_packages", lambda: {"faiss-cpu": "1.15.1"})
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(ConfigError, match=r"^index.device: expected, for cuda, faiss-gpu .* found faiss-cpu 1.15.1"):
        check_index_device(config)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    check_index_device(config)
    with pytest.raises(ConfigError, match=r"\(score.gpus\), found 0: set it, or index.device=auto"):
        check_index_device(load_config(None, ["index.device=cuda"]))


@pytest.mark.parametrize(
    ("overrides", "device"),
    [
        ([], "auto"), (["device=cpu"], "cpu"), (["device=cpu", "index.device=cuda"], "cuda"),
        (["device=cuda"], "auto"), (["index.device=cpu"], "cpu"),
    ],
)  # fmt: skip
def test_the_device_of_the_index_follows_the_device_of_the_models(overrides, device):
    assert choose_index_device(load_config(None, overrides)) == device
