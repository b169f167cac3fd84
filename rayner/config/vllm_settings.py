"""The settings of vLLM (see `rayner.config.settings`)."""

from dataclasses import dataclass

from rayner.config.conditions import llm_runs_in_vllm
from rayner.config.declare import PREDICTION, StepIf, setting


@dataclass(frozen=True)
class VllmConfig:
    """Settings of vLLM. They are read only with `llm.engine: vllm`."""

    tensor_parallel: int = setting(
        1, "GPUs among which vLLM divides the model; an actor must have as many (score.gpus)", above=0, steps=()
    )
    memory_share: float = setting(
        0.8, "share of each GPU's memory that vLLM takes; the rest is for the small model", above=0, at_most=1, steps=()
    )
    max_tokens: int = setting(
        0, "longest prompt with its answer, in tokens; 0: the checkpoint's limit. Fewer need less memory",
        at_least=0, steps=tuple(StepIf(step, llm_runs_in_vllm) for step in PREDICTION),
    )  # fmt: skip
