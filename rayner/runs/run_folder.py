"""The run folder: what was done, from what, and whether it may be used again.

Each step of a run leaves a manifest, written last and atomically: the inputs it was made from and the facts it found.
A step whose manifest has the same inputs is done; one with other inputs is refused, never mixed.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.errors import ConfigError
from rayner.runs.storage import StoragePath, atomic_writer, local_copy, move_folder_to, storage_path

StepResult = dict[str, Any]


def write_json(path: StoragePath, value: Any) -> None:  # noqa: ANN401 - anything that JSON can write
    """Write atomically: whoever reads the path finds the old file or the whole new one."""
    with atomic_writer(path) as stream:
        stream.write((json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def read_json(path: StoragePath) -> dict[str, Any]:
    """Read what `write_json` wrote."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def file_sha256(path: str | StoragePath) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with storage_path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file that reads bytes


def folder_sha256(folder: StoragePath) -> str:
    """SHA-256 over names and contents of all files of a folder, in hexadecimal."""
    total, path = hashlib.sha256(), local_copy(folder)
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def model_digest(model: str) -> str:
    """The digest of a checkpoint folder, or the name itself of one that lies on a hub."""
    return folder_sha256(Path(model)) if Path(model).is_dir() else model


@contextmanager
def replace_folder(path: StoragePath) -> Iterator[Path]:
    """A new local folder to fill; it takes the place of `path` only when the block ends without an error."""
    if isinstance(path, Path):  # beside its place, to get there by being renamed
        part = path.with_name(f".{path.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        move_folder_to(part, path)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)
        move_folder_to(Path(temporary), path)


@dataclass(frozen=True)
class Run:
    """A run folder."""

    root: StoragePath

    def path(self, *parts: str) -> StoragePath:
        """A place inside the folder."""
        return self.root.joinpath(*parts)

    def local_path(self, *parts: str) -> Path:
        """The same place as a path of this machine, for libraries that read nothing else."""
        return local_copy(self.path(*parts))

    def step_result(self, step: str) -> StepResult:
        """What a done step found. Raises ConfigError, naming the step, where it is not done."""
        manifest = self._manifest(step)
        if manifest is None:
            raise ConfigError(f"{self.root}: the step {step} is not done; run its job first, or jobs/pipeline.py")
        facts: StepResult = manifest["facts"]
        return facts

    def step_digest(self, step: str) -> str:
        """What identifies the outcome of a done step. Raises ConfigError where it is not done."""
        self.step_result(step)
        return file_sha256(self._manifest_path(step))

    def has_step(self, step: str) -> bool:
        """Whether a step is done, from whatever."""
        return self._manifest_path(step).exists()

    def copy_step_manifest(self, step: str, source_run: "Run") -> None:
        """Call a step done, as it is in another run from which its files were copied."""
        write_json(self._manifest_path(step), read_json(source_run._manifest_path(step)))

    def is_done(self, step: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the step was done from these inputs.

        Raises ConfigError, naming what differs, where it was done from others.
        """
        manifest = self._manifest(step)
        if manifest is None:
            return False
        before, now = _flatten(manifest["inputs"]), _flatten(json.loads(json.dumps(inputs)))
        differ = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if differ:
            listed = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in differ[:5])
            raise ConfigError(
                f"{self.root}: {step} was made from other inputs ({listed}): "
                "take another run folder, or start over beside it with --fresh"
            )
        return True

    def run_step(self, name: str, inputs: Mapping[str, Any], compute: Callable[[], StepResult]) -> StepResult:
        """Do a step unless it is done from the same inputs; either way, its facts.

        Raises ConfigError where it was done from other inputs.
        """
        if not self.is_done(name, inputs):
            begun = time.time()
            facts = {**compute(), "seconds": round(time.time() - begun, 2)}
            write_json(self._manifest_path(name), {"inputs": inputs, "facts": facts})
        return self.step_result(name)

    def _manifest_path(self, step: str) -> StoragePath:
        return self.path("steps", f"{step}.json")

    def _manifest(self, step: str) -> dict[str, Any] | None:
        try:
            return read_json(self._manifest_path(step))
        except FileNotFoundError:
            return None


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            out.update(_flatten(value, f"{prefix}{key}."))
        else:
            out[prefix + key] = value
    return out
