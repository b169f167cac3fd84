"""Training of the small model: one epoch at a time, for any number of workers; no Ray here."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from rayner.config.settings import SlmConfig
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.modeling.training import epoch_batches, learning_rate_factor, worker_share
from rayner.taggers.encoder import EncodedWindow, EncoderTagger, compute_loss, score
from rayner.text.labelled_text import LabelledSentence


def make_optimizer(slm: EncoderTagger, config: SlmConfig) -> torch.optim.Optimizer:
    """AdamW over all parameters."""
    return torch.optim.AdamW(slm.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def train_epoch(
    slm: EncoderTagger,
    model: Any,  # noqa: ANN401 - the slm's model as distributed training wraps it
    optimizer: torch.optim.Optimizer,
    windows: Sequence[EncodedWindow],
    config: SlmConfig,
    *,
    epoch: int,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    report_loss: Callable[[float], None] = lambda loss: None,
) -> float:
    """One epoch over the items; returns the mean loss of this worker's steps. say: is told the loss of each.

    Batches depend on seed and epoch alone, and each worker takes its share of each, so that any number of workers
    sees the same batches. The learning rate follows from the step's number: nothing but model and optimizer is
    needed to go on after an interruption.
    """
    plan = epoch_batches([len(item.tokens) for item in windows], config.batch_size, seed + epoch)
    torch.manual_seed(seed + epoch * 1000 + rank)
    model.train()
    total = 0.0
    for i, batch in enumerate(plan):
        factor = learning_rate_factor(epoch * len(plan) + i, config.epochs * len(plan), config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * factor
        value = compute_loss(slm, [windows[j] for j in worker_share(batch, rank, world_size)], model)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        said = float(value.detach())
        total += said
        report_loss(said)
    model.eval()
    return total / max(1, len(plan))


def held_out_f1(
    slm: EncoderTagger, examples: Sequence[LabelledSentence], config: SlmConfig, types: Sequence[str]
) -> float:
    """Strict entity micro F1 on held-out sentences."""
    answers = score(
        slm, [e.text for e in examples], size=config.max_chars, overlap=config.overlap, batch_size=config.batch_size
    )
    return micro_score(count_entities([e.spans for e in examples], [answer.spans for answer in answers], types)).f1
