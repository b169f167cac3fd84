"""The files of a release: wheel, sdist, version, licences. `make release-check` also installs and uses the wheel."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

import rayner
from release.licences import direct_dependencies

ROOT = Path(__file__).parents[1]
NOT_TRACKED = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info")
BUILD = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Build sdist and wheel without a network; return their folder."""
    clone = tmp_path_factory.mktemp("release") / "clone"
    shutil.copytree(
        ROOT, clone, ignore=lambda at, names: {*NOT_TRACKED(at, names), *({"runs"} if at == str(ROOT) else ())}
    )
    subprocess.run([sys.executable, "-c", BUILD], cwd=clone, check=True, capture_output=True)
    return clone / "dist"


def test_the_wheel_holds_the_package_and_nothing_else(built):
    (path,) = built.glob("*.whl")
    assert path.name == f"rayner-{rayner.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        metadata = {name for name in wheel.namelist() if name.startswith(f"rayner-{rayner.__version__}.dist-info/")}
        package = {
            file.relative_to(ROOT).as_posix(): file.read_bytes()
            for file in (ROOT / "rayner").rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert {name: wheel.read(name) for name in set(wheel.namelist()) - metadata} == package
        assert "rayner/py.typed" in package
        assert {name.rsplit("licenses/", 1)[-1] for name in metadata if "licenses/" in name} == {"LICENSE", "NOTICE"}
        assert not [name for name in wheel.namelist() if str(ROOT).encode() in wheel.read(name)]


def test_the_sdist_holds_the_jobs_and_what_they_read(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.split("/", 1)[-1] for name in sdist.getnames()}
    tracked = [file for top in ("jobs", "sample", "docs", "tests") for file in (ROOT / top).rglob("*")]
    expected = {file.relative_to(ROOT).as_posix() for file in tracked if file.is_file()}
    expected |= {"Makefile", "requirements.lock", "cluster.yaml", "CITATION.cff", "CHANGELOG.md", "LICENSE", "NOTICE"}
    assert {name for name in expected if "__pycache__" not in name} <= names


def test_the_version_is_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", rayner.__version__), "expected MAJOR.MINOR.PATCH"
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[:2] == ["Unreleased", rayner.__version__]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == rayner.__version__


def test_the_licences_page_lists_the_installed_direct_dependencies():
    rows = re.findall(
        r"^\| \*\*(.+?)\*\* \| (.+?) \|", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"), re.M
    )
    installed = {
        canonicalize_name(item.name): distribution(item.name).version.split("+")[0] for item in direct_dependencies()
    }
    assert dict(rows) == installed, "make licences writes docs/licences.md"
