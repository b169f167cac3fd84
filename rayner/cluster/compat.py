"""The only file that uses private names of Ray and DeepSpeed. Other versions may have moved or changed these names.

`tests/cluster/test_compat.py` fails if the installed version of Ray is not TESTED_RAY.
"""

import json
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.train.torch import TorchTrainer
from ray.train.torch.config import _TorchBackend
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

TESTED_RAY = "2.60.0"

RayTorchBackend = _TorchBackend
WORKER_START_ERRORS = (WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError)

SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray's list of a training's checkpoints; Ray overwrites it in place
CHECKPOINT_PREFIX = "checkpoint_"  # the prefix of the names that Ray gives to checkpoint folders


class TrainerWithFewProcesses(TorchTrainer):
    """A TorchTrainer without the processes that Ray starts for each training and that do nothing here.

    No training reads a dataset of Ray Data. A Ray that this process started ends with it, so no process has to release
    its resources afterwards.
    """

    def _create_default_callbacks(self) -> list[Any]:
        idle = (DatasetsCallback, PlacementGroupCleanerCallback) if this_process_started_ray() else DatasetsCallback
        callbacks = super()._create_default_callbacks()  # type: ignore[misc] # typed as in Ray's older API
        return [callback for callback in callbacks if not isinstance(callback, idle)]

    def _register_sigint_handler(self, controller: Any) -> None:  # noqa: ANN401 - an actor
        """Leave Python's handler of Ctrl-C in place.

        Ray's handler would stay installed after the training, and the job would go on after Ctrl-C.
        """


def this_process_started_ray() -> bool:
    """Return whether this process started the Ray that it uses, and is not connected to an existing one."""
    node = ray._private.worker._global_node
    return node is not None and bool(node.is_head())


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


@dataclass(frozen=True)
class OptimizerStateSlice:
    """The part of one parameter's training state that this worker holds, in a flat tensor of DeepSpeed's.

    partition: the flat float32 tensor that holds parts of many parameters. It is the optimizer's parameter.
    partition_start: where the part begins in `partition`.
    start: where the part begins in the flattened parameter.
    length: the number of elements of the part.
    """

    partition: torch.Tensor
    partition_start: int
    start: int
    length: int


def find_optimizer_state_slice(engine: Any, parameter: torch.nn.Parameter) -> OptimizerStateSlice | None:  # noqa: ANN401 - DeepSpeed's engine
    """Return the part of a trained parameter's state that this worker holds under ZeRO; None if it holds none."""
    zero: Any = engine.optimizer
    sharded: Any = parameter
    if is_sharded_parameter(parameter):
        group, partition_start, size = zero.grad_position[zero.get_param_id(parameter)]
        start = size * torch.distributed.get_rank()
        length = min(size, sharded.ds_numel - start)  # the last worker's part is padded
        if length <= 0:
            return None
        return OptimizerStateSlice(zero.fp32_partitioned_groups_flat[group], partition_start, start, length)
    mapping = sharded._hp_mapping
    if mapping is None:
        return None
    (partition,) = zero.optimizer.param_groups[mapping.param_group_index]["params"]
    there, here = mapping.hp_fragment_address, mapping.lp_fragment_address
    return OptimizerStateSlice(partition, there.start, here.start, here.numel)


def is_sharded_parameter(parameter: torch.nn.Parameter) -> bool:
    """Return whether ZeRO-3 has divided a parameter among the workers."""
    return hasattr(parameter, "ds_id")
