"""Build the DeepSpeed engine that trains the LLM."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rayner.cluster.compat import use_gloo_for_deepspeed_on_cpu
from rayner.cluster.ray_train import select_worker_device
from rayner.config.settings import Config
from rayner.errors import NotFiniteError
from rayner.llm.model import Llm, add_lora, load_llm_checkpoint
from rayner.llm.sft import SftLoss
from rayner.modeling.deepspeed_settings import deepspeed_config
from rayner.modeling.devices import stop_keeping_freed_memory
from rayner.modeling.finite_weights import require_finite_files
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps.llm_loading import choose_instruction


def build_engine(config: Config, run: Run, base: str, *, lr: float, lora: bool) -> tuple[Any, Llm]:
    """Load a checkpoint and build a DeepSpeed engine that trains it; return the engine and the LLM.

    Args:
        config: the settings of the run.
        run: the run, which provides the entity types.
        base: the checkpoint to load.
        lr: the peak learning rate.
        lora: if True, a new LoRA adapter is trained; if False, all parameters are trained.

    """
    device = select_worker_device(config.device, config.llm.workers.gpus)
    if device.type == "cpu":
        stop_keeping_freed_memory()
        os.environ["DS_ACCELERATOR"] = "cpu"
        use_gloo_for_deepspeed_on_cpu()
    import deepspeed

    settings = deepspeed_config(config.llm, device)
    with _shard_while_loading(config.llm.zero_stage, settings):
        llm = _load_on_all_workers(config, run, base, device)
    if config.llm.gradient_checkpointing:
        llm.model.gradient_checkpointing_enable()
        llm.model.enable_input_require_grads()
    if lora:
        torch.manual_seed(config.seed)  # every worker draws the same initial adapter
        llm.model = add_lora(llm.model, config.llm.lora)
    trainable = [parameter for parameter in llm.model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=SftLoss(llm, config.llm.loss_over),
        optimizer=torch.optim.AdamW(trainable, lr=lr, weight_decay=0.01),
        config=settings,
        dist_init_required=False,
    )
    return engine, llm


@contextlib.contextmanager
def _shard_while_loading(zero_stage: int, settings: dict[str, Any]) -> Iterator[None]:
    """Under ZeRO-3, make transformers divide each parameter among the workers as soon as it is created.

    So no worker holds the whole model.
    """
    if zero_stage < 3:
        yield
        return
    from transformers.integrations.deepspeed import HfDeepSpeedConfig

    # transformers keeps a weak reference: it divides parameters as long as this object exists.
    sharding = HfDeepSpeedConfig(settings)
    yield
    del sharding


def _load_on_all_workers(config: Config, run: Run, base: str, device: torch.device) -> Llm:
    """Load the model in every worker.

    Raises NotFiniteError in all workers if one of them finds a weight that is not finite. Under ZeRO-3 each worker
    sees other weights, and the others would wait for it.
    """
    types = run.entity_types()
    error: NotFiniteError | None = None
    try:
        llm = load_llm_checkpoint(
            local_model_name(base),
            instruction=choose_instruction(config, types),
            types=types,
            chat=config.llm.chat,
            device=device,
            dtype=config.llm.dtype,
            load_in=config.llm.load_in,
        )
    except NotFiniteError as found:
        error = found
    n_errors = torch.tensor([int(error is not None)], device=device)
    torch.distributed.all_reduce(n_errors)
    if error is not None:
        raise error
    if n_errors:
        if Path(base).is_dir():
            require_finite_files(Path(base))  # names the file and the tensor
        raise NotFiniteError(f"{base}: expected finite weights, found NaN or infinity in the part of another worker")
    return llm
