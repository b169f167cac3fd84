"""What every check gets: the device and the size."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from gpu_check.shapes import Size
from rayner.config.settings import Config

Result = TypeVar("Result")


@dataclass(frozen=True)
class CheckSetup:
    """The device and the size of the checks."""

    device: torch.device
    size: Size

    @property
    def config(self) -> Config:
        """The settings of `jobs/conf/paper.yaml` that count for memory. A process has a GPU if there is one."""
        gpus = 1.0 if self.device.type == "cuda" else 0.0
        default = Config()
        return replace(
            default,
            device=self.device.type,
            slm=replace(default.slm, workers=replace(default.slm.workers, gpus=gpus)),
            llm=replace(
                default.llm,
                dtype="bfloat16",
                loss_over="all",
                softmax_over="all",
                gradient_checkpointing=True,
                micro_batch_tokens=self.size.micro_batch_tokens,
                workers=replace(default.llm.workers, gpus=gpus),
            ),
            score=replace(
                default.score,
                gpus=gpus,
                llm=replace(default.score.llm, batch_size=self.size.llm_batch, batch_tokens=self.size.batch_tokens),
            ),
        )

    def measure_seconds(self, work: Callable[[], Result]) -> tuple[float, Result]:
        """Return the seconds that the work takes on the device, and its result."""
        self.synchronize()
        started = time.perf_counter()
        result = work()
        self.synchronize()
        return time.perf_counter() - started, result

    def synchronize(self) -> None:
        """Wait until the device has done all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
