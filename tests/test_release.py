"""The files of a release: wheel, sdist, version, licences. `make release-check` also installs and uses the wheel."""

import copy
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rayner
from release.licences import direct_dependencies
from release.lock import split_entries
from release.sbom import ENTRY, HASH, check_sbom, complete_sbom

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
        folders = [Path(folder) for folder, _, _ in os.walk(ROOT / "rayner", followlinks=True)]
        package = {
            file.relative_to(ROOT).as_posix(): file.read_bytes()
            for folder in folders
            for file in folder.iterdir()
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert {name: wheel.read(name) for name in set(wheel.namelist()) - metadata} == package
        assert {"rayner/py.typed", "rayner/bundled/conf/laptop.yaml"} <= package.keys()
        assert sum(name.startswith("rayner/bundled/sample/corpus/") for name in package) == 12
        assert [entry.filename for entry in wheel.infolist() if stat.S_ISLNK(entry.external_attr >> 16)] == []
        assert {name.rsplit("licenses/", 1)[-1] for name in metadata if "licenses/" in name} == {"LICENSE", "NOTICE"}
        assert not [name for name in wheel.namelist() if str(ROOT).encode() in wheel.read(name)]


def test_the_sdist_holds_the_jobs_and_what_they_read(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.split("/", 1)[-1] for name in sdist.getnames()}
    tracked = [file for top in ("jobs", "sample", "docs", "tests") for file in (ROOT / top).rglob("*")]
    expected = {file.relative_to(ROOT).as_posix() for file in tracked if file.is_file()}
    expected |= {
        "Makefile",
        *(path.name for path in ROOT.glob("requirements*.lock")),
        "cluster.yaml",
        "CITATION.cff",
        "CHANGELOG.md",
        "LICENSE",
        "NOTICE",
    }
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


# ---- the locks and the SBOM

LOCKS = {
    name: (ROOT / f"requirements{name}.lock").read_text(encoding="utf-8") for name in ("", "-build", "-cuda", "-cpu")
}


def read_lock(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirement of each package and the hashes of its files."""
    entries = {}
    for entry in ENTRY.findall(LOCKS[name]):
        requirement = Requirement(entry.partition(" \\\n")[0])
        assert canonicalize_name(requirement.name) not in entries
        entries[canonicalize_name(requirement.name)] = requirement, HASH.findall(entry)
    return entries


@pytest.mark.parametrize("name", LOCKS)
def test_each_line_of_a_lock_is_a_pinned_package_or_a_hash_of_it(name):
    """No address of an index, no package without hashes."""
    assert "".join(ENTRY.findall(LOCKS[name])) == LOCKS[name]
    lines = LOCKS[name].splitlines()
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.+]+( ; [^;#/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    for package, (requirement, hashes) in read_lock(name).items():
        assert hashes, package
        assert len(set(hashes)) == len(hashes), package
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], package


def test_what_is_installed_is_what_the_locks_pin():
    """`make install` made this environment. pip itself and rayner are in no lock."""
    pinned = read_lock("") | read_lock("-build") | read_lock("-cuda")
    installed = {canonicalize_name(package.name): package.version.partition("+")[0] for package in distributions()}
    for name, (requirement, _) in read_lock("").items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(installed[name]), name
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = direct["optional-dependencies"]
    for line in [*direct["dependencies"], *extras["cpu"], *extras["dev"], *extras["docs"]]:
        wanted = Requirement(line)
        assert next(iter(pinned[canonicalize_name(wanted.name)][0].specifier)).version in wanted.specifier, line


def test_each_lock_has_its_own_packages():
    names = {name: set(read_lock(name)) for name in LOCKS}
    assert names["-build"] == {"setuptools"}
    assert names["-cpu"] == {"torch"}
    assert {"triton", "nvidia-nccl-cu13"} <= names["-cuda"]
    assert not names[""] & (names["-cuda"] | names["-build"])
    assert not [package for package in names[""] if package.startswith(("nvidia-", "cuda-"))]
    (cpu, hashes), (pypi, pypi_hashes) = read_lock("-cpu")["torch"], read_lock("")["torch"]
    assert str(cpu.specifier).startswith(f"{pypi.specifier}+")
    assert not set(hashes) & set(pypi_hashes)
    assert len(pypi_hashes) > 10  # for all platforms, not only for the one on which the lock was written


def test_pip_refuses_a_file_whose_hash_is_not_in_the_lock(tmp_path):
    """With a wheel whose content was changed by one byte."""
    wheel = tmp_path / "six-1.17.0-py2.py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("six.py", "x = 1\n")
        file.writestr("six-1.17.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n")
        file.writestr("six-1.17.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\n")
        file.writestr("six-1.17.0.dist-info/RECORD", "")
    (entry,) = re.findall(r"^six==.*\n(?:    .*\n)+", LOCKS[""], re.M)
    (tmp_path / "six.lock").write_text(entry)
    command = [
        sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-index", "--find-links", tmp_path,
        "--target", tmp_path / "to", "--requirement", tmp_path / "six.lock",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr


def test_markers_for_the_platforms_of_the_lock_are_left_out():
    python = "python_full_version >= '3.11.5' and python_full_version < '3.15'"
    both = f"{python} and (sys_platform == 'darwin' or sys_platform == 'linux')"
    linux = f"{python} and sys_platform == 'linux'"
    pypy = both.replace(" and (sys", " and platform_python_implementation != 'PyPy' and (sys")
    digest = f"    --hash=sha256:{'0' * 64}\n"
    text = "".join(f"{name}==1 ; {marker} \\\n{digest}" for name, marker in (("a", both), ("b-c", linux), ("d", pypy)))
    assert split_entries(text + f"e==2 \\\n{digest}") == {
        "a": f"a==1 \\\n{digest}",
        "b-c": f"b-c==1 ; sys_platform == 'linux' \\\n{digest}",
        "d": f"d==1 ; platform_python_implementation != 'PyPy' \\\n{digest}",
        "e": f"e==2 \\\n{digest}",
    }


def component(ref: str, name: str, version: str, *hashes: str) -> dict:
    digests = [{"alg": "SHA-256", "content": digest} for digest in hashes]
    return {
        "bom-ref": ref, "name": name, "version": version, "description": "requirements line 1",
        "externalReferences": [{"type": "distribution", "hashes": digests}],
    }  # fmt: skip


def test_the_sbom_has_the_packages_and_hashes_of_the_locks_and_the_version():
    first, second = "a" * 64, "b" * 64
    digest = "    --hash=sha256:"
    requirements = f"x==1 \\\n{digest}{first} \\\n{digest}{second}\ny-z==2.0 ; os_name == 'a' \\\n{digest}{second}\n"
    components = [component("L1", "x", "1", second, first), component("L4", "y-z", "2.0", second)]
    sbom = complete_sbom({"metadata": {"component": {"bom-ref": "root", "name": "rayner"}}, "components": components})
    check_sbom(sbom, requirements)
    assert sbom["metadata"]["component"]["version"] == rayner.__version__
    assert sbom["dependencies"] == [{"ref": "root", "dependsOn": ["L1", "L4"]}, {"ref": "L1"}, {"ref": "L4"}]
    assert "description" not in sbom["components"][0]
    for change in (
        lambda sbom: sbom["components"].pop(),
        lambda sbom: sbom["components"].append(component("L9", "w", "1", first)),
        lambda sbom: sbom["components"][0].update(version="1.1"),
        lambda sbom: sbom["components"][0]["externalReferences"][0]["hashes"].pop(),
    ):
        changed = copy.deepcopy(sbom)
        change(changed)
        with pytest.raises(ValueError, match="expected the packages of the locks, found differences: "):
            check_sbom(changed, requirements)


def test_the_sbom_of_a_release_that_was_built_here_is_complete():
    path = ROOT / "dist" / f"rayner-{rayner.__version__}.cdx.json"
    if not path.exists():
        pytest.skip("make dist writes it")
    check_sbom(json.loads(path.read_bytes()), "".join(LOCKS[name] for name in ("", "-build", "-cuda")))
