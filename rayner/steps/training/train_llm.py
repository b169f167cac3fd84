"""Fine-tuning of the LLM: Ray Train workers, DeepSpeed (ZeRO), LoRA by peft (method, section 3).

A model made from scratch first gets epochs with all its parameters, saved as the base checkpoint: LoRA on a frozen
random base learns badly. A pretrained one goes straight to LoRA.
"""

import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean as mean
from typing import Any

import ray.train
import torch
from safetensors.torch import load_file

from rayner.cluster.ray_train import checkpoint_due, run_training, share_checkpoint, step_progress
from rayner.cluster.session import start_logging
from rayner.config.settings import Config, config_to_dict, json_digest
from rayner.corpus.reading import digest_unlabelled_texts
from rayner.llm import model as llms
from rayner.modeling.scratch import write_scratch_decoder
from rayner.modeling.training import count_batches, epoch_batches, learning_rate_factor, set_torch_threads, worker_share
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, folder_sha256, model_digest, replace_folder, write_json
from rayner.steps import data
from rayner.steps.loading import load_llm, load_retriever, task_instruction
from rayner.steps.training.deepspeed_worker import (
    TrainPosition,
    TrainStage,
    TrainWorker,
    build_engine,
    report_checkpoint,
    restore_checkpoint,
)
from rayner.steps.training.pseudo_labels import read_pseudo_labels, write_pseudo_labels
from rayner.text.labelled_text import LabelledSentence


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fine-tuned LLM depends on."""
    settings = config_to_dict(config.llm)
    for key in ("workers", "checkpoint_minutes", "silver"):  # the outcome of the first two is the same
        settings.pop(key)
    taught = {}
    if config.llm.silver.text:
        of = {"sentences": config.llm.silver.sentences, "text": digest_unlabelled_texts(config.llm.silver.text)}
        taught = {"silver": {**of, "slm": run.step_digest("train_slm")}}
    return {
        **taught,
        "data": run.step_digest("data"),
        "index": run.step_digest("build_index"),
        "llm": settings,
        "k": config.index.k,
        "prompt": config_to_dict(config.prompt),
        "types": config.types,
        "seed": config.seed,
        "dtype": config.dtype,
        "model": model_digest(config.llm.model),
    }


def train_llm(config: Config, run: Run) -> dict[str, Any]:
    """Fine-tune and write `models/llm`: `llm.json`, `base` if it was made here, `adapter` if LoRA was trained."""
    wanted = inputs(config, run)
    train = partial(_fit, config, run, json_digest(wanted))

    def work() -> dict[str, Any]:
        facts: dict[str, Any] = {}
        base = config.llm.model
        taught = write_pseudo_labels(config, run) if config.llm.silver.text else []
        if base == "scratch":
            base = str(run.path("scratch", "llm"))
            texts = [example.text for example in [*data.read_part(run, "train"), *taught]]
            with replace_folder(run.path("scratch", "llm")) as folder:
                write_scratch_decoder(folder, texts, run.step_result("data")["types"], config.llm.scratch, config.seed)
        if taught:
            with replace_folder(run.path("scratch", "taught")) as folder:
                stage = TrainStage("silver", base, 1, config.llm.full_lr)
                facts["silver"] = {"sentences": len(taught), **train(stage, folder / "model")}
            base = str(run.path("scratch", "taught", "model"))
        with replace_folder(run.path("models", "llm")) as folder:
            if config.llm.full_epochs:
                stage = TrainStage("full", base, config.llm.full_epochs, config.llm.full_lr)
                facts["full"] = train(stage, folder / "base")
                base = share_checkpoint(run, folder / "base")
            if config.llm.epochs:
                stage = TrainStage("lora", base, config.llm.epochs, config.llm.lr)
                facts["lora"] = train(stage, folder / "adapter")
                facts["lora"].update(check_adapter(folder / "adapter"))
            named = "base" if config.llm.full_epochs else str(Path(base).absolute()) if Path(base).is_dir() else base
            adapter = "adapter" if config.llm.epochs else None
            types = run.step_result("data")["types"]
            write_json(
                folder / "llm.json",
                {"base": named, "adapter": adapter, "task": task_instruction(config, types), "types": types},
            )
        load_llm(config, run)  # what was saved is what later steps read: prove that it loads
        return {**facts, "digest": folder_sha256(run.path("models", "llm"))}

    return run.run_step("train_llm", wanted, work)


def check_adapter(folder: Path) -> dict[str, Any]:
    """Facts of a saved adapter. Raises RuntimeError if it is empty or never moved from where it began."""
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    ups = [tensor for name, tensor in tensors.items() if "lora_B" in name]
    moved = sum(bool(tensor.abs().max() > 0) for tensor in ups if tensor.numel())
    if not ups or moved < len(ups) or any(not torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise RuntimeError(f"{folder}: of {len(ups)} adapted modules {moved} learned anything")
    return {"adapted_modules": len(ups), "adapter_parameters": sum(tensor.numel() for tensor in tensors.values())}


def _fit(config: Config, run: Run, name: str, stage: TrainStage, folder: Path) -> dict[str, Any]:
    settings = {"config": config, "run": run, "stage": stage}
    result = run_training(_worker, settings, run, f"llm-{stage.name}-{name}", config.llm.workers)
    if result.checkpoint is None or result.metrics is None:
        raise RuntimeError(f"the {stage.name} stage of the LLM ended without a checkpoint")
    with result.checkpoint.as_directory() as kept:
        shutil.copytree(Path(kept) / "model", folder)
    return {"loss": result.metrics["loss"], "epochs": stage.epochs}


def _worker(settings: dict[str, Any]) -> None:
    """What each fine-tuning worker does."""
    start_logging()
    config: Config = settings["config"]
    run: Run = settings["run"]
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    set_torch_threads(config.llm.workers.cpus)
    trainee = TrainWorker(*build_engine(config, run, settings["stage"], world), config, settings["stage"], rank, world)
    taught = read_pseudo_labels(run) if trainee.stage.name == "silver" else data.read_part(run, "train")
    lessons, done = _lessons(config, run, trainee.llm, taught), restore_checkpoint(trainee)
    steps = min(count_batches(len(lessons), config.llm.batch_size), config.llm.max_steps or len(lessons))
    before = steps * done.epoch + done.step
    progress = step_progress(settings, f"LLM ({trainee.stage.name})", steps * trainee.stage.epochs, before, rank)
    while done.epoch < trainee.stage.epochs:
        _epoch(trainee, lessons, done, progress)


def _epoch(trainee: TrainWorker, lessons: Sequence[llms.SftExample], done: TrainPosition, progress: Progress) -> None:
    """The rest of an epoch, with a checkpoint at its end and every so many minutes before.

    Batches, learning rate and dropout follow from the numbers of epoch and step: going on from a checkpoint comes to
    what would have come without.
    """
    settings, stage, rank = trainee.config.llm, trainee.stage, trainee.rank
    size, seed, epoch, first = settings.batch_size, trainee.config.seed, done.epoch, done.step
    plan = epoch_batches([len(lesson) for lesson in lessons], size, seed + epoch)[: settings.max_steps or None]
    trainee.engine.train()
    saved = time.monotonic()
    for i, batch in enumerate(plan[first:], first):
        step = epoch * len(plan) + i
        for group in trainee.engine.optimizer.param_groups:
            group["lr"] = stage.lr * learning_rate_factor(step, stage.epochs * len(plan), settings.warmup)
        torch.manual_seed(seed + step * 1000 + rank)
        own = worker_share([batch[k % len(batch)] for k in range(size)], rank, trainee.world_size)
        done.losses.append(_step(trainee.engine, [lessons[k] for k in own], settings.micro_batch))
        done.step = i + 1
        progress.advance(1, f"loss {mean(done.losses[-20:]):.4f}")
        if done.step < len(plan) and checkpoint_due(saved, settings.checkpoint_minutes, trainee.llm.device):
            report_checkpoint(trainee, done, {"epoch": epoch, "step": done.step, "loss": mean(done.losses)})
            saved = time.monotonic()
    loss = mean(done.losses)
    done.epoch, done.step, done.losses = epoch + 1, 0, []
    if rank == 0:
        log.info("LLM (%s) epoch %d/%d: loss %.4f", stage.name, done.epoch, stage.epochs, loss)
    report_checkpoint(trainee, done, {"epoch": epoch, "step": len(plan), "loss": loss})


def _step(engine: Any, lessons: Sequence[llms.SftExample], micro: int) -> float:  # noqa: ANN401 - DeepSpeed's engine
    """One step of the optimizer; DeepSpeed counts the micro-batches itself. Returns the mean loss."""
    losses = []
    for at in range(0, len(lessons), micro):
        loss = engine(lessons[at : at + micro])
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def _lessons(config: Config, run: Run, llm: llms.Llm, taught: Sequence[LabelledSentence]) -> list[llms.SftExample]:
    """Every sentence to learn from with its examples: never itself nor its duplicates. Long ones are cut in windows.

    Neighbours share examples as they will when the corpus is tagged: the model learns from prompts of the kind it gets.
    """
    train = [
        piece
        for example in taught
        for piece in llms.split_long_sentence(example, config.llm.max_chars, config.llm.overlap)
    ]
    size = config.prompt.group
    groups = [tuple(example.text for example in train[at : at + size]) for at in range(0, len(train), size)]
    shown = load_retriever(config, run).find_group_examples(groups)
    return [llms.build_sft_example(llm, shown[i // size], example) for i, example in enumerate(train)]
