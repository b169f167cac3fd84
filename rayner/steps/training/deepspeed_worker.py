"""Train the LLM on one worker: run epochs of optimizer steps, and save checkpoints from which training can resume."""

import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint

from rayner.cluster.ray_train import (
    broadcast_minutes_passed,
    require_convergence,
    set_up_this_worker,
    training_step_progress,
)
from rayner.config.settings import Config
from rayner.llm.model import Llm
from rayner.llm.sft import split_into_passes
from rayner.modeling.finite_weights import find_non_finite_weight
from rayner.modeling.training_schedule import count_batches, epoch_batches, learning_rate_factor
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath
from rayner.steps.training.deepspeed_engine import build_engine
from rayner.steps.training.sft_examples import SftExamples, read_sft_examples
from rayner.steps.training.train_stage import TrainStage
from rayner.steps.training.training_state import load_training_state, write_training_state


@dataclass
class TrainPosition:
    """How much of a training stage is done.

    epoch: number of finished epochs.
    step: number of finished steps in the current epoch.
    n_updates: number of finished steps since the stage began.
    losses: loss of each finished step of the current epoch.
    """

    epoch: int = 0
    step: int = 0
    n_updates: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class TrainSet:
    """The training examples, and what dividing them among passes needs to know of each.

    n_tokens: number of tokens of each example in a forward pass.
    n_loss_positions: number of tokens of each example that count in the loss.
    """

    examples: SftExamples
    n_tokens: list[int]
    n_loss_positions: list[int]


def read_train_set(folder: StoragePath, loss_over: str) -> TrainSet:
    """Read the training examples of a folder and count their tokens."""
    examples = read_sft_examples(folder)
    n_tokens = [n + 1 for n in examples.count_tokens()]  # and the end token
    return TrainSet(examples, n_tokens, examples.count_loss_positions(loss_over))


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
    engine, llm = build_engine(config, run, stage.base, lr=stage.lr, lora=stage.name == "lora")
    worker = TrainWorker(engine, llm, config, stage, rank, world_size)
    train_set, position = read_train_set(stage.examples_folder, config.llm.loss_over), restore_checkpoint(worker)
    n_examples = len(train_set.examples)
    steps = min(count_batches(n_examples, config.llm.batch_size), config.llm.max_steps_per_epoch or n_examples)
    if rank == 0 and not position.n_updates:
        warn_of_long_examples(train_set.n_tokens, config.llm.micro_batch_tokens, stage.name)
    progress = training_step_progress(
        loop_settings, f"LLM ({stage.name})", steps * stage.epochs, position.n_updates, rank
    )
    while position.epoch < stage.epochs:
        _train_rest_of_epoch(worker, train_set, position, progress)


def warn_of_long_examples(n_tokens: Sequence[int], max_tokens: int, stage_name: str) -> None:
    """Log how many examples alone have more tokens than a forward pass should have."""
    n_long = sum(n > max_tokens for n in n_tokens)
    if n_long:
        log.warning(
            "LLM (%s): %d of %d training sentences have, with their prompts, more tokens than llm.micro_batch_tokens "
            "(%d); the longest has %d. Each gets a forward pass of its own, which needs more memory than the others",
            stage_name, n_long, len(n_tokens), max_tokens, max(n_tokens),
        )  # fmt: skip


def _train_rest_of_epoch(worker: TrainWorker, train_set: TrainSet, position: TrainPosition, progress: Progress) -> None:
    """Train the rest of an epoch. Save a checkpoint every `llm.checkpoint_minutes` and at the end of the epoch.

    Batches, learning rate and dropout depend only on the settings, the epoch and the step. So a training that resumes
    from a checkpoint ends with the same weights as an uninterrupted training. Only dropout depends on the number of
    workers and on the division of a step into passes, too.
    """
    settings, stage, rank = worker.config.llm, worker.stage, worker.rank
    seed, epoch, first_step = worker.config.seed, position.epoch, position.step
    batches = epoch_batches(train_set.n_tokens, settings.batch_size, seed + epoch)
    batches = batches[: settings.max_steps_per_epoch or None]
    worker.engine.train()
    last_saved = time.monotonic()
    where = f"LLM ({stage.name}), epoch {epoch + 1} of {stage.epochs}"
    for i, batch in enumerate(batches[first_step:], first_step):
        step = epoch * len(batches) + i
        for group in worker.engine.optimizer.param_groups:
            group["lr"] = stage.lr * learning_rate_factor(step, stage.epochs * len(batches), settings.warmup)
        torch.manual_seed(seed + step * 1000 + rank)
        position.losses.append(_train_step(worker, train_set, batch))
        require_convergence(position.losses[-1], where, stage.lr_setting_key, worker.llm.device)
        position.step, position.n_updates = i + 1, position.n_updates + 1
        progress.advance(1, f"loss {fmean(position.losses[-20:]):.4f}")
        unfinished = position.step < len(batches)
        if unfinished and broadcast_minutes_passed(last_saved, settings.checkpoint_minutes, worker.llm.device):
            save_and_report_checkpoint(
                worker, position, {"epoch": epoch, "step": position.step, "loss": fmean(position.losses)}
            )
            last_saved = time.monotonic()
    loss = fmean(position.losses)
    # The loss of the last step says nothing about the weights that this step made.
    weights_loss = loss if find_non_finite_weight(worker.llm.model) is None else math.nan
    require_convergence(weights_loss, where, stage.lr_setting_key, worker.llm.device)
    position.epoch, position.step, position.losses = epoch + 1, 0, []
    if rank == 0:
        log.info("LLM (%s) epoch %d/%d: loss %.4f", stage.name, position.epoch, stage.epochs, loss)
    save_and_report_checkpoint(worker, position, {"epoch": epoch, "step": len(batches), "loss": loss})


def _train_step(worker: TrainWorker, train_set: TrainSet, batch: Sequence[int]) -> float:
    """Do one optimizer step and return the mean loss over all tokens of the batch that count, on all workers.

    The gradient is that of this mean, however the batch is divided among workers and forward passes.

    batch: indices of the examples.
    """
    engine, n_workers = worker.engine, worker.world_size
    n_positions = max(1, sum(train_set.n_loss_positions[k] for k in batch))
    examples = [train_set.examples[k] for k in batch]
    max_tokens = worker.config.llm.micro_batch_tokens
    passes = split_into_passes(examples, max_tokens, n_workers, packs=engine.module.packs)[worker.rank]
    total = torch.zeros(1, dtype=torch.float64, device=worker.llm.device)
    for i, rows in enumerate(passes):
        engine.set_gradient_accumulation_boundary(i == len(passes) - 1)
        loss = engine([examples[k] for k in rows])
        engine.backward(loss * (n_workers / n_positions))  # DeepSpeed takes the mean over workers
        total += loss.detach()
    engine.step()
    torch.distributed.all_reduce(total)
    return float(total) / n_positions


def restore_checkpoint(worker: TrainWorker) -> TrainPosition:
    """Load the last checkpoint into the engine, if there is one; return the position from which training continues."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return TrainPosition()
    with checkpoint.as_directory() as folder:
        position = TrainPosition(**json.loads((Path(folder) / "done.json").read_text()))
        load_training_state(worker.engine, worker.llm.model, Path(folder), position.n_updates)
    if worker.rank == 0:
        epoch, step = position.epoch, position.step
        reached = f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"
        log.info("LLM (%s): resumes after %s, from its checkpoint", worker.stage.name, reached)
    return position


def save_and_report_checkpoint(worker: TrainWorker, position: TrainPosition, metrics: dict[str, Any]) -> None:
    """Save a checkpoint and report it to Ray Train.

    Every worker must call this, because each one holds a part of the optimizer's state. The first worker writes all
    files. At the end of an epoch, the checkpoint also holds `model/`, the model in the format that users load.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_training_state(worker.engine, worker.llm.model, folder)
        if position.step == 0:
            _save_model(worker, folder / "model")
        if worker.rank == 0:
            (folder / "done.json").write_text(json.dumps(asdict(position)))
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder) if worker.rank == 0 else None)


def _save_model(worker: TrainWorker, folder: Path) -> None:
    """Write the model, or its adapter, and the tokenizer.

    Under ZeRO-3 every worker must call this: one parameter at a time is gathered, and the first worker (rank 0) copies
    it to the host's memory. Under the lower stages the first worker has the whole model.
    """
    llm, is_writer = worker.llm, worker.rank == 0
    weights: dict[str, torch.Tensor] | None = None
    if worker.config.llm.zero_stage == 3:
        import deepspeed

        weights = {}
        for name, parameter in llm.model.named_parameters():
            if parameter.requires_grad:
                with deepspeed.zero.GatheredParameters([parameter]):
                    if is_writer:
                        weights[name] = parameter.detach().cpu().clone()
    if is_writer:
        llm.model.save_pretrained(folder, state_dict=weights)
        llm.tokenizer.tokenizer.save_pretrained(folder)
