"""Engines that train a model on one rank: DeepSpeed's, or torch's AdamW where DeepSpeed is not installed."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch

from gpu_check.check_setup import CheckSetup
from rayner.llm.sft import SftExample, SftLoss

_ZERO_STAGE = 2
_BUCKET_ELEMENTS = 50_000_000


class TrainEngine(Protocol):
    """Trains a model step by step. `name` says by what."""

    name: str

    def train_step(self, passes: Sequence[Sequence[SftExample]], n_positions: int) -> float:
        """Do one optimizer step.

        Args:
            passes: The examples of each forward pass.
            n_positions: The number of tokens that count in the loss, over all passes.

        Returns:
            The mean loss over these tokens.

        """


class PlainEngine:
    """Trains with torch's AdamW alone."""

    name = "torch's AdamW"

    def __init__(self, loss: SftLoss, lr: float) -> None:
        self.loss = loss
        self.optimizer = torch.optim.AdamW(_trained_parameters(loss), lr=lr, weight_decay=0.01)

    def train_step(self, passes: Sequence[Sequence[SftExample]], n_positions: int) -> float:
        """Do one optimizer step; see `TrainEngine`."""
        self.optimizer.zero_grad()
        total = 0.0
        for examples in passes:
            loss = self.loss(examples) / n_positions
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(_trained_parameters(self.loss), 1.0)
        self.optimizer.step()
        return total


class DeepSpeedEngine:
    """Trains with DeepSpeed's ZeRO-2."""

    name = f"DeepSpeed, ZeRO-{_ZERO_STAGE}"

    def __init__(self, loss: SftLoss, lr: float, device: torch.device) -> None:
        import deepspeed

        self.engine: Any
        self.engine, *_ = deepspeed.initialize(
            model=loss,
            optimizer=torch.optim.AdamW(_trained_parameters(loss), lr=lr, weight_decay=0.01),
            config=build_deepspeed_settings(device),
            dist_init_required=False,
        )

    def train_step(self, passes: Sequence[Sequence[SftExample]], n_positions: int) -> float:
        """Do one optimizer step; see `TrainEngine`."""
        total = 0.0
        for i, examples in enumerate(passes):
            self.engine.set_gradient_accumulation_boundary(i == len(passes) - 1)
            loss = self.engine(examples)
            self.engine.backward(loss / n_positions)
            total += float(loss.detach())
        self.engine.step()
        return total / n_positions


def build_deepspeed_settings(device: torch.device) -> dict[str, Any]:
    """Build the settings that `rayner.steps.training.deepspeed_engine` builds, whose import needs Ray."""
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 1.0,
        "zero_optimization": {
            "stage": _ZERO_STAGE,
            "overlap_comm": device.type != "cpu",
            "reduce_bucket_size": _BUCKET_ELEMENTS,
        },
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": True},
        "data_types": {"grad_accum_dtype": "fp32"},
        "steps_per_print": 2**31,
    }


@contextmanager
def open_engine(setup: CheckSetup, loss: SftLoss, lr: float) -> Iterator[TrainEngine]:
    """Yield an engine that trains the parameters of the loss that need gradients."""
    loss.train()
    if find_spec("deepspeed") is None:
        yield PlainEngine(loss, lr)
        return
    os.environ["LOCAL_RANK"] = "0"  # DeepSpeed reads it, although the process group exists
    if setup.device.type == "cpu":
        _use_gloo_for_deepspeed()
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group(
            "nccl" if setup.device.type == "cuda" else "gloo",
            init_method=f"file://{Path(folder) / 'rendezvous'}",
            rank=0,
            world_size=1,
        )
        try:
            yield DeepSpeedEngine(loss, lr, setup.device)
        finally:
            torch.distributed.destroy_process_group()


def _use_gloo_for_deepspeed() -> None:
    """Do as `rayner.cluster.compat` does, which needs Ray: keep DeepSpeed from compiling its own collectives."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _trained_parameters(loss: SftLoss) -> list[torch.nn.Parameter]:
    return [parameter for parameter in loss.parameters() if parameter.requires_grad]
