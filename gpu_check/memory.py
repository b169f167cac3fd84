"""Measure the peak memory of a check, and compare it with the estimate of `rayner doctor`."""

import resource
import tempfile

import torch
from transformers import PreTrainedConfig

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import build_decoder_config, build_encoder_config
from gpu_check.records import Findings, SkipCheckError
from gpu_check.shapes import DecoderShape, EncoderShape
from rayner.config.settings import Config
from rayner.steps.model_sizes import ModelSize, read_model_size
from rayner.steps.requirements import estimate_stage_needs, format_bytes

# On a CPU the peak is that of the process. Beside a tiny model it is mostly what libraries keep: code that oneDNN
# compiles for each shape of a bfloat16 product, and freed memory. 60 to 220 MB above the estimate were measured.
_CPU_ALLOWANCE = 512 * 1024**2


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement. On a CPU nothing can be reset: the peak is that of the check's process."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)


def read_peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: of tensors on the GPU since the last reset, or of this process on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_memory(device: torch.device) -> int:
    """Return the bytes of all tensors on the GPU; 0 on a CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def require_estimate_holds(
    setup: CheckSetup,
    findings: Findings,
    stage: str,
    slm: EncoderShape | None = None,
    llm: DecoderShape | None = None,
) -> None:
    """Note the peak memory and the estimate of `rayner doctor`, and require that the estimate is not smaller.

    stage, slm, llm: see `note_memory`.
    """
    peak, estimate = note_memory(setup, findings, stage, slm, llm)
    findings.require(
        peak <= estimate + (_CPU_ALLOWANCE if setup.device.type == "cpu" else 0),
        f"peak memory: expected at most {format_bytes(estimate)}, the estimate of `rayner doctor` for {stage}, found "
        f"{format_bytes(peak)}",
    )


def note_memory(
    setup: CheckSetup,
    findings: Findings,
    stage: str,
    slm: EncoderShape | None = None,
    llm: DecoderShape | None = None,
) -> tuple[int, int]:
    """Note and return the peak memory and the estimate of `rayner doctor`, in bytes.

    Args:
        setup: The device and the settings.
        findings: What the check found so far.
        stage: The stage, by the setting that configures its processes.
        slm: The shape of the SLM; None for none.
        llm: The shape of the LLM; None for none.

    """
    peak, estimate = read_peak_memory(setup.device), estimate_bytes(setup, stage, slm, llm)
    findings.note("peak_bytes", peak)
    findings.note("estimate_bytes", estimate)
    return peak, estimate


def require_room(
    setup: CheckSetup, stage: str, slm: EncoderShape | None = None, llm: DecoderShape | None = None
) -> None:
    """Skip the check if the GPU has less free memory than `rayner doctor` expects the stage to need."""
    if setup.device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(setup.device)
    estimate = estimate_bytes(setup, stage, slm, llm)
    if free < estimate:
        raise SkipCheckError(f"the GPU has {format_bytes(free)} free, the check needs about {format_bytes(estimate)}")


def estimate_bytes(setup: CheckSetup, stage: str, slm: EncoderShape | None, llm: DecoderShape | None) -> int:
    """Return the memory that `rayner doctor` expects a process of a stage to need on the device."""
    slm_size = None if slm is None else _read_size(build_encoder_config(slm), None)
    llm_size = None if llm is None else _read_size(build_decoder_config(llm), setup.config)
    (need,) = [need for need in estimate_stage_needs(setup.config, slm_size, llm_size) if need.key == stage]
    return need.gpu_bytes if need.gpus else need.host_bytes + need.shared_bytes


def _read_size(model_config: PreTrainedConfig, config_if_llm: Config | None) -> ModelSize:
    with tempfile.TemporaryDirectory() as folder:
        model_config.save_pretrained(folder)
        return read_model_size(folder, config_if_llm)
