"""Run a training on Ray Train workers, keep its checkpoints in the run folder, and resume from them after a fault."""

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

from rayner.cluster.compat import (
    CHECKPOINT_PREFIX,
    SNAPSHOT,
    WORKER_START_ERRORS,
    checkpoint_names,
    describe_worker_failure,
)
from rayner.cluster.network import RayNodeTorchConfig
from rayner.config.model_settings import WorkersConfig
from rayner.errors import ConfigError
from rayner.modeling.devices import resolve_device, set_torch_threads
from rayner.runs.job_log import start_logging
from rayner.runs.progress import Progress, ignore_progress, log, progress_file_writer, watch_progress_file
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import STATUS_FILE
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, remove_file, remove_folder

SNAPSHOT_COPY = "checkpoint_manager_snapshot.copy.json"
STATUS_PATH = "status_path"  # key in a worker's settings: the file that it writes its progress into
MAX_START_ATTEMPTS = 10  # attempts of a minute to start the workers: a cluster may have to get machines first


def run_training(
    train_loop: Callable[[dict[str, Any]], None],
    settings: dict[str, Any],
    run: Run,
    name: str,
    workers: WorkersConfig,
    best_metric: str | None = None,
) -> Result:
    """Run `train_loop` on each worker; under the same name, resume from the last checkpoint.

    The first worker writes its progress beside the checkpoints, and this process shows it.
    settings: passed to `train_loop`, with STATUS_PATH added.
    name: of the training, such as `llm`, and after a hyphen the digest of what it depends on.
    best_metric: keep the checkpoint with its highest value, beside the last checkpoint.
    Raises ConfigError if the workers do not start, ray.train.WorkerGroupError if they fail too often.
    """
    folder = run.path("train", name)
    repair_training_checkpoints(folder)
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={**settings, STATUS_PATH: folder / STATUS_FILE},
        torch_config=RayNodeTorchConfig(),
        scaling_config=scaling_config(workers),
        run_config=RunConfig(
            name=name,
            **ray_storage_settings(run.path("train")),
            failure_config=FailureConfig(
                max_failures=workers.max_failures,
                controller_failure_limit=MAX_START_ATTEMPTS,  # type: ignore[call-arg] # typed as in Ray's older API
            ),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute=best_metric, checkpoint_score_order="max"
            ),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[SnapshotCopier(folder)],  # type: ignore[list-item] # likewise
        ),
    )
    try:
        with watch_progress_file(folder / STATUS_FILE):
            return trainer.fit()
    except ControllerError as error:
        if isinstance(error.controller_failure, WORKER_START_ERRORS):
            raise _workers_not_started_error(name, workers, error.controller_failure) from error
        raise


def ray_storage_settings(folder: StoragePath) -> dict[str, Any]:
    """Build Ray's settings for storage in a folder, which may be a URL."""
    if isinstance(folder, Path):
        return {"storage_path": str(folder.absolute())}
    return {"storage_path": folder.path, "storage_filesystem": PyFileSystem(FSSpecHandler(folder.fs))}


def share_checkpoint(run: Run, model: Path) -> str:
    """Make a checkpoint that this node has written readable for all nodes; return its place.

    A local run folder is shared storage already. In a run at a URL the checkpoint is copied there.
    """
    if isinstance(run.root, Path):
        return str(model)
    place = run.path("scratch", model.name)
    with replace_folder(place) as folder:
        shutil.copytree(model, folder, dirs_exist_ok=True)
    return str(place)


def scaling_config(workers: WorkersConfig) -> ScalingConfig:
    """Convert the workers' settings to Ray's."""
    return ScalingConfig(
        num_workers=workers.count,
        use_gpu=workers.gpus > 0,
        resources_per_worker={"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})},
    )


def training_step_progress(
    loop_settings: dict[str, Any], label: str, total: int, done_before: int, rank: int
) -> Progress:
    """Count the steps of a training. Only the first worker (rank 0) writes the count, into the file at STATUS_PATH."""
    write = ignore_progress if rank else progress_file_writer(loop_settings[STATUS_PATH])
    return Progress(label, total, "steps", write, done_before)


def set_up_this_worker(workers: WorkersConfig) -> tuple[int, int]:
    """Set logging and torch threads of this training worker; return its rank and the number of workers."""
    start_logging()
    set_torch_threads(workers.cpus)
    context = ray.train.get_context()
    return context.get_world_rank(), context.get_world_size()


def select_worker_device(name: str) -> torch.device:
    """Return the device of a training worker and make it torch's current one; each worker has a GPU of its own."""
    device = resolve_device(name)
    if device.type == "cuda":
        device = get_device()  # the workers of a machine see all of its GPUs
        torch.cuda.set_device(device)
    return device


def broadcast_checkpoint_due(last_saved: float, minutes_between: float, device: torch.device) -> bool:
    """Decide whether to save a checkpoint now, by the first worker's clock.

    Every worker must call this at the same step and gets the same answer, since a checkpoint needs all of them.
    last_saved: time.monotonic() of the last checkpoint. minutes: between two checkpoints, 0 for none.
    """
    if minutes_between <= 0:
        return False
    due = torch.tensor([time.monotonic() - last_saved >= minutes_between * 60], dtype=torch.int32, device=device)
    torch.distributed.broadcast(due, src=0)
    return bool(due)


class SnapshotCopier(UserCallback):
    """Ray Train callback, run beside Ray's controller: copies its snapshots and logs workers that failed."""

    def __init__(self, folder: StoragePath) -> None:
        self.folder = folder

    def after_report(
        self,
        run_context: Any,  # noqa: ANN401 - Ray's, not used
        metrics: list[dict[str, Any]],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Copy the snapshot. Ray calls this after it has written it."""
        if checkpoint is not None:
            _copy_file(self.folder / SNAPSHOT, self.folder / SNAPSHOT_COPY)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ANN401 - as above
        """Log which workers failed. Ray calls this before it starts them again."""
        start_logging()
        for rank, error in sorted(worker_exceptions.items()):
            log.warning("%s: worker %d failed: %s", self.folder.name, rank, describe_worker_failure(error))


def repair_training_checkpoints(folder: StoragePath) -> None:
    """Repair a training's folder after a job was killed at any moment, so that Ray can resume there or start over.

    Ray never accepts a snapshot that is incomplete, or that lists a checkpoint which does not exist. Such a snapshot
    is replaced by the copy of the one before it: Ray deletes nothing that the copy lists until the next snapshot is
    complete. Checkpoint folders that the snapshot does not list are incomplete, and are removed.
    """
    snapshot, copy = folder / SNAPSHOT, folder / SNAPSHOT_COPY
    fault = _snapshot_fault(snapshot)
    if fault is None:
        if snapshot.exists():
            _copy_file(snapshot, copy)  # the kill may have prevented the last copy
    elif copy.exists() and _snapshot_fault(copy) is None:
        log.warning("%s: %s; resumes from the copy of the one before", snapshot, fault)
        _copy_file(copy, snapshot)
    else:
        log.warning("%s: %s; training starts over", snapshot, fault)
        remove_file(snapshot)
    listed = checkpoint_names(snapshot.read_bytes()) if snapshot.exists() else set()
    for name, is_folder in list_folder(folder):
        if is_folder and name.startswith(CHECKPOINT_PREFIX) and name not in listed:
            remove_folder(folder / name)


def _copy_file(source: StoragePath, target: StoragePath) -> None:
    with atomic_writer(target) as stream:
        stream.write(source.read_bytes())


def _snapshot_fault(snapshot: StoragePath) -> str | None:
    """Say why Ray cannot resume from a snapshot. None if it can, or if there is no snapshot."""
    try:
        listed = checkpoint_names(snapshot.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return "expected Ray's list of checkpoints, found a part of it"
    present = {entry.name for entry in list_folder(snapshot.parent)}
    return next((f"lists {name}, which does not exist" for name in sorted(listed - present)), None)


def _workers_not_started_error(name: str, workers: WorkersConfig, error: Exception) -> ConfigError:
    free = ray.available_resources()
    return ConfigError(
        f"{name.partition('-')[0]}.workers: expected {workers.count} workers of {workers.cpus} CPUs and "
        f"{workers.gpus:g} GPUs each to start, found that they do not ({free.get('CPU', 0):g} CPUs and "
        f"{free.get('GPU', 0):g} GPUs are free): {' '.join(str(error).partition('Potential causes')[0].split())}; "
        "wait for other jobs, or configure fewer or smaller workers"
    )
