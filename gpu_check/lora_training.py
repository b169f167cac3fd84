"""Train a LoRA adapter in bfloat16 by rayner's loss, with DeepSpeed (ZeRO-2, one rank) if it is installed."""

import math
import time
from collections.abc import Sequence

import torch

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import SEED, make_llm
from gpu_check.made_texts import make_sentences
from gpu_check.memory import require_estimate_holds, require_room, reset_peak_memory
from gpu_check.one_rank import TrainEngine, open_engine
from gpu_check.records import Findings
from rayner.llm.model import Llm, add_lora
from rayner.llm.sft import SftExample, SftLoss, build_sft_example

_LARGEST_FINAL_LOSS = 0.98  # as a share of the first step's loss
_LR = 2e-3
_MICRO_BATCH = 2


def check_lora_training(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Train an adapter on a few examples, and require that the loss falls and that only the adapter changes."""
    shape = setup.size.decoders[shape_name]
    require_room(setup, "llm.workers", llm=shape)
    reset_peak_memory(setup.device)
    llm = make_llm(shape, setup.device, "bfloat16")
    llm.model.gradient_checkpointing_enable()
    llm.model.enable_input_require_grads()
    torch.manual_seed(SEED)
    llm.model = add_lora(llm.model, setup.config.llm.lora)
    frozen_sums = _sum_weights(llm, trained=False)
    examples = _make_examples(llm, setup.size.sft_examples)
    findings.note("parameters", sum(parameter.numel() for parameter in llm.model.parameters()))
    findings.note("adapter_parameters", sum(p.numel() for p in llm.model.parameters() if p.requires_grad))
    micro_batches = [examples[i : i + _MICRO_BATCH] for i in range(0, len(examples), _MICRO_BATCH)]
    loss = SftLoss(llm, setup.config.llm.loss_over)
    with open_engine(setup, loss, _LR, len(micro_batches)) as engine:
        findings.note("optimizer", engine.name)
        losses, seconds = _train(setup, engine, micro_batches)
    findings.note("first_loss", losses[0])
    findings.note("last_loss", losses[-1])
    findings.note("tokens_per_second", sum(map(len, examples)) / seconds)
    findings.require(
        all(map(math.isfinite, losses)) and losses[-1] < _LARGEST_FINAL_LOSS * losses[0],
        f"expected the loss to fall below {_LARGEST_FINAL_LOSS} of the first step's, found "
        f"{losses[0]:.3f} to {losses[-1]:.3f}",
    )
    findings.require(_sum_weights(llm, trained=False) == frozen_sums, "a weight of the frozen base model changed")
    require_estimate_holds(setup, findings, "llm.workers", llm=shape)


def _make_examples(llm: Llm, n: int) -> list[SftExample]:
    sentences = make_sentences(n, seed=3)
    return [build_sft_example(llm, sentences[i - 3 : i], sentence) for i, sentence in enumerate(sentences)]


def _train(
    setup: CheckSetup, engine: TrainEngine, micro_batches: Sequence[Sequence[SftExample]]
) -> tuple[list[float], float]:
    """Train on the same batch several times; return the losses, and the seconds of the fastest step."""
    losses, seconds = [], math.inf
    for _ in range(setup.size.steps):
        started = time.perf_counter()
        losses.append(engine.train_step(micro_batches))
        setup.synchronize()
        seconds = min(seconds, time.perf_counter() - started)
    return losses, seconds


def _sum_weights(llm: Llm, *, trained: bool) -> list[float]:
    """Return the sum of each weight that is trained, or of each that is not."""
    with torch.no_grad():
        return [float(p.sum(dtype=torch.float32)) for p in llm.model.parameters() if p.requires_grad is trained]
