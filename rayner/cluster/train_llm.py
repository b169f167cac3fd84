"""Fine-tuning of the LLM: Ray Train workers, DeepSpeed (ZeRO), LoRA by peft (method, section 3).

A model made from scratch first gets epochs with all its parameters, saved as the base checkpoint: LoRA on a frozen
random base learns badly. A pretrained one goes straight to LoRA.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import TorchTrainer
from safetensors.torch import load_file

from rayner.cluster import data
from rayner.cluster.session import duration, log, start_logging
from rayner.cluster.train_slm import run_config, scaling, worker_device
from rayner.cluster.trained import load_llm, retriever, task
from rayner.config import Config, digest, resolved
from rayner.models import llm as llms
from rayner.models.checkpoint import deepspeed_states
from rayner.models.tiny import write_decoder
from rayner.models.training import batches, learning_rate, share, use_threads
from rayner.run import Run, folder_digest, model_digest, whole_folder, write_json


@dataclass(frozen=True)
class Stage:
    """One fine-tuning: of all parameters (`full`) or of an adapter (`lora`)."""

    name: str
    base: str
    epochs: int
    lr: float


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fine-tuned LLM depends on."""
    settings = resolved(config.llm)
    settings.pop("workers")
    return {
        "data": run.digest("data"),
        "index": run.digest("build_index"),
        "llm": settings,
        "k": config.index.k,
        "prompt": resolved(config.prompt),
        "types": config.types,
        "seed": config.seed,
        "dtype": config.dtype,
        "model": model_digest(config.llm.model),
    }


def train_llm(config: Config, run: Run) -> dict[str, Any]:
    """Fine-tune and write `models/llm`: `llm.json`, `base` if it was made here, `adapter` if LoRA was trained."""

    def work() -> dict[str, Any]:
        facts: dict[str, Any] = {}
        base = config.llm.model
        if base == "scratch":
            base = str(run.path("scratch", "llm"))
            texts = [example.text for example in data.part(run, "train")]
            with whole_folder(Path(base)) as folder:
                write_decoder(folder, texts, run.facts("data")["types"], config.llm.scratch, config.seed)
        with whole_folder(run.path("models", "llm")) as folder:
            if config.llm.full_epochs:
                stage = Stage("full", base, config.llm.full_epochs, config.llm.full_lr)
                facts["full"] = _fit(config, run, stage, folder / "base")
                base = str(folder / "base")
            if config.llm.epochs:
                stage = Stage("lora", base, config.llm.epochs, config.llm.lr)
                facts["lora"] = _fit(config, run, stage, folder / "adapter")
                facts["lora"].update(prove_adapter(folder / "adapter"))
            named = "base" if config.llm.full_epochs else str(Path(base).absolute()) if Path(base).is_dir() else base
            adapter = "adapter" if config.llm.epochs else None
            types = run.facts("data")["types"]
            write_json(
                folder / "llm.json", {"base": named, "adapter": adapter, "task": task(config, types), "types": types}
            )
        load_llm(config, run)  # what was saved is what later steps read: prove that it loads
        return {**facts, "digest": folder_digest(run.path("models", "llm"))}

    return run.once("train_llm", inputs(config, run), work)


def prove_adapter(folder: Path) -> dict[str, Any]:
    """Facts of a saved adapter. Raises RuntimeError if it is empty or never moved from where it began."""
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    ups = [tensor for name, tensor in tensors.items() if "lora_B" in name]
    moved = sum(bool(tensor.abs().max() > 0) for tensor in ups if tensor.numel())
    if not ups or moved < len(ups) or any(not torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise RuntimeError(f"{folder}: of {len(ups)} adapted modules {moved} learned anything")
    return {"adapted_modules": len(ups), "adapter_parameters": sum(tensor.numel() for tensor in tensors.values())}


def _fit(config: Config, run: Run, stage: Stage, folder: Path) -> dict[str, Any]:
    result = TorchTrainer(
        _worker,
        train_loop_config={"config": config, "run": run, "stage": stage},
        scaling_config=scaling(config.llm.workers),
        run_config=run_config(run, f"llm-{stage.name}-{digest(inputs(config, run))}", config.llm.workers),
    ).fit()
    if result.error:
        raise result.error
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
    stage: Stage = settings["stage"]
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    use_threads(config.llm.workers.cpus)
    engine, llm = _engine(config, run, stage, world)
    lessons = _lessons(config, run, llm)
    first = _restore(engine, stage)
    size = config.llm.batch_size
    for epoch in range(first, stage.epochs):
        plan = batches([len(lesson) for lesson in lessons], size, config.seed + epoch)[: config.llm.max_steps or None]
        torch.manual_seed(config.seed + epoch * 1000 + rank)
        engine.train()
        losses, begun, said = [0.0], time.time(), time.time()
        for i, batch in enumerate(plan):
            factor = learning_rate(epoch * len(plan) + i, stage.epochs * len(plan), config.llm.warmup)
            for group in engine.optimizer.param_groups:
                group["lr"] = stage.lr * factor
            own = share([batch[k % len(batch)] for k in range(size)], rank, world)
            losses.append(_step(engine, [lessons[k] for k in own], config.llm.micro_batch))
            if rank == 0 and time.time() - said > 10:
                said = time.time()
                left = (said - begun) / (i + 1) * (len(plan) * (stage.epochs - epoch) - i - 1)
                log.info(
                    "LLM (%s) epoch %d/%d, step %d/%d: loss %.4f, %s left",
                    stage.name, epoch + 1, stage.epochs, i + 1, len(plan), np.mean(losses[-20:]), duration(left),
                )  # fmt: skip
        loss = float(np.mean(losses[1:]))
        if rank == 0:
            log.info("LLM (%s) epoch %d/%d: loss %.4f", stage.name, epoch + 1, stage.epochs, loss)
        _report(engine, llm, config, {"epoch": epoch, "loss": loss}, rank)


def _step(engine: Any, lessons: Sequence[llms.Lesson], micro: int) -> float:  # noqa: ANN401 - DeepSpeed's engine
    """One step of the optimizer; DeepSpeed counts the micro-batches itself. Returns the mean loss."""
    losses = []
    for at in range(0, len(lessons), micro):
        loss = engine(lessons[at : at + micro])
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def _lessons(config: Config, run: Run, llm: llms.Llm) -> list[llms.Lesson]:
    """Every training sentence with its examples: never itself nor its duplicates. Long ones are cut in windows.

    Neighbours share examples as they will when the corpus is tagged: the model learns from prompts of the kind it gets.
    """
    train = [
        piece
        for example in data.part(run, "train")
        for piece in llms.pieces(example, config.llm.max_chars, config.llm.overlap)
    ]
    size = config.prompt.group
    groups = [tuple(example.text for example in train[at : at + size]) for at in range(0, len(train), size)]
    shown = retriever(config, run).shared(groups)
    return [llms.lesson(llm, shown[i // size], example) for i, example in enumerate(train)]


def _engine(config: Config, run: Run, stage: Stage, world: int) -> tuple[Any, llms.Llm]:
    """The DeepSpeed engine around the model and its loss."""
    device = worker_device(config.device)
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    import deepspeed.ops

    if device.type == "cpu":
        # Shared-memory collectives would be compiled on the spot, which needs g++ and ninja; gloo needs neither.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    types = run.facts("data")["types"]
    llm = llms.load(
        stage.base, task=task(config, types), types=types, chat=config.llm.chat, device=device, dtype=config.dtype
    )
    if config.llm.gradient_checkpointing:
        llm.model.gradient_checkpointing_enable()
        llm.model.enable_input_require_grads()
    if stage.name == "lora":
        torch.manual_seed(config.seed)  # the same fresh adapter on every worker
        llm.model = llms.with_lora(llm.model, config.llm.lora)
    trainable = [p for p in llm.model.parameters() if p.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=llms.Teacher(llm, config.llm.objective),
        optimizer=torch.optim.AdamW(trainable, lr=stage.lr, weight_decay=0.01),
        config=deepspeed_config(config, world),
        dist_init_required=False,
    )
    return engine, llm


def deepspeed_config(config: Config, world: int) -> dict[str, Any]:
    """DeepSpeed's settings: ZeRO stage, precision, batch."""
    zero: dict[str, Any] = {"stage": config.llm.zero_stage, "overlap_comm": config.device != "cpu"}
    if config.llm.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_micro_batch_size_per_gpu": config.llm.micro_batch,
        "gradient_accumulation_steps": config.llm.batch_size // (world * config.llm.micro_batch),
        "gradient_clipping": 1.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.dtype == "bfloat16"},
        "steps_per_print": 2**31,
    }


def _restore(engine: Any, stage: Stage) -> int:  # noqa: ANN401 - DeepSpeed's engine
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder, deepspeed_states():
        engine.load_checkpoint(folder, tag="state", load_module_strict=False)
        epoch = int(json.loads((Path(folder) / "epoch.json").read_text())["epoch"])
    log.info("LLM (%s): goes on after epoch %d, from its checkpoint", stage.name, epoch + 1)
    return epoch + 1


def _report(engine: Any, llm: llms.Llm, config: Config, metrics: dict[str, Any], rank: int) -> None:  # noqa: ANN401
    """A checkpoint from all workers: each its part of the optimizer, the first also the model as users load it."""
    with tempfile.TemporaryDirectory() as folder:
        engine.save_checkpoint(folder, tag="state", exclude_frozen_parameters=hasattr(llm.model, "peft_config"))
        with _gathered(llm, config.llm.zero_stage):
            if rank == 0:
                llm.model.save_pretrained(Path(folder) / "model")
                llm.speller.tokenizer.save_pretrained(Path(folder) / "model")
                (Path(folder) / "epoch.json").write_text(json.dumps({"epoch": metrics["epoch"]}))
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))


@contextlib.contextmanager
def _gathered(llm: llms.Llm, zero_stage: int) -> Iterator[None]:
    """Under ZeRO-3 every worker must help to put the trained parameters together, also those that do not save."""
    if zero_stage < 3:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([p for p in llm.model.parameters() if p.requires_grad]):
        yield
