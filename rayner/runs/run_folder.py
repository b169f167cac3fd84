"""The run folder, which records the steps that are done and their inputs. Also, digests of files and folders.

When a step ends, its manifest is written atomically, after all other files. If a manifest has the same inputs, the
step is done and is skipped. If it has other inputs, an error is raised, so a run folder never mixes results.
"""

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.errors import ConfigError
from rayner.runs.json_files import START_OVER, read_checked_json, write_checked_json
from rayner.runs.status import STATUS_FILE
from rayner.runs.step_manifest import StepManifest, StepResult
from rayner.runs.storage import (
    StoragePath,
    list_folder,
    local_copy,
    move_folder_over,
    remove_file,
    remove_folder,
    storage_path,
)
from rayner.text.json_records import RecordError, damaged_record_error, value_from_json

log = logging.getLogger("rayner")
SETTINGS_FILE = "settings.yaml"  # in a run folder: the settings with which its fusion was tuned last


def file_sha256(path: str | StoragePath) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with storage_path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file that reads bytes


def folder_sha256(folder: StoragePath) -> str:
    """Return the SHA-256, in hexadecimal, of the names and contents of all files in a folder and its subfolders."""
    digest, path = hashlib.sha256(), local_copy(folder)
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def model_digest(model: str) -> str:
    """Return the digest of a checkpoint folder. For a model on a hub, return its name."""
    return folder_sha256(Path(model)) if Path(model).is_dir() else model


@contextmanager
def replace_folder(path: StoragePath) -> Iterator[Path]:
    """Yield a new local folder to fill. It replaces `path` only if the block ends without an error."""
    if isinstance(path, Path):  # beside the target, because a rename must not cross file systems
        part = path.with_name(f".{path.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        move_folder_over(part, path)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)
        move_folder_over(Path(temporary), path)


def _empty_but_for_status(folder: StoragePath) -> None:
    entries = list_folder(folder)
    if all(entry.name != STATUS_FILE for entry in entries):
        remove_folder(folder)
        return
    for name, is_folder in entries:
        if is_folder:
            remove_folder(folder / name)
        elif name != STATUS_FILE:
            remove_file(folder / name)


@dataclass(frozen=True)
class Run:
    """A run folder."""

    root: StoragePath

    def path(self, *parts: str) -> StoragePath:
        """Return the path of a file or folder in the run folder."""
        return self.root.joinpath(*parts)

    def local_path(self, *parts: str) -> Path:
        """Return a local path of a file or folder in the run folder, for libraries that read only local files."""
        return local_copy(self.path(*parts))

    def step_result(self, step: str) -> StepResult:
        """Return the result of a step that is done.

        Raises ConfigError, which names the step, if the step is not done.
        """
        manifest = self._read_manifest(step)
        if manifest is None:
            raise ConfigError(f"{self.root}: the step {step} is not done; run its command first, or rayner run")
        return manifest.result

    def entity_types(self) -> tuple[str, ...]:
        """Return the entity types of the labelled data. Raises as `step_result`, and for damage as `read_json`."""
        types: tuple[str, ...] = self._result_value("data", "types", tuple[str, ...])
        return types

    def result_digest(self, step: str) -> str:
        """Return the digest of what a step made. Raises as `step_result`, and for damage as `read_json`."""
        digest: str = self._result_value(step, "digest", str)
        return digest

    def _result_value(self, step: str, key: str, hint: Any) -> Any:  # noqa: ANN401 - of the type `hint`
        result = self.step_result(step)
        try:
            return value_from_json(hint, result, key)
        except RecordError as error:
            raise damaged_record_error(self._manifest_path(step), f"result.{error}", START_OVER) from None

    def digest_step_manifest(self, step: str) -> str:
        """Return a digest of the inputs and the result of a step that is done.

        Raises ConfigError if the step is not done.
        """
        self.step_result(step)
        return file_sha256(self._manifest_path(step))

    def has_step(self, step: str) -> bool:
        """Return whether a step is done, whatever its inputs were."""
        return self._manifest_path(step).exists()

    def forget_step(self, step: str) -> None:
        """Remove the manifest of a step, so that the step counts as not done. Its files stay."""
        remove_file(self._manifest_path(step))

    def remove_resume_files(self, prefix: str) -> None:
        """Remove what only an interrupted step needs to resume: the folders in `train` whose names begin with `prefix`.

        Call this when the step is done. The `status.json` of a training stays. Folders that cannot be removed now are
        left for the next call.
        """
        for name, is_folder in list_folder(self.path("train")):
            if not is_folder or not name.startswith(prefix):
                continue
            try:
                _empty_but_for_status(self.path("train", name))
            except OSError as error:  # such as a link, or a file that is still open on a network file system
                log.debug("%s: %s", self.path("train", name), error)

    def copy_step_manifest(self, step: str, source_run: "Run") -> None:
        """Mark a step as done by copying its manifest from another run. The caller must copy the step's files first."""
        write_checked_json(self._manifest_path(step), read_checked_json(source_run._manifest_path(step)))

    def is_done_with_same_inputs(self, step: str, inputs: Mapping[str, Any]) -> bool:
        """Return whether a step was done from these inputs.

        Raises ConfigError, listing the differences, if it was done from other inputs.
        """
        manifest = self._read_manifest(step)
        if manifest is None:
            return False
        differences = manifest.describe_differences(inputs)
        if differences:
            raise ConfigError(
                f"{self.root}: {step} was made from other inputs ({differences}): "
                "take another run folder, or start over beside it with --fresh"
            )
        return True

    def is_done_with_other_inputs(self, step: str, inputs: Mapping[str, Any]) -> bool:
        """Return whether a step was done, but not from these inputs. Raises as `step_result` for damage."""
        return bool(self.describe_other_inputs(step, inputs))

    def describe_other_inputs(self, step: str, inputs: Mapping[str, Any]) -> str:
        """List these inputs that differ from those from which a step was done; empty if none differ, or it is not done.

        Raises as `step_result` for damage.
        """
        manifest = self._read_manifest(step)
        return "" if manifest is None else manifest.describe_differences(inputs)

    def run_step(self, name: str, inputs: Mapping[str, Any], compute: Callable[[], StepResult]) -> StepResult:
        """Run `compute` unless the step is done from the same inputs, and return the step's result.

        Raises ConfigError if the step was done from other inputs.
        """
        if not self.is_done_with_same_inputs(name, inputs):
            start = time.monotonic()  # a step of the clock must not make it negative
            result = compute()
            manifest = StepManifest(inputs, {**result, "seconds": round(time.monotonic() - start, 2)})
            write_checked_json(self._manifest_path(name), manifest.to_json())
        return self.step_result(name)

    def _manifest_path(self, step: str) -> StoragePath:
        return self.path("steps", f"{step}.json")

    def _read_manifest(self, step: str) -> StepManifest | None:
        path = self._manifest_path(step)
        try:
            return StepManifest.from_json(read_checked_json(path), str(path))
        except FileNotFoundError:
            return None
