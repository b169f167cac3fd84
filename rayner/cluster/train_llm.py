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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean as mean
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint
from safetensors.torch import load_file

from rayner.cluster import data
from rayner.cluster.fitting import due, fit, shared, worker_device
from rayner.cluster.session import duration, log, start_logging
from rayner.cluster.trained import load_llm, retriever, task
from rayner.config import Config, digest, resolved
from rayner.models import llm as llms
from rayner.models.checkpoint import deepspeed_states
from rayner.models.tiny import write_decoder
from rayner.models.training import batches, learning_rate, share, use_threads
from rayner.run import Run, folder_digest, model_digest, whole_folder, write_json
from rayner.storage import fetched


@dataclass(frozen=True)
class Stage:
    """One fine-tuning: of all parameters (`full`) or of an adapter (`lora`)."""

    name: str
    base: str
    epochs: int
    lr: float


@dataclass
class Done:
    """How far a fine-tuning is: whole epochs, steps of the next one, and the losses of these on the first worker."""

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Pupil:
    """What one worker trains, and which of the workers it is."""

    engine: Any
    llm: llms.Llm
    config: Config
    stage: Stage
    rank: int
    world: int


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fine-tuned LLM depends on."""
    settings = resolved(config.llm)
    for key in ("workers", "checkpoint_minutes"):  # the outcome is the same
        settings.pop(key)
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
            with whole_folder(run.path("scratch", "llm")) as folder:
                write_decoder(folder, texts, run.facts("data")["types"], config.llm.scratch, config.seed)
        with whole_folder(run.path("models", "llm")) as folder:
            if config.llm.full_epochs:
                stage = Stage("full", base, config.llm.full_epochs, config.llm.full_lr)
                facts["full"] = _fit(config, run, stage, folder / "base")
                base = shared(run, folder / "base")
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
    settings = {"config": config, "run": run, "stage": stage}
    result = fit(_worker, settings, run, f"llm-{stage.name}-{digest(inputs(config, run))}", config.llm.workers)
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
    use_threads(config.llm.workers.cpus)
    pupil = Pupil(*_engine(config, run, settings["stage"], world), config, settings["stage"], rank, world)
    lessons, done = _lessons(config, run, pupil.llm), _restore(pupil)
    while done.epoch < pupil.stage.epochs:
        _epoch(pupil, lessons, done)


def _epoch(pupil: Pupil, lessons: Sequence[llms.Lesson], done: Done) -> None:
    """The rest of an epoch, with a checkpoint at its end and every so many minutes before.

    Batches, learning rate and dropout follow from the numbers of epoch and step: going on from a checkpoint comes to
    what would have come without.
    """
    settings, stage, rank = pupil.config.llm, pupil.stage, pupil.rank
    size, seed, epoch, first = settings.batch_size, pupil.config.seed, done.epoch, done.step
    plan = batches([len(lesson) for lesson in lessons], size, seed + epoch)[: settings.max_steps or None]
    pupil.engine.train()
    begun = said = saved = time.monotonic()
    for i, batch in enumerate(plan[first:], first):
        step = epoch * len(plan) + i
        for group in pupil.engine.optimizer.param_groups:
            group["lr"] = stage.lr * learning_rate(step, stage.epochs * len(plan), settings.warmup)
        torch.manual_seed(seed + step * 1000 + rank)
        own = share([batch[k % len(batch)] for k in range(size)], rank, pupil.world)
        done.losses.append(_step(pupil.engine, [lessons[k] for k in own], settings.micro_batch))
        done.step = i + 1
        if rank == 0 and time.monotonic() - said > 10:
            said = time.monotonic()
            left = (said - begun) / (done.step - first) * (len(plan) * (stage.epochs - epoch) - done.step)
            log.info(
                "LLM (%s) epoch %d/%d, step %d/%d: loss %.4f, %s left",
                stage.name, epoch + 1, stage.epochs, done.step, len(plan), mean(done.losses[-20:]), duration(left),
            )  # fmt: skip
        if done.step < len(plan) and due(saved, settings.checkpoint_minutes, pupil.llm.device):
            _report(pupil, done, {"epoch": epoch, "step": done.step, "loss": mean(done.losses)}, rank)
            saved = time.monotonic()
    loss = mean(done.losses)
    done.epoch, done.step, done.losses = epoch + 1, 0, []
    if rank == 0:
        log.info("LLM (%s) epoch %d/%d: loss %.4f", stage.name, done.epoch, stage.epochs, loss)
    _report(pupil, done, {"epoch": epoch, "step": len(plan), "loss": loss}, rank)


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
        fetched(stage.base),
        task=task(config, types),
        types=types,
        chat=config.llm.chat,
        device=device,
        dtype=config.dtype,
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


def _restore(pupil: Pupil) -> Done:
    """Take up the last checkpoint, if there is one; returns how far it is."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return Done()
    with checkpoint.as_directory() as folder, deepspeed_states():
        pupil.engine.load_checkpoint(folder, tag="state", load_module_strict=False)
        done = Done(**json.loads((Path(folder) / "done.json").read_text()))
    if pupil.rank == 0:
        where = f"step {done.step} of epoch {done.epoch + 1}" if done.step else f"epoch {done.epoch}"
        log.info("LLM (%s): goes on after %s, from its checkpoint", pupil.stage.name, where)
    return done


def _report(pupil: Pupil, done: Done, metrics: dict[str, Any], rank: int) -> None:
    """A checkpoint from all workers, each its part of the optimizer; after an epoch also the model as users load it."""
    llm = pupil.llm
    with tempfile.TemporaryDirectory() as folder:
        pupil.engine.save_checkpoint(folder, tag="state", exclude_frozen_parameters=hasattr(llm.model, "peft_config"))
        if rank == 0:
            (Path(folder) / "done.json").write_text(json.dumps(asdict(done)))
        if done.step == 0:
            with _gathered(llm, pupil.config.llm.zero_stage):
                if rank == 0:
                    llm.model.save_pretrained(Path(folder) / "model")
                    llm.speller.tokenizer.save_pretrained(Path(folder) / "model")
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
