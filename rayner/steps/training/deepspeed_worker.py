"""What a fine-tuning worker holds: DeepSpeed's engine around the LLM and its loss, and the checkpoints of both."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint

from rayner.cluster.ray_train import select_worker_device
from rayner.config.settings import Config
from rayner.llm import model as llms
from rayner.modeling.checkpoint import unpickle_only_deepspeed_states
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps.loading import task_instruction


@dataclass(frozen=True)
class TrainStage:
    """One fine-tuning: of all parameters (`full`) or of an adapter (`lora`)."""

    name: str
    base: str
    epochs: int
    lr: float


@dataclass
class TrainPosition:
    """How far a fine-tuning is: whole epochs, steps of the next one, and the losses of these on the first worker."""

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class TrainWorker:
    """What one worker trains, and which of the workers it is."""

    engine: Any
    llm: llms.Llm
    config: Config
    stage: TrainStage
    rank: int
    world_size: int


def build_engine(config: Config, run: Run, stage: TrainStage, world_size: int) -> tuple[Any, llms.Llm]:
    """The DeepSpeed engine around the model and its loss."""
    device = select_worker_device(config.device)
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    import deepspeed.ops

    if device.type == "cpu":
        # Shared-memory collectives would be compiled on the spot, which needs g++ and ninja; gloo needs neither.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    types = run.step_result("data")["types"]
    llm = llms.load_llm_checkpoint(
        local_model_name(stage.base),
        instruction=task_instruction(config, types),
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
        llm.model = llms.add_lora(llm.model, config.llm.lora)
    trainable = [p for p in llm.model.parameters() if p.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=llms.SftLoss(llm, config.llm.objective),
        optimizer=torch.optim.AdamW(trainable, lr=stage.lr, weight_decay=0.01),
        config=deepspeed_config(config, world_size),
        dist_init_required=False,
    )
    return engine, llm


def deepspeed_config(config: Config, world_size: int) -> dict[str, Any]:
    """DeepSpeed's settings: ZeRO stage, precision, batch."""
    zero: dict[str, Any] = {"stage": config.llm.zero_stage, "overlap_comm": config.device != "cpu"}
    if config.llm.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_micro_batch_size_per_gpu": config.llm.micro_batch,
        "gradient_accumulation_steps": config.llm.batch_size // (world_size * config.llm.micro_batch),
        "gradient_clipping": 1.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.dtype == "bfloat16"},
        "steps_per_print": 2**31,
    }


def restore_checkpoint(trainee: TrainWorker) -> TrainPosition:
    """Take up the last checkpoint, if there is one; returns how far it is."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return TrainPosition()
    with checkpoint.as_directory() as folder, unpickle_only_deepspeed_states():
        trainee.engine.load_checkpoint(folder, tag="state", load_module_strict=False)
        done = TrainPosition(**json.loads((Path(folder) / "done.json").read_text()))
    if trainee.rank == 0:
        where = f"step {done.step} of epoch {done.epoch + 1}" if done.step else f"epoch {done.epoch}"
        log.info("LLM (%s): goes on after %s, from its checkpoint", trainee.stage.name, where)
    return done


def report_checkpoint(trainee: TrainWorker, done: TrainPosition, metrics: dict[str, Any]) -> None:
    """A checkpoint from all workers, each its part of the optimizer; after an epoch also the model as users load it."""
    llm = trainee.llm
    with tempfile.TemporaryDirectory() as folder:
        trainee.engine.save_checkpoint(folder, tag="state", exclude_frozen_parameters=hasattr(llm.model, "peft_config"))
        if trainee.rank == 0:
            (Path(folder) / "done.json").write_text(json.dumps(asdict(done)))
        if done.step == 0:
            with _gathered(llm, trainee.config.llm.zero_stage):
                if trainee.rank == 0:
                    llm.model.save_pretrained(Path(folder) / "model")
                    llm.tokenizer.tokenizer.save_pretrained(Path(folder) / "model")
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
