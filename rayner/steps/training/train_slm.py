"""Training of the small model on Ray Train: any number of CPU or GPU workers, the best epoch kept."""

import tempfile
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import prepare_model

from rayner.cluster.ray_train import run_training, select_worker_device, start_worker, step_progress
from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.modeling.scratch import write_scratch_encoder
from rayner.modeling.training_schedule import count_batches
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, folder_sha256, replace_folder
from rayner.runs.storage import local_model_name
from rayner.steps import data
from rayner.steps.loading import load_tagger_family
from rayner.steps.training.train_in_one_process import train_in_one_process
from rayner.taggers import encoder as slms
from rayner.taggers.encoder_training import encode_training_windows, make_optimizer, train_epoch
from rayner.taggers.tagger import measure_f1
from rayner.text.tags import bmes_labels


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return what the trained tagger depends on."""
    files = load_tagger_family(config).digest_training_files()
    return {**step_settings(config, "train_slm"), "data": run.step_digest("data"), **files}


def train_slm(config: Config, run: Run, fold: int | None = None) -> dict[str, Any]:
    """Train, keep the best epoch by held-out F1, write `models/slm`; return that F1 and more, by family.

    fold: see `data.prepare_data`.
    """
    data.prepare_data(config, run, fold)

    def work() -> dict[str, Any]:
        trainer = load_tagger_family(config).one_process_trainer
        result = train_in_one_process(config, run, trainer) if trainer else _train_encoder(config, run)
        return {**result, "digest": folder_sha256(run.path("models", "slm"))}

    return run.run_step("train_slm", inputs(config, run), work)


def _train_encoder(config: Config, run: Run) -> dict[str, Any]:
    base = config.slm.model
    if base == "scratch":
        base = str(run.path("scratch", "slm"))
        texts = [example.text for example in data.read_part(run, "train")]
        with replace_folder(run.path("scratch", "slm")) as folder:
            write_scratch_encoder(folder, texts, config.slm.scratch, config.seed)
    name = f"slm-{json_digest(inputs(config, run))}"
    settings = {"config": config, "run": run, "base": base}
    result = run_training(_worker, settings, run, name, config.slm.workers, best_metric="f1")
    checkpoint, metrics = max(result.best_checkpoints or [], key=lambda pair: pair[1]["f1"])
    with replace_folder(run.path("models", "slm")) as folder, checkpoint.as_directory() as kept:
        model = slms.load_encoder_tagger(Path(kept) / "model", torch.device("cpu"))
        slms.save_encoder_tagger(model, folder)
    log.info("SLM: held-out F1 %.4f, of epoch %d", metrics["f1"], metrics["epoch"] + 1)
    return {
        "dev_f1": metrics["f1"],
        "epoch": metrics["epoch"] + 1,
        "parameters": model.n_parameters,
    }


def _worker(settings: dict[str, Any]) -> None:
    """What each training worker does."""
    config: Config = settings["config"]
    run: Run = settings["run"]
    rank, world = start_worker(config.slm.workers)
    types = run.step_result("data")["types"]
    torch.manual_seed(config.seed)  # the same fresh head in every run
    slm = slms.load_encoder_tagger(
        local_model_name(settings["base"]),
        select_worker_device(config.device),
        bmes_labels(types),
        config=config.slm,
    )
    items = encode_training_windows(slm, data.read_part(run, "train"), config.slm.max_chars, config.slm.overlap)
    dev = data.read_part(run, "dev")
    optimizer = make_optimizer(slm, config.slm)
    first = _restore(slm, optimizer, rank)
    model = prepare_model(slm.model, move_to_device=False)
    steps, epochs = count_batches(len(items), config.slm.batch_size), config.slm.epochs
    progress = step_progress(settings, "SLM", steps * epochs, steps * first, rank)
    for epoch in range(first, epochs):
        loss = train_epoch(
            slm, model, optimizer, items, config.slm, epoch=epoch, seed=config.seed, rank=rank, world_size=world,
            report_loss=lambda loss: progress.advance(1, f"loss {loss:.4f}"),
        )  # fmt: skip
        metrics = {"epoch": epoch, "loss": loss, "f1": measure_f1(slm, dev, types) if rank == 0 else 0.0}
        if rank == 0:
            log.info("SLM epoch %d/%d: loss %.4f, held-out F1 %.4f", epoch + 1, epochs, loss, metrics["f1"])
        _report(slm, optimizer, metrics, rank)


def _restore(slm: slms.EncoderTagger, optimizer: torch.optim.Optimizer, rank: int) -> int:
    """Take up the last checkpoint, if there is one; returns the epoch to go on with."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        slm.model.load_state_dict(slms.load_encoder_tagger(Path(folder) / "model", slm.device).model.state_dict())
        state = torch.load(Path(folder) / "optimizer.pt", weights_only=True, map_location=slm.device)
    optimizer.load_state_dict(state["optimizer"])
    if rank == 0:
        log.info("SLM: goes on after epoch %d, from its checkpoint", state["epoch"] + 1)
    return int(state["epoch"]) + 1


def _report(slm: slms.EncoderTagger, optimizer: torch.optim.Optimizer, metrics: dict[str, Any], rank: int) -> None:
    if rank:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        slms.save_encoder_tagger(slm, Path(folder) / "model")
        state = {"optimizer": optimizer.state_dict(), "epoch": metrics["epoch"]}
        torch.save(state, Path(folder) / "optimizer.pt")
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
