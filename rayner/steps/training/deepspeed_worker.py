"""Train the LLM on one worker: run epochs of optimizer steps, and save checkpoints from which training can resume."""

import contextlib
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint

from rayner.cluster.ray_train import (
    broadcast_checkpoint_due,
    require_convergence,
    set_up_this_worker,
    training_step_progress,
)
from rayner.config.settings import Config
from rayner.llm.model import Llm
from rayner.llm.sft import SftExample
from rayner.modeling.checkpoint import restrict_unpickling_to_deepspeed_states
from rayner.modeling.finite_weights import find_non_finite_weight
from rayner.modeling.training_schedule import count_batches, epoch_batches, learning_rate_factor, worker_share
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath
from rayner.steps.training.deepspeed_engine import build_engine
from rayner.steps.training.sft_examples import SftExamples, read_sft_examples


@dataclass(frozen=True)
class TrainStage:
    """One training stage of the LLM.

    name: `pseudo_labels` and `full` train all parameters; `lora` trains an adapter.
    base: the checkpoint from which the stage starts.
    epochs: number of epochs.
    lr: peak learning rate.
    examples_folder: folder of the training examples that `write_missing_sft_examples` wrote.
    """

    name: str
    base: str
    epochs: int
    lr: float
    examples_folder: StoragePath

    @property
    def lr_setting(self) -> str:
        """The setting of the learning rate."""
        return "llm.lr" if self.name == "lora" else "llm.full_lr"


@dataclass
class TrainPosition:
    """How much of a training stage is done.

    epoch: number of finished epochs.
    step: number of finished steps in the current epoch.
    losses: loss of each of these steps. A checkpoint holds the losses of the first worker.
    """

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class TrainWorker:
    """One worker of a training stage.

    engine: DeepSpeed's engine, which holds the model and its loss.
    rank: number of this worker, from 0.
    world_size: number of workers.
    """

    engine: Any
    llm: Llm
    config: Config
    stage: TrainStage
    rank: int
    world_size: int


def train_on_worker(loop_settings: dict[str, Any]) -> None:
    """Train one stage on this worker.

    loop_settings: the keys `config`, `run` and `stage`.
    """
    config: Config = loop_settings["config"]
    run: Run = loop_settings["run"]
    stage: TrainStage = loop_settings["stage"]
    rank, world_size = set_up_this_worker(config.llm.workers)
    engine, llm = build_engine(config, run, stage.base, lr=stage.lr, lora=stage.name == "lora", world_size=world_size)
    worker = TrainWorker(engine, llm, config, stage, rank, world_size)
    examples, position = read_sft_examples(stage.examples_folder), restore_checkpoint(worker)
    steps = min(count_batches(len(examples), config.llm.batch_size), config.llm.max_steps_per_epoch or len(examples))
    done_before = steps * position.epoch + position.step
    progress = training_step_progress(loop_settings, f"LLM ({stage.name})", steps * stage.epochs, done_before, rank)
    while position.epoch < stage.epochs:
        _train_rest_of_epoch(worker, examples, position, progress)


def _train_rest_of_epoch(
    worker: TrainWorker, examples: SftExamples, position: TrainPosition, progress: Progress
) -> None:
    """Train the rest of an epoch. Save a checkpoint every `llm.checkpoint_minutes` and at the end of the epoch.

    Batches, learning rate and dropout depend only on the settings, the epoch and the step. So a training that resumes
    from a checkpoint ends with the same weights as an uninterrupted training.
    """
    settings, stage, rank = worker.config.llm, worker.stage, worker.rank
    size, seed, epoch, first_step = settings.batch_size, worker.config.seed, position.epoch, position.step
    batches = epoch_batches(examples.count_tokens(), size, seed + epoch)[: settings.max_steps_per_epoch or None]
    worker.engine.train()
    last_saved = time.monotonic()
    where = f"LLM ({stage.name}), epoch {epoch + 1} of {stage.epochs}"
    for i, batch in enumerate(batches[first_step:], first_step):
        step = epoch * len(batches) + i
        for group in worker.engine.optimizer.param_groups:
            group["lr"] = stage.lr * learning_rate_factor(step, stage.epochs * len(batches), settings.warmup)
        torch.manual_seed(seed + step * 1000 + rank)
        rows = worker_share([batch[k % len(batch)] for k in range(size)], rank, worker.world_size)
        position.losses.append(_train_step(worker.engine, [examples[k] for k in rows], settings.micro_batch))
        require_convergence(position.losses[-1], where, stage.lr_setting, worker.llm.device)
        position.step = i + 1
        progress.advance(1, f"loss {fmean(position.losses[-20:]):.4f}")
        unfinished = position.step < len(batches)
        if unfinished and broadcast_checkpoint_due(last_saved, settings.checkpoint_minutes, worker.llm.device):
            save_and_report_checkpoint(
                worker, position, {"epoch": epoch, "step": position.step, "loss": fmean(position.losses)}
            )
            last_saved = time.monotonic()
    loss = fmean(position.losses)
    # The loss of the last step says nothing about the weights that this step made.
    weights_loss = loss if find_non_finite_weight(worker.llm.model) is None else math.nan
    require_convergence(weights_loss, where, stage.lr_setting, worker.llm.device)
    position.epoch, position.step, position.losses = epoch + 1, 0, []
    if rank == 0:
        log.info("LLM (%s) epoch %d/%d: loss %.4f", stage.name, position.epoch, stage.epochs, loss)
    save_and_report_checkpoint(worker, position, {"epoch": epoch, "step": len(batches), "loss": loss})


def _train_step(engine: Any, examples: Sequence[SftExample], micro_batch: int) -> float:  # noqa: ANN401 - DeepSpeed's engine
    """Do one optimizer step and return the mean loss over its micro-batches.

    `engine.step` is called for each micro-batch. DeepSpeed updates the weights only after the last one.
    """
    losses = []
    for start in range(0, len(examples), micro_batch):
        loss = engine(examples[start : start + micro_batch])
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def restore_checkpoint(worker: TrainWorker) -> TrainPosition:
    """Load the last checkpoint into the engine, if there is one; return the position from which training continues."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return TrainPosition()
    with checkpoint.as_directory() as folder, restrict_unpickling_to_deepspeed_states():
        worker.engine.load_checkpoint(folder, tag="state", load_module_strict=False)
        position = TrainPosition(**json.loads((Path(folder) / "done.json").read_text()))
    if worker.rank == 0:
        epoch, step = position.epoch, position.step
        reached = f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"
        log.info("LLM (%s): resumes after %s, from its checkpoint", worker.stage.name, reached)
    return position


def save_and_report_checkpoint(worker: TrainWorker, position: TrainPosition, metrics: dict[str, Any]) -> None:
    """Save a checkpoint and report it to Ray Train.

    Every worker must call this, because each one saves its part of the optimizer state. At the end of an epoch, the
    checkpoint also holds `model/`, the model in the format that users load.
    """
    llm = worker.llm
    with tempfile.TemporaryDirectory() as folder:
        has_adapter = hasattr(llm.model, "peft_config")
        worker.engine.save_checkpoint(folder, tag="state", exclude_frozen_parameters=has_adapter)
        if worker.rank == 0:
            (Path(folder) / "done.json").write_text(json.dumps(asdict(position)))
        if position.step == 0:
            with _gathered_parameters(llm, worker.config.llm.zero_stage):
                if worker.rank == 0:
                    llm.model.save_pretrained(Path(folder) / "model")
                    llm.tokenizer.tokenizer.save_pretrained(Path(folder) / "model")
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))


@contextlib.contextmanager
def _gathered_parameters(llm: Llm, zero_stage: int) -> Iterator[None]:
    """Gather the trained parameters on this worker while the block runs.

    ZeRO stage 3 divides each parameter among the workers, so every worker must enter the block. For the lower stages,
    this does nothing.
    """
    if zero_stage < 3:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([p for p in llm.model.parameters() if p.requires_grad]):
        yield
