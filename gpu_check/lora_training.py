"""Train a LoRA adapter in bfloat16 by rayner's loss, with DeepSpeed (ZeRO-2, one rank) if it is installed."""

import math
from collections.abc import Sequence

import torch

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import SEED, make_llm
from gpu_check.made_texts import make_sentences
from gpu_check.memory import read_memory, read_peak_memory, require_estimate_holds, require_room, reset_peak_memory
from gpu_check.one_rank import TrainEngine, open_engine
from gpu_check.records import Findings
from rayner.llm.model import Llm, add_lora
from rayner.llm.sft import SftExample, SftLoss, build_sft_example, count_common_prompt_tokens, split_into_passes

_LARGEST_FINAL_LOSS = 0.98  # as a share of the first step's loss
_LR = 2e-3


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
    frozen_sums = _sum_frozen_weights(llm)
    examples = _make_examples(llm, setup.size.sft_examples)
    findings.note("parameters", sum(parameter.numel() for parameter in llm.model.parameters()))
    findings.note("adapter_parameters", sum(p.numel() for p in llm.model.parameters() if p.requires_grad))
    max_tokens = setup.config.llm.micro_batch_tokens
    sft_loss = SftLoss(llm, setup.config.llm.loss_over)
    passes = _divide(examples, max_tokens, packs=sft_loss.packs)
    largest_pass = max(_count_tokens(examples, packs=sft_loss.packs) for examples in passes)
    findings.note("micro_batch_tokens", max_tokens)
    findings.note("passes_per_step", len(passes))
    findings.note("largest_pass_tokens", largest_pass)
    with open_engine(setup, sft_loss, _LR) as engine:
        findings.note("optimizer", engine.name)
        before = read_memory(setup.device)
        losses, seconds = _train(setup, engine, passes)
        if setup.device.type == "cuda":
            grown = read_peak_memory(setup.device) - before
            findings.note("peak_bytes_per_token_of_a_pass", grown // largest_pass)
    findings.note("first_loss", losses[0])
    findings.note("last_loss", losses[-1])
    findings.note("tokens_per_second", sum(map(len, examples)) / seconds)
    findings.require_loss_falls(losses, _LARGEST_FINAL_LOSS, "step")
    findings.require(_sum_frozen_weights(llm) == frozen_sums, "a weight of the frozen base model changed")
    require_estimate_holds(setup, findings, "llm.workers", llm=shape)


def _make_examples(llm: Llm, n: int) -> list[SftExample]:
    sentences = make_sentences(n, seed=3)
    return [build_sft_example(llm, sentences[i - 3 : i], sentence) for i, sentence in enumerate(sentences)]


def _divide(examples: Sequence[SftExample], max_tokens: int, *, packs: bool) -> list[list[SftExample]]:
    (passes,) = split_into_passes(examples, max_tokens, 1, packs=packs)
    return [[examples[i] for i in rows] for rows in passes]


def _count_tokens(examples: Sequence[SftExample], *, packs: bool) -> int:
    """Return the number of tokens in a pass, padding counted."""
    lengths = [len(example) + 1 for example in examples]
    if packs:
        return sum(lengths) - (len(examples) - 1) * count_common_prompt_tokens(examples)
    return len(examples) * max(lengths)


def _train(setup: CheckSetup, engine: TrainEngine, passes: Sequence[Sequence[SftExample]]) -> tuple[list[float], float]:
    """Train on the same batch several times; return the losses, and the seconds of the fastest step."""
    losses, seconds = [], math.inf
    n_positions = sum(len(example.answer) + 1 for examples in passes for example in examples)
    for _ in range(setup.size.steps):
        step_seconds, loss = setup.measure_seconds(lambda: engine.train_step(passes, n_positions))
        losses.append(loss)
        seconds = min(seconds, step_seconds)
    return losses, seconds


def _sum_frozen_weights(llm: Llm) -> list[float]:
    """Return the sum of each weight that is not trained."""
    with torch.no_grad():
        return [float(p.sum(dtype=torch.float32)) for p in llm.model.parameters() if not p.requires_grad]
