"""Run a training on Ray Train workers, keep checkpoints in the run folder, and resume from them after a failure."""

import math
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train import (
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    LoggingConfig,
    Result,
    RunConfig,
    ScalingConfig,
)
from ray.train.torch import get_device

from rayner.cluster.compat import WORKER_START_ERRORS, TrainerWithFewProcesses
from rayner.cluster.network import RayNodeTorchConfig
from rayner.cluster.storage_settings import ray_storage_settings
from rayner.cluster.training_snapshots import TrainingSnapshotCopier, repair_training_checkpoints
from rayner.config.model_settings import WorkersConfig
from rayner.errors import ConfigError, NotFiniteError
from rayner.modeling.devices import resolve_device, set_torch_threads
from rayner.runs.job_log import start_logging
from rayner.runs.progress import Progress, ignore_progress, progress_file_writer, watch_progress_file
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import STATUS_FILE

STATUS_PATH = "status_path"  # key in the settings of a training loop: the path of the file for its progress
MAX_START_ATTEMPTS = 10  # attempts to start the workers, a minute each; a cluster may need time to add machines


def run_training(
    train_loop: Callable[[dict[str, Any]], None],
    settings: dict[str, Any],
    run: Run,
    name: str,
    workers: WorkersConfig,
    best_metric: str | None = None,
) -> Result:
    """Run `train_loop` on every worker, and resume from the last checkpoint if this training was interrupted.

    The first worker writes its progress into a file beside the checkpoints. This process shows that progress.

    train_loop: the function that every worker calls with `settings`.
    settings: the argument of `train_loop`; STATUS_PATH is added to it.
    run: the run folder; the training has the folder `train/NAME` in it.
    name: the model, such as `llm`, a hyphen, and a digest of the inputs. A training of the same name is resumed.
    workers: the number of workers, and the CPUs and GPUs of each.
    best_metric: the metric whose best (highest) checkpoint is kept in addition to the last checkpoint.
    Raises ConfigError if the workers do not start, NotFiniteError if the training diverges, and
    ray.train.WorkerGroupError if the workers fail too often.
    """
    folder = run.path("train", name)
    repair_training_checkpoints(folder)
    trainer = TrainerWithFewProcesses(
        partial(_train_and_return_divergence, train_loop),  # type: ignore[arg-type] # typed as in Ray's older API
        train_loop_config={**settings, STATUS_PATH: folder / STATUS_FILE},
        torch_config=RayNodeTorchConfig(),
        scaling_config=scaling_config(workers),
        run_config=RunConfig(
            name=name,
            **ray_storage_settings(run.path("train")),
            failure_config=FailureConfig(
                max_failures=workers.max_failures,
                controller_failure_limit=MAX_START_ATTEMPTS,  # type: ignore[call-arg] # likewise
            ),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute=best_metric, checkpoint_score_order="max"
            ),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[TrainingSnapshotCopier(folder)],  # type: ignore[list-item] # likewise
        ),
    )
    try:
        with watch_progress_file(folder / STATUS_FILE):
            result = trainer.fit()
    except ControllerError as error:
        if isinstance(error.controller_failure, WORKER_START_ERRORS):
            raise _workers_not_started_error(name, workers, error.controller_failure) from error
        raise
    divergence: str | None = result.return_value  # type: ignore[attr-defined] # likewise
    if divergence is not None:
        raise NotFiniteError(divergence)
    return result


def _train_and_return_divergence(train_loop: Callable[[dict[str, Any]], None], settings: dict[str, Any]) -> str | None:
    """Call a training loop; return the message if numbers are not finite.

    Ray would restart the workers after an exception, and the training would diverge again.
    """
    try:
        train_loop(settings)
    except NotFiniteError as error:
        return str(error)
    return None


def share_checkpoint(run: Run, model: Path) -> str:
    """Make a checkpoint of this node readable for all nodes, and return the path or URL that they can read.

    A local run folder is already on shared storage. If the run folder is at a URL, the checkpoint is copied into it.
    """
    if isinstance(run.root, Path):
        return str(model)
    place = run.path("scratch", model.name)
    with replace_folder(place) as folder:
        shutil.copytree(model, folder, dirs_exist_ok=True)
    return str(place)


def scaling_config(workers: WorkersConfig) -> ScalingConfig:
    """Convert the settings of workers to a ScalingConfig of Ray."""
    return ScalingConfig(
        num_workers=workers.count,
        use_gpu=workers.gpus > 0,
        resources_per_worker={"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})},
    )


def training_step_progress(
    loop_settings: dict[str, Any], label: str, total: int, done_before: int, rank: int, unit: str = "steps"
) -> Progress:
    """Return the progress counter of a training worker.

    Only the first worker (rank 0) writes its count, into the file that the settings name under STATUS_PATH.

    loop_settings: the argument of the training loop.
    label: the name of the task.
    total: the number of training steps.
    done_before: the number of training steps that were done before the training was resumed.
    rank: the rank of this worker.
    unit: what is counted, if not steps.
    """
    write = ignore_progress if rank else progress_file_writer(loop_settings[STATUS_PATH])
    return Progress(label, total, unit, write, done_before)


def set_up_this_worker(workers: WorkersConfig) -> tuple[int, int]:
    """Set up logging and torch threads in this training worker, and return its rank and the number of workers."""
    start_logging()
    set_torch_threads(workers.cpus)
    context = ray.train.get_context()
    return context.get_world_rank(), context.get_world_size()


def select_worker_device(name: str, gpus: float) -> torch.device:
    """Return the device of this training worker and make it torch's current device.

    With GPUs, every worker uses its own GPU.

    name: the value of the setting `device`.
    gpus: the number of GPUs of each worker.
    """
    device = resolve_device(name, gpus)
    if device.type == "cuda":
        device = get_device()  # the workers of a machine see all of its GPUs
        torch.cuda.set_device(device)
    return device


def require_convergence(loss: float, where: str, lr_setting_key: str, device: torch.device) -> None:
    """Raise NotFiniteError in all workers if the loss of any worker is not finite.

    Every worker must call this at the same step, so that all of them stop there and none waits for the others.

    loss: the loss of this worker; NaN for weights that are not finite.
    where: the training and the step, for the message.
    lr_setting_key: the setting of the learning rate, for the message.
    device: the device for the exchange.
    """
    diverged = torch.tensor([not math.isfinite(loss)], dtype=torch.int32, device=device)
    torch.distributed.all_reduce(diverged, op=torch.distributed.ReduceOp.MAX)
    if diverged:
        raise NotFiniteError(
            f"{where}: expected a finite loss and finite weights, found NaN or infinity: the training diverges; "
            f"lower {lr_setting_key} (a model in bfloat16 may need float32)"
        )


def broadcast_minutes_passed(since: float, minutes: float, device: torch.device) -> bool:
    """Return whether some minutes have passed, such as those between two checkpoints, by the clock of the first worker.

    Every worker must call this at the same step, so that all get the same answer.

    since: time.monotonic() from which the minutes count.
    minutes: the minutes; with 0 the answer is always no.
    device: the device for the broadcast.
    """
    if minutes <= 0:
        return False
    have_passed = torch.tensor([time.monotonic() - since >= minutes * 60], dtype=torch.int32, device=device)
    torch.distributed.broadcast(have_passed, src=0)
    return bool(have_passed)


def _workers_not_started_error(name: str, workers: WorkersConfig, error: Exception) -> ConfigError:
    free = ray.available_resources()
    return ConfigError(
        f"{name.partition('-')[0]}.workers: expected {workers.count} workers of {workers.cpus} CPUs and "
        f"{workers.gpus:g} GPUs each to start, found that they do not ({free.get('CPU', 0):g} CPUs and "
        f"{free.get('GPU', 0):g} GPUs are free): {' '.join(str(error).partition('Potential causes')[0].split())}; "
        "wait for other jobs, or configure fewer or smaller workers"
    )
