"""The one file that uses private names of Ray and DeepSpeed. Another version may have moved or changed each of them.

`tests/cluster/test_compat.py` fails for a version of Ray that they were not tested with.
"""

import json

from ray.train.torch.config import _TorchBackend
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

TESTED_RAY = "2.60.0"

RayTorchBackend = _TorchBackend
WORKER_START_ERRORS = (WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError)

SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray's list of a training's checkpoints, overwritten in place
CHECKPOINT_PREFIX = "checkpoint_"  # how Ray begins the names of checkpoint folders


def checkpoint_names(snapshot: bytes) -> set[str]:
    """Return the names of the checkpoint folders that a snapshot lists.

    Raises ValueError, KeyError or TypeError for a snapshot that was cut off.
    """
    return {result["checkpoint_dir_name"] for result in json.loads(snapshot)["checkpoint_results"]}


def describe_worker_failure(error: Exception) -> str:
    """Return the first line of why a training worker failed, without Ray's report around it."""
    return str(getattr(error, "health_check_failure", error)).strip().partition("\n")[0]


def use_gloo_for_deepspeed_on_cpu() -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives, which needs g++ and ninja. Gloo needs neither."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
