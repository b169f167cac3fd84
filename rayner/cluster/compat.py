"""The only file that uses private names of Ray and DeepSpeed. Other versions may have moved or changed these names.

`tests/cluster/test_compat.py` fails if the installed version of Ray is not TESTED_RAY.
"""

import json

from ray.train.torch.config import _TorchBackend
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

TESTED_RAY = "2.60.0"

RayTorchBackend = _TorchBackend
WORKER_START_ERRORS = (WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError)

SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray's list of a training's checkpoints; Ray overwrites it in place
CHECKPOINT_PREFIX = "checkpoint_"  # the prefix of the names that Ray gives to checkpoint folders


def checkpoint_names(snapshot: bytes) -> set[str]:
    """Return the names of the checkpoint folders that a snapshot lists.

    snapshot: the bytes of Ray's list of checkpoints (the file SNAPSHOT).
    Raises ValueError, KeyError or TypeError if the snapshot is incomplete.
    """
    return {result["checkpoint_dir_name"] for result in json.loads(snapshot)["checkpoint_results"]}


def describe_worker_failure(error: Exception) -> str:
    """Return the first line of the reason why a training worker failed, without Ray's report around it."""
    return str(getattr(error, "health_check_failure", error)).strip().partition("\n")[0]


def use_gloo_for_deepspeed_on_cpu() -> None:
    """Make DeepSpeed use Gloo on the CPU.

    Otherwise DeepSpeed would compile its shared-memory collectives, which needs g++ and ninja.
    """
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
