"""Build the DeepSpeed engine that trains the LLM."""

import os
from typing import Any

import torch

from rayner.cluster.compat import use_gloo_for_deepspeed_on_cpu
from rayner.cluster.ray_train import select_worker_device
from rayner.config.settings import Config
from rayner.llm.model import Llm, add_lora, load_llm_checkpoint
from rayner.llm.sft import SftLoss
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps.loading import choose_instruction


def build_engine(config: Config, run: Run, base: str, *, lr: float, lora: bool, world_size: int) -> tuple[Any, Llm]:
    """Load a checkpoint and build a DeepSpeed engine that trains it; return the engine and the LLM.

    Args:
        config: the settings of the run.
        run: the run, which provides the entity types.
        base: the checkpoint to load.
        lr: the peak learning rate.
        lora: if True, a new LoRA adapter is trained; if False, all parameters are trained.
        world_size: the number of training workers.

    """
    device = select_worker_device(config.device, config.llm.workers.gpus)
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
        use_gloo_for_deepspeed_on_cpu()
    import deepspeed

    types = run.entity_types()
    llm = load_llm_checkpoint(
        local_model_name(base),
        instruction=choose_instruction(config, types),
        types=types,
        chat=config.llm.chat,
        device=device,
        dtype=config.llm.dtype,
    )
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
        config=deepspeed_config(config, world_size),
        dist_init_required=False,
    )
    return engine, llm


def deepspeed_config(config: Config, world_size: int) -> dict[str, Any]:
    """Build DeepSpeed's settings, such as ZeRO stage, precision and batch sizes."""
    zero: dict[str, Any] = {"stage": config.llm.zero_stage, "overlap_comm": config.device != "cpu"}
    if config.llm.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_micro_batch_size_per_gpu": config.llm.micro_batch,
        "gradient_accumulation_steps": config.llm.batch_size // (world_size * config.llm.micro_batch),
        "gradient_clipping": 1.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.llm.dtype == "bfloat16"},
        "steps_per_print": 2**31,  # print nothing
    }
