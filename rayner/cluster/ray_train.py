"""What both trainings share: Ray Train's workers, where their checkpoints lie, and going on from them after a fault."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    LoggingConfig,
    Result,
    RunConfig,
    ScalingConfig,
    UserCallback,
)
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

from rayner.cluster.network import RayNodeTorchConfig
from rayner.cluster.session import start_logging
from rayner.config.settings import WorkersConfig
from rayner.errors import ConfigError
from rayner.modeling.devices import resolve_device, set_torch_threads
from rayner.runs.progress import Progress, ignore_progress, log, mirror_progress_file, progress_file_writer
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import STATUS_FILE
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, remove_file, remove_folder

SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray's list of a training's checkpoints, which it overwrites in place
SNAPSHOT_COPY = "checkpoint_manager_snapshot.copy.json"
STATUS_PATH = "told"  # where workers find, in their settings, the file into which they tell how far they are
_CHECKPOINT = "checkpoint_"  # how Ray begins the names of their folders
MAX_START_ATTEMPTS = 10  # further minutes that Ray waits for the workers: a cluster may have to get machines first


def run_training(
    train_loop: Callable[[dict[str, Any]], None],
    settings: dict[str, Any],
    run: Run,
    name: str,
    workers: WorkersConfig,
    best_metric: str | None = None,
) -> Result:
    """Run a training on its workers; under the same name it goes on from its last checkpoint, whatever cut it off.

    How far it is, its first worker writes beside the checkpoints, and this process tells it.
    name: what trains, such as `llm`, and what it depends on, after a hyphen.
    best: the metric whose highest value marks a checkpoint to keep, next to the last one.
    Raises ConfigError if the workers do not start, ray.train.WorkerGroupError if they fail too often.
    """
    folder = run.path("train", name)
    repair_snapshot(folder)
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={**settings, STATUS_PATH: folder / STATUS_FILE},
        torch_config=RayNodeTorchConfig(),
        scaling_config=scaling_config(workers),
        run_config=RunConfig(
            name=name,
            **storage_settings(run.path("train")),
            failure_config=FailureConfig(
                max_failures=workers.max_failures,
                controller_failure_limit=MAX_START_ATTEMPTS,  # type: ignore[call-arg] # typed as that of Ray's older API
            ),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute=best_metric, checkpoint_score_order="max"
            ),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[SnapshotCopier(folder)],  # type: ignore[list-item] # likewise
        ),
    )
    try:
        with mirror_progress_file(folder / STATUS_FILE):
            return trainer.fit()
    except ControllerError as error:
        if isinstance(error.controller_failure, WorkerGroupStartupFailedError | WorkerGroupStartupTimeoutError):
            raise _start_error(name, workers, error.controller_failure) from error
        raise


def storage_settings(folder: StoragePath) -> dict[str, Any]:
    """Ray's form of a folder, at a URL too."""
    if isinstance(folder, Path):
        return {"storage_path": str(folder.absolute())}
    return {"storage_path": folder.path, "storage_filesystem": PyFileSystem(FSSpecHandler(folder.fs))}


def share_checkpoint(run: Run, model: Path) -> str:
    """The name by which all nodes find a checkpoint that this one has written: in a run at a URL, that of a copy."""
    if isinstance(run.root, Path):
        return str(model)
    place = run.path("scratch", model.name)
    with replace_folder(place) as folder:
        shutil.copytree(model, folder, dirs_exist_ok=True)
    return str(place)


def scaling_config(workers: WorkersConfig) -> ScalingConfig:
    """Ray's form of the workers' settings."""
    return ScalingConfig(
        num_workers=workers.count,
        use_gpu=workers.gpus > 0,
        resources_per_worker={"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})},
    )


def step_progress(settings: dict[str, Any], label: str, total: int, done_before: int, rank: int) -> Progress:
    """How many steps of a training are done; the first worker tells it."""
    return Progress(
        label, total, "steps", ignore_progress if rank else progress_file_writer(settings[STATUS_PATH]), done_before
    )


def start_worker(workers: WorkersConfig) -> tuple[int, int]:
    """Set logging and torch threads of this training worker; return its rank and the number of workers."""
    start_logging()
    set_torch_threads(workers.cpus)
    context = ray.train.get_context()
    return context.get_world_rank(), context.get_world_size()


def select_worker_device(name: str) -> torch.device:
    """The configured device of a training worker: of several GPUs in a machine, its own."""
    device = resolve_device(name)
    if device.type == "cuda":
        device = get_device()  # the workers of a machine see all of its GPUs
        torch.cuda.set_device(device)
    return device


def checkpoint_due(last_saved: float, minutes: float, device: torch.device) -> bool:
    """Whether it is time for a checkpoint by the first worker's clock: all must agree, as it takes all to make one.

    saved: when the last one was made, by time.monotonic(); minutes: between two, 0 for none.
    """
    if minutes <= 0:
        return False
    late = torch.tensor([time.monotonic() - last_saved >= minutes * 60], dtype=torch.int32, device=device)
    torch.distributed.broadcast(late, src=0)
    return bool(late)


class SnapshotCopier(UserCallback):
    """Sees, beside Ray's controller, what becomes of a training: copies its snapshots whole, tells of its faults."""

    def __init__(self, folder: StoragePath) -> None:
        self.folder = folder

    def after_report(
        self,
        run_context: Any,  # noqa: ANN401 - Ray's, not used
        metrics: list[dict[str, Any]],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Called when Ray has written its snapshot."""
        if checkpoint is not None:
            _copy_file(self.folder / SNAPSHOT, self.folder / SNAPSHOT_COPY)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ANN401 - as above
        """Called when workers have failed, before Ray starts them again."""
        start_logging()
        for rank, error in sorted(worker_exceptions.items()):
            reason = str(getattr(error, "health_check_failure", error)).strip().partition("\n")[0]
            log.warning("%s: worker %d failed: %s", self.folder.name, rank, reason)


def repair_snapshot(folder: StoragePath) -> None:
    """Make a training's folder one that Ray can go on from, or start anew in, after a job was killed at any moment.

    Ray refuses for ever a snapshot that a kill cut off, or one that names a checkpoint that is gone. The copy of the
    one before takes the place of one cut off: until the next one is whole, Ray deletes nothing that the copy names.
    Checkpoints that neither names were cut off while they were written, and are taken away.
    """
    snapshot, copy = folder / SNAPSHOT, folder / SNAPSHOT_COPY
    fault = _snapshot_fault(snapshot)
    if fault is None:
        if snapshot.exists():
            _copy_file(snapshot, copy)  # the last one may be missing
    elif copy.exists() and _snapshot_fault(copy) is None:
        log.warning("%s: %s; goes on from the copy of the one before", snapshot, fault)
        _copy_file(copy, snapshot)
    else:
        log.warning("%s: %s; training starts over", snapshot, fault)
        remove_file(snapshot)
    named = _checkpoint_names(snapshot) if snapshot.exists() else set()
    for name, is_folder in list_folder(folder):
        if is_folder and name.startswith(_CHECKPOINT) and name not in named:
            remove_folder(folder / name)


def _copy_file(source: StoragePath, target: StoragePath) -> None:
    with atomic_writer(target) as stream:
        stream.write(source.read_bytes())


def _snapshot_fault(snapshot: StoragePath) -> str | None:
    """What keeps Ray from going on from a snapshot; none if it is good, or there is none."""
    try:
        names = _checkpoint_names(snapshot)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return "expected Ray's list of checkpoints, found a part of it"
    present = {entry.name for entry in list_folder(snapshot.parent)}
    return next((f"names {name}, which is not there" for name in sorted(names - present)), None)


def _checkpoint_names(snapshot: StoragePath) -> set[str]:
    """The folders of the checkpoints that a snapshot lists."""
    return {result["checkpoint_dir_name"] for result in json.loads(snapshot.read_bytes())["checkpoint_results"]}


def _start_error(name: str, workers: WorkersConfig, error: Exception) -> ConfigError:
    free = ray.available_resources()
    return ConfigError(
        f"{name.partition('-')[0]}.workers: expected {workers.count} workers of {workers.cpus} CPUs and "
        f"{workers.gpus:g} GPUs each to start, found that they do not ({free.get('CPU', 0):g} CPUs and "
        f"{free.get('GPU', 0):g} GPUs are free): {' '.join(str(error).partition('Potential causes')[0].split())}"
    )
