"""Ray Train's snapshots, its lists of checkpoints: keep a copy of each, and repair them after a job was killed."""

from typing import Any

from ray.train import Checkpoint, UserCallback

from rayner.cluster.compat import CHECKPOINT_PREFIX, SNAPSHOT, checkpoint_names, describe_worker_failure
from rayner.runs.job_log import start_logging
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath, atomic_writer, list_folder, remove_file, remove_folder

SNAPSHOT_COPY = "checkpoint_manager_snapshot.copy.json"


class TrainingSnapshotCopier(UserCallback):
    """Callback of Ray Train that copies Ray's snapshots (lists of checkpoints) and logs failed workers.

    It runs in the process of Ray's controller.
    """

    def __init__(self, folder: StoragePath) -> None:
        self.folder = folder

    def after_report(
        self,
        run_context: Any,  # noqa: ANN401 - Ray's, not used
        metrics: list[dict[str, Any]],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Copy the snapshot. Ray calls this after it has written the snapshot."""
        if checkpoint is not None:
            _copy_file(self.folder / SNAPSHOT, self.folder / SNAPSHOT_COPY)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ANN401 - as above
        """Log which workers failed. Ray calls this before it restarts the workers."""
        start_logging()
        for rank, error in sorted(worker_exceptions.items()):
            log.warning("%s: worker %d failed: %s", self.folder.name, rank, describe_worker_failure(error))


def repair_training_checkpoints(folder: StoragePath) -> None:
    """Repair the folder of a training after its job was killed, so that Ray can resume there or start over.

    Ray does not accept a snapshot (its list of checkpoints) that is incomplete or lists a missing checkpoint. Such a
    snapshot is replaced by a copy of the previous snapshot. The checkpoints in that copy still exist, because Ray
    deletes them only after the next snapshot is complete. Without a valid copy, the training starts over.

    Checkpoint folders that the snapshot does not list are incomplete and are removed.
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
    """Return the reason why Ray cannot resume from a snapshot.

    Returns None if Ray can resume, or if there is no snapshot.
    """
    try:
        listed = checkpoint_names(snapshot.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return "expected Ray's list of checkpoints, found a part of it"
    present = {entry.name for entry in list_folder(snapshot.parent)}
    return next((f"lists {name}, which does not exist" for name in sorted(listed - present)), None)
