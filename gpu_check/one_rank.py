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
from rayner.config.model_settings import LlmConfig
from rayner.llm.sft import SftExample, SftLoss
from rayner.modeling.deepspeed_settings import deepspeed_config


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
    """Trains with DeepSpeed, with the settings of a job's training."""

    def __init__(self, loss: SftLoss, lr: float, llm: LlmConfig, device: torch.device) -> None:
        import deepspeed

        self.name = f"DeepSpeed, ZeRO-{llm.zero_stage}"
        self.engine: Any
        self.engine, *_ = deepspeed.initialize(
            model=loss,
            optimizer=torch.optim.AdamW(_trained_parameters(loss), lr=lr, weight_decay=0.01),
            config=deepspeed_config(llm, device),
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
            yield DeepSpeedEngine(loss, lr, setup.config.llm, setup.device)
        finally:
            torch.distributed.destroy_process_group()


def _use_gloo_for_deepspeed() -> None:
    """Do as `rayner.cluster.compat` does, which needs Ray: keep DeepSpeed from compiling its own collectives."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _trained_parameters(loss: SftLoss) -> list[torch.nn.Parameter]:
    return [parameter for parameter in loss.parameters() if parameter.requires_grad]
