"""The settings of DeepSpeed for the training of the LLM."""

from typing import Any

import torch

from rayner.config.model_settings import LlmConfig

# Gradients that are sent together. DeepSpeed's own 500 M would reserve 2 GB on each card.
_BUCKET_ELEMENTS = 50_000_000


def deepspeed_config(llm: LlmConfig, device: torch.device) -> dict[str, Any]:
    """Build DeepSpeed's settings, such as ZeRO stage and precision.

    DeepSpeed divides nothing by a number of micro-batches: `deepspeed_worker` scales each loss itself.
    """
    stage = llm.zero_stage
    zero: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": device.type != "cpu" and stage < 3,
        "reduce_bucket_size": _BUCKET_ELEMENTS,
    }
    if stage == 3:
        # One module is gathered at a time: nothing is gathered ahead of its use, kept for later use, or left whole.
        # So what is gathered does not depend on the order of earlier passes, which may differ between workers.
        zero |= {
            "stage3_prefetch_bucket_size": 0,
            "stage3_max_live_parameters": 0,
            "stage3_max_reuse_distance": 0,
            "stage3_param_persistence_threshold": 0,
        }
    return {
        "train_micro_batch_size_per_gpu": 1,  # DeepSpeed only counts with it
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 1.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": llm.dtype == "bfloat16"},
        "data_types": {"grad_accum_dtype": "fp32"},  # many passes add up to one gradient
        "steps_per_print": 2**31,  # print nothing
    }
