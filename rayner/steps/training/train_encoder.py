"""Train an encoder as the small model on Ray Train workers, and keep its best epoch."""

import math
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import prepare_model

from rayner.cluster.ray_train import (
    require_convergence,
    run_training,
    select_worker_device,
    set_up_this_worker,
    training_step_progress,
)
from rayner.config.settings import Config
from rayner.errors import NotFiniteError
from rayner.modeling.finite_weights import require_finite_files
from rayner.modeling.scratch import write_scratch_encoder
from rayner.modeling.training_schedule import count_batches
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.storage import local_model_name
from rayner.steps import data
from rayner.taggers.encoder import EncoderTagger, load_encoder_tagger, save_encoder_tagger
from rayner.taggers.encoder_training import encode_training_windows, make_optimizer, train_epoch
from rayner.taggers.tagger import measure_f1
from rayner.text.labelled_text import LabelledSentence
from rayner.text.tags import bmes_labels


def train_encoder(config: Config, run: Run, name: str) -> dict[str, Any]:
    """Train an encoder on Ray Train workers, write `models/slm`, and return its F1 on the dev sentences and its size.

    The epoch with the best F1 is kept.

    name: the name of the training, with a digest of its inputs. A training of the same name is resumed.
    """
    base = _write_scratch_model(config, run) if config.slm.model == "scratch" else config.slm.model
    settings = {"config": config, "run": run, "base": base}
    result = run_training(_train_on_worker, settings, run, name, config.slm.workers, best_metric="f1")
    checkpoint, metrics = max(result.best_checkpoints or [], key=lambda pair: pair[1]["f1"])
    with replace_folder(run.path("models", "slm")) as folder, checkpoint.as_directory() as checkpoint_folder:
        require_finite_files(Path(checkpoint_folder) / "model")
        shutil.copytree(Path(checkpoint_folder) / "model", folder, dirs_exist_ok=True)
    log.info("SLM: held-out F1 %.4f, of epoch %d", metrics["f1"], metrics["epoch"] + 1)
    return {"dev_f1": metrics["f1"], "epoch": metrics["epoch"] + 1, "parameters": metrics["parameters"]}


def _write_scratch_model(config: Config, run: Run) -> str:
    """Write an untrained encoder whose vocabulary covers the training sentences; return the path of its folder."""
    texts = [sentence.text for sentence in data.read_part(run, "train")]
    with replace_folder(run.path("scratch", "slm")) as folder:
        write_scratch_encoder(folder, texts, config.slm.scratch, config.seed)
    return str(run.path("scratch", "slm"))


def _train_on_worker(loop_settings: dict[str, Any]) -> None:
    """Train the encoder on this worker.

    loop_settings: the keys `config`, `run` and `base` (the checkpoint from which training starts).
    """
    config: Config = loop_settings["config"]
    run: Run = loop_settings["run"]
    rank, world_size = set_up_this_worker(config.slm.workers)
    types = run.entity_types()
    torch.manual_seed(config.seed)  # every worker draws the same initial output layer
    tagger = load_encoder_tagger(
        local_model_name(loop_settings["base"]),
        select_worker_device(config.device, config.slm.workers.gpus),
        bmes_labels(types),
        config=config.slm,
    )
    train_sentences, dev_sentences = data.read_part(run, "train"), data.read_part(run, "dev")
    windows = encode_training_windows(tagger, train_sentences, config.slm.max_chars, config.slm.overlap)
    optimizer = make_optimizer(tagger, config.slm)
    first_epoch = _restore_and_count_epochs(tagger, optimizer, rank)
    model = prepare_model(tagger.model, move_to_device=False)
    steps, epochs = count_batches(len(windows), config.slm.batch_size), config.slm.epochs
    progress = training_step_progress(loop_settings, "SLM", steps * epochs, steps * first_epoch, rank)
    for epoch in range(first_epoch, epochs):
        where = f"SLM, epoch {epoch + 1} of {epochs}"
        loss = train_epoch(
            tagger, model, optimizer, windows, config.slm, epoch=epoch, seed=config.seed, rank=rank,
            world_size=world_size, report_loss=partial(_check_and_count_step, where, progress, tagger.device),
        )  # fmt: skip
        f1 = _measure_f1_or_nan(tagger, dev_sentences, types) if rank == 0 else 0.0
        require_convergence(f1, where, "slm.lr", tagger.device)
        if rank == 0:
            log.info("SLM epoch %d/%d: loss %.4f, held-out F1 %.4f", epoch + 1, epochs, loss, f1)
        metrics = {"epoch": epoch, "loss": loss, "f1": f1, "parameters": tagger.n_parameters}
        _save_and_report_checkpoint(tagger, optimizer, metrics, rank)


def _check_and_count_step(where: str, progress: Progress, device: torch.device, loss: float) -> None:
    require_convergence(loss, where, "slm.lr", device)
    progress.advance(1, f"loss {loss:.4f}")


def _measure_f1_or_nan(tagger: EncoderTagger, sentences: Sequence[LabelledSentence], types: Sequence[str]) -> float:
    """Return the tagger's F1; NaN if a prediction is not finite, because only the first worker predicts."""
    try:
        return measure_f1(tagger, sentences, types)
    except NotFiniteError:
        return math.nan


def _restore_and_count_epochs(tagger: EncoderTagger, optimizer: torch.optim.Optimizer, rank: int) -> int:
    """Load the last checkpoint, if there is one; return the number of finished epochs."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        tagger.model.load_state_dict(load_encoder_tagger(Path(folder) / "model", tagger.device).model.state_dict())
        state = torch.load(Path(folder) / "optimizer.pt", weights_only=True, map_location=tagger.device)
    optimizer.load_state_dict(state["optimizer"])
    if rank == 0:
        log.info("SLM: resumes after epoch %d, from its checkpoint", state["epoch"] + 1)
    return int(state["epoch"]) + 1


def _save_and_report_checkpoint(
    tagger: EncoderTagger, optimizer: torch.optim.Optimizer, metrics: dict[str, Any], rank: int
) -> None:
    """Report an epoch to Ray Train.

    The first worker also reports a checkpoint. It holds the model, in the format that users load, and the optimizer.
    """
    if rank:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        save_encoder_tagger(tagger, Path(folder) / "model")
        state = {"optimizer": optimizer.state_dict(), "epoch": metrics["epoch"]}
        torch.save(state, Path(folder) / "optimizer.pt")
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
