"""Pretrain an encoder on one worker of Ray Train, with checkpoints from which training resumes exactly."""

import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import prepare_model

from rayner.cluster.ray_train import (
    broadcast_minutes_passed,
    require_convergence,
    select_worker_device,
    set_up_this_worker,
    training_step_progress,
)
from rayner.config.settings import Config
from rayner.modeling.devices import TORCH_DTYPES
from rayner.modeling.finite_weights import find_non_finite_weight
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.pretraining.length import (
    HOURS_BEFORE_FALL,
    count_steps_if_falling_from,
    first_falling_step,
    learning_rate_factor,
)
from rayner.pretraining.objectives import list_ordinary_tokens, load_objective
from rayner.pretraining.text_windows import TextWindows
from rayner.pretraining.training_order import Ints, MaskedWindows, WindowOrder, mask_held_out, mask_step
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps.pretraining.text import SPECIAL_TOKENS, WINDOWS_FOLDER

HELD_OUT_STEPS = 500  # steps between two measurements of the held-out loss
MODEL_FOLDER = "model"  # in a checkpoint: the encoder in the format that users load
_RECENT_STEPS = 100  # steps over which the loss is averaged
_POSITION_FILE, _OPTIMIZER_FILE = "position.json", "optimizer.pt"


@dataclass
class TrainPosition:
    """How much of a pretraining is done.

    step: The number of finished steps.
    n_steps: The number of all steps; None as long as only the limit of hours is known.
    seconds: The time that the finished steps took.
    losses: The losses of the last steps.
    held_out_losses: The held-out loss by the number of finished steps.
    """

    step: int = 0
    n_steps: int | None = None
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    held_out_losses: dict[str, float] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.n_steps is not None and self.step >= self.n_steps


class PretrainWorker:
    """One worker of a pretraining: model, optimizer, and the text."""

    def __init__(self, config: Config, run: Run, base: str, rank: int, world_size: int) -> None:
        self.config, self.rank, self.world_size = config, rank, world_size
        self.device = select_worker_device(config.device, config.pretrain.workers.gpus)
        checkpoint = ray.train.get_checkpoint()
        self.position = TrainPosition()
        if checkpoint is None:
            self._build(local_model_name(base))
        else:
            with checkpoint.as_directory() as name:
                self._build(Path(name) / MODEL_FOLDER)
                self._restore(Path(name))
        self._windows = TextWindows(run.local_path(*WINDOWS_FOLDER))
        self.order = order_windows(config, len(self._windows))
        self.wrapped_objective = prepare_model(self.objective, move_to_device=False)

    def _build(self, folder: str | Path) -> None:
        settings = self.config.pretrain
        self.tokenizer = CharTokenizer(load_tokenizer(folder))
        self.objective = load_objective(settings.objective, folder, self.tokenizer, self.device, self.config.seed)
        self._ordinary_tokens = list_ordinary_tokens(self.tokenizer)
        self.optimizer = torch.optim.AdamW(
            self.objective.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )

    def _restore(self, folder: Path) -> None:
        state = torch.load(folder / _OPTIMIZER_FILE, weights_only=True, map_location=self.device)
        self.optimizer.load_state_dict(state)
        self.position = read_position(folder)
        if self.rank == 0:
            log.info("pretraining: resumes after step %d, from its checkpoint", self.position.step)

    def train_step(self) -> float:
        """Do the next step, and return its loss on this worker."""
        settings, step = self.config.pretrain, self.position.step
        factor = learning_rate_factor(step, self.position.n_steps, settings.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * factor
        tokens = self._read_windows(self.order.step_rows(step))
        windows = mask_step(tokens, self._ordinary_tokens, settings.mask, self.config.seed, step)
        loss = self._compute_loss(windows.worker_share(self.rank, self.world_size))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def measure_held_out_loss(self) -> float:
        """Return the mean loss of the held-out windows. Their hidden characters are always the same ones."""
        rows, size, losses = self.order.held_out_rows(), self.config.pretrain.batch_size, []
        for start in range(0, len(rows), size):
            tokens = self._read_windows(rows[start : start + size])
            share, seed = self.config.pretrain.mask, self.config.seed
            windows = mask_held_out(tokens, self._ordinary_tokens, share, seed, start // size)
            losses.append(float(self._compute_loss(windows, self.objective)) * len(tokens))
        return sum(losses) / len(rows)

    def _compute_loss(self, windows: MaskedWindows, objective: Any = None) -> torch.Tensor:  # noqa: ANN401 - a wrapped module
        dtype = self.config.pretrain.dtype
        with torch.autocast(self.device.type, TORCH_DTYPES["bfloat16"], enabled=dtype == "bfloat16"):
            loss: torch.Tensor = (objective or self.wrapped_objective)(windows)
        return loss

    def _read_windows(self, rows: Ints) -> Ints:
        """Return windows with the special tokens around their text, shape [n_rows, window_tokens]."""
        tokenizer = self.tokenizer.tokenizer
        edges = (tokenizer.cls_token_id, tokenizer.sep_token_id)
        first, last = (np.full((len(rows), 1), edge, dtype=np.int64) for edge in edges)
        return np.concatenate([first, self._windows.read(rows), last], axis=1)

    def save_and_report_checkpoint(self) -> None:
        """Report a checkpoint to Ray Train; the first worker writes its files."""
        position = self.position
        metrics = {"step": position.step, "loss": mean_loss_or_0(position.losses)}
        if self.rank:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.objective.save(folder / MODEL_FOLDER)
            self.tokenizer.tokenizer.save_pretrained(folder / MODEL_FOLDER)
            torch.save(self.optimizer.state_dict(), folder / _OPTIMIZER_FILE)
            (folder / _POSITION_FILE).write_text(json.dumps(asdict(position)), encoding="utf-8")
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))


def order_windows(config: Config, n_windows: int) -> WindowOrder:
    """Return the order of a text's windows. At most a tenth of them, and at least one, are held out."""
    settings = config.pretrain
    n_held_out = max(1, min(settings.held_out, n_windows // 10))
    return WindowOrder(n_windows, n_held_out, settings.batch_size, config.seed)


def read_position(checkpoint_folder: Path) -> TrainPosition:
    """Read how far the training of a checkpoint is."""
    return TrainPosition(**json.loads((checkpoint_folder / _POSITION_FILE).read_text(encoding="utf-8")))


def mean_loss_or_0(losses: Sequence[float]) -> float:
    """Return the mean of losses; 0 if there are none."""
    return fmean(losses) if losses else 0.0


def pretrain_on_worker(loop_settings: dict[str, Any]) -> None:
    """Pretrain the encoder on this worker.

    loop_settings: the keys `config`, `run` and `base` (the checkpoint from which training starts).
    """
    config: Config = loop_settings["config"]
    rank, world_size = set_up_this_worker(config.pretrain.workers)
    worker = PretrainWorker(config, loop_settings["run"], loop_settings["base"], rank, world_size)
    step_chars = config.pretrain.batch_size * (config.pretrain.window_tokens - SPECIAL_TOKENS)
    progress = training_step_progress(
        loop_settings, "pretraining", step_chars, worker.position.step * step_chars, rank, unit="characters"
    )
    _train_all_steps(worker, progress, step_chars)


def _train_all_steps(worker: PretrainWorker, progress: Progress, step_chars: int) -> None:
    """Do all steps that are left; save checkpoints by the clock, when the number of steps is set, and at the end."""
    position, settings = worker.position, worker.config.pretrain
    begin, seconds_before = time.monotonic(), position.seconds
    last_saved = begin
    while not position.is_done:
        if position.n_steps is None and _fix_number_of_steps(worker, begin - seconds_before) and position.step:
            worker.save_and_report_checkpoint()  # before the first step whose learning rate depends on the number
            last_saved = time.monotonic()
            continue
        loss = worker.train_step()
        require_convergence(loss, f"pretraining, step {position.step + 1}", "pretrain.lr", worker.device)
        position.losses = [*position.losses[1 - _RECENT_STEPS :], loss]
        position.step, position.seconds = position.step + 1, time.monotonic() - begin + seconds_before
        _measure_if_due(worker)
        progress.total = max(progress.done + step_chars, _estimate_steps(worker) * step_chars)
        progress.advance(step_chars, _describe_losses(position))
        if position.is_done or broadcast_minutes_passed(last_saved, settings.checkpoint_minutes, worker.device):
            # The loss of the last step says nothing about the weights that this step made.
            weights_loss = loss if find_non_finite_weight(worker.objective) is None else math.nan
            require_convergence(weights_loss, f"pretraining, step {position.step}", "pretrain.lr", worker.device)
            worker.save_and_report_checkpoint()
            last_saved = time.monotonic()


def _fix_number_of_steps(worker: PretrainWorker, begin: float) -> bool:
    """Set the number of steps if it is known now; return whether it is.

    With a limit of hours, it is known when most of the time is over, by the clock of the first worker.

    begin: time.monotonic() of the first step, without the time of interruptions.
    """
    position, settings = worker.position, worker.config.pretrain
    if not settings.hours or (settings.steps and position.step >= first_falling_step(settings.steps)):
        position.n_steps = settings.steps
    elif position.step and broadcast_minutes_passed(begin, 60 * settings.hours * HOURS_BEFORE_FALL, worker.device):
        position.n_steps = count_steps_if_falling_from(position.step)
        if worker.rank == 0:
            log.info("pretraining: %d steps, of which %d are done", position.n_steps, position.step)
    return position.n_steps is not None


def _measure_if_due(worker: PretrainWorker) -> None:
    """Measure the held-out loss after every HELD_OUT_STEPS steps and after the last one, on the first worker."""
    position = worker.position
    if worker.rank or (position.step % HELD_OUT_STEPS and not position.is_done):
        return
    loss = worker.measure_held_out_loss()
    position.held_out_losses[str(position.step)] = loss
    log.info(
        "pretraining, step %d: loss %.4f, held-out loss %.4f", position.step, mean_loss_or_0(position.losses), loss
    )


def _estimate_steps(worker: PretrainWorker) -> int:
    """Return the number of all steps, by the speed so far if it is not set yet."""
    position, settings = worker.position, worker.config.pretrain
    if position.n_steps is not None:
        return position.n_steps
    by_hours = int(position.step * 3600 * settings.hours / max(position.seconds, 1e-9))
    return min(by_hours, settings.steps or by_hours)


def _describe_losses(position: TrainPosition) -> str:
    note = f"loss {mean_loss_or_0(position.losses):.4f}"
    if position.held_out_losses:
        note += f", held-out loss {[*position.held_out_losses.values()][-1]:.4f}"
    return note
