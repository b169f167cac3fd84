"""The state of an LLM's training, in files that do not depend on the number of workers or the ZeRO stage.

ZeRO divides the float32 weights and the optimizer's moments among the workers. DeepSpeed's own checkpoints keep this
division, so only as many workers as before can read them. Here the first worker writes every parameter whole, and each
worker reads its part. The files are safetensors: nothing is unpickled.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from rayner.cluster.compat import OptimizerStateSlice, find_optimizer_state_slice, is_sharded_parameter

STATE_FORMAT = 2  # 1 was DeepSpeed's own checkpoint
_MOMENTS = ("exp_avg", "exp_avg_sq")
_FILE_BYTES = 2**30


def write_training_state(engine: Any, model: torch.nn.Module, folder: Path) -> None:  # noqa: ANN401 - DeepSpeed's engine
    """Write the float32 weights and the optimizer's moments of all trained parameters into a folder.

    Every worker must call this. The first worker (rank 0) collects one parameter at a time and writes the files.
    """
    is_writer = torch.distributed.get_rank() == 0
    tensors: dict[str, torch.Tensor] = {}
    n_files = 0
    for name, parameter in _iter_trained_parameters(model):
        state = _collect_whole_state(engine, parameter)
        if is_writer:
            tensors[name] = state.cpu()
        if sum(tensor.nbytes for tensor in tensors.values()) >= _FILE_BYTES:
            save_file(tensors, folder / f"state-{n_files:05d}.safetensors")
            tensors, n_files = {}, n_files + 1
    if tensors:
        save_file(tensors, folder / f"state-{n_files:05d}.safetensors")


def load_training_state(engine: Any, model: torch.nn.Module, folder: Path, n_steps: int) -> None:  # noqa: ANN401 - as above
    """Load this worker's part of the state that `write_training_state` wrote, for any number of workers.

    Args:
        engine: The DeepSpeed engine, newly built.
        model: The model in it.
        folder: The folder of the files.
        n_steps: The number of optimizer steps that led to the state.

    """
    parameters = dict(_iter_trained_parameters(model))
    for path in sorted(folder.glob("state-*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dictionary
                _load_parameter_state(engine, parameters.pop(name), file.get_tensor(name), n_steps)
    if parameters:
        raise RuntimeError(f"{folder}: expected the state of all trained parameters, found none of {min(parameters)}")


def _iter_trained_parameters(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def _list_own_parts(engine: Any, state_slice: OptimizerStateSlice, n_steps: int = 0) -> list[torch.Tensor]:  # noqa: ANN401 - as above
    """Return this worker's part of a parameter's float32 weights and of its AdamW moments, as views.

    n_steps: the number of optimizer steps so far, for a state that does not exist yet. It is created with zeros.
    """
    state: dict[str, torch.Tensor] = engine.optimizer.optimizer.state[state_slice.partition]
    if not state:
        state["step"] = torch.tensor(float(n_steps))
        state |= {key: torch.zeros_like(state_slice.partition) for key in _MOMENTS}
    flat_tensors = (state_slice.partition, *(state[key] for key in _MOMENTS))
    return [flat.data.narrow(0, state_slice.partition_start, state_slice.length) for flat in flat_tensors]


def _collect_whole_state(engine: Any, parameter: Any) -> torch.Tensor:  # noqa: ANN401 - as above
    """Return weights and moments of a parameter on the first worker, shape [3, *shape of the parameter].

    On the other workers the result is incomplete.
    """
    shape = parameter.ds_shape if is_sharded_parameter(parameter) else parameter.shape
    whole = torch.zeros(1 + len(_MOMENTS), shape.numel(), device=parameter.device)
    state_slice = find_optimizer_state_slice(engine, parameter)
    if state_slice is not None:
        for row, part in zip(whole, _list_own_parts(engine, state_slice), strict=True):
            row.narrow(0, state_slice.start, state_slice.length).copy_(part)
    # No two workers hold the same element. As integers, the bits of one worker plus zeros are exactly its bits.
    torch.distributed.reduce(whole.view(torch.int32), dst=0)
    return whole.reshape(1 + len(_MOMENTS), *shape)


def _load_parameter_state(engine: Any, parameter: Any, whole: torch.Tensor, n_steps: int) -> None:  # noqa: ANN401 - as above
    """Copy this worker's part of weights and moments into the optimizer, and the weights into the model."""
    state_slice = find_optimizer_state_slice(engine, parameter)
    rows = whole.flatten(1)
    if state_slice is not None:
        for row, part in zip(rows, _list_own_parts(engine, state_slice, n_steps), strict=True):
            part.copy_(row.narrow(0, state_slice.start, state_slice.length))
    if not is_sharded_parameter(parameter):
        parameter.data.copy_(whole[0])
    elif state_slice is not None:
        parameter.ds_tensor.data.narrow(0, 0, state_slice.length).copy_(
            rows[0].narrow(0, state_slice.start, state_slice.length)
        )
