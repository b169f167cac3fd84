"""Write the lock files: the installed versions, with the SHA-256 of each of their files. `python release/lock.py UV`.

`make lock` calls this. uv resolves the dependencies of pyproject.toml for the platforms of its section `tool.uv`, with
the versions of this environment. It lists the hashes of all files of each release on PyPI, so the locks work on all
these platforms.

- requirements-build.lock: what builds rayner and the packages that are on PyPI without a wheel. It is installed first.
- requirements.lock: all other packages, except the next two groups.
- requirements-cuda.lock: NVIDIA's libraries, several gigabytes, which torch's build for CUDA needs (PyPI's for Linux).
- requirements-cpu.lock: the build of torch for the CPU that is installed here. It is not on PyPI.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions, version
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
_NOT_LOCKED = ("rayner", "pip", "wheel")
_BUILD_PACKAGE, _CUDA_PACKAGE = re.compile("setuptools$"), re.compile(r"nvidia-|cuda-|triton$")
_PYTHON_RANGE = re.compile(r"python_full_version >= '[\d.]+' and python_full_version < '[\d.]+' and ")
_EVERY_PLATFORM = re.compile(r"( and|;) \(sys_platform == 'darwin' or sys_platform == 'linux'\)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main(uv: str) -> None:
    """Write the locks.

    uv: path of the program uv.
    """
    entries = split_entries(resolve(uv))
    build = {name for name in entries if _BUILD_PACKAGE.match(name)}
    cuda = {name for name in entries if _CUDA_PACKAGE.match(name)}
    for suffix, names in (("-build", build), ("-cuda", cuda), ("", entries.keys() - build - cuda)):
        write_lock(suffix, [entries[name] for name in sorted(names)])
    if "+" in version("torch"):
        write_lock("-cpu", [lock_installed_torch()])


def write_lock(suffix: str, entries: list[str]) -> None:
    """Write one lock file and print how large it is."""
    path = ROOT / f"requirements{suffix}.lock"
    path.write_text("".join(entries), encoding="utf-8")
    print(f"{path.name}: {len(entries)} packages, {sum(len(_HASH.findall(entry)) for entry in entries)} files")


def resolve(uv: str) -> str:
    """Return the resolution with hashes, in the format of pip's requirement files."""
    with tempfile.TemporaryDirectory() as temporary:
        installed = Path(temporary, "installed.txt")
        installed.write_text("".join(
            f"{package.name}=={package.version.partition('+')[0]}\n" for package in distributions()
            if canonicalize_name(package.name) not in _NOT_LOCKED
        ))  # fmt: skip
        command = [
            uv, "pip", "compile", "pyproject.toml", "--extra", "cpu", "--extra", "dev", "--extra", "docs",
            "--constraint", str(installed), "--universal", "--generate-hashes", "--no-header", "--no-annotate",
            "--quiet",
        ]  # fmt: skip
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def split_entries(resolution: str) -> dict[str, str]:
    """Return the entries by package name, without the markers that hold on every platform of the lock.

    A marker for the version of Python would make an older Python install nothing, without an error.
    """
    entries = {}
    for entry in re.findall(r"^[\w.-]+==.*\\\n(?:    .*\n?)+", resolution, re.M):
        first, _, hashes = entry.partition(" \\\n")
        first = _EVERY_PLATFORM.sub("", _PYTHON_RANGE.sub("", first.replace(" ;", ";"))).replace(";", " ;").strip()
        entries[first.partition("==")[0]] = format_entry(first, _HASH.findall(hashes))
    return entries


def format_entry(requirement: str, hashes: list[str]) -> str:
    """Return an entry as pip reads it."""
    return " \\\n".join([requirement, *(f"    --hash=sha256:{digest}" for digest in sorted(hashes))]) + "\n"


def lock_installed_torch() -> str:
    """Return the entry of the build of torch that is installed here. pip fetches it again, to compute its hash."""
    requirement = f"torch=={version('torch')}"
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, requirement]
        subprocess.run(command, check=True)
        return format_entry(
            requirement, [hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(temporary).iterdir()]
        )


if __name__ == "__main__":
    main(sys.argv[1])
