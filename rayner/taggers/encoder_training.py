"""Training of the encoder tagger: input, loss, and one epoch in any number of workers. This module does not use Ray."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from rayner.config.model_settings import SlmConfig
from rayner.modeling.tensors import pad_rows
from rayner.modeling.training_schedule import epoch_batches, learning_rate_factor, worker_share
from rayner.taggers.encoder import (
    IGNORED_LABEL,
    EncodedWindow,
    EncoderTagger,
    encode_window,
    split_into_model_windows,
)
from rayner.text.labelled_text import LabelledSentence
from rayner.text.tags import spans_to_tags


def make_optimizer(tagger: EncoderTagger, config: SlmConfig) -> torch.optim.Optimizer:
    """Return an AdamW optimizer for all parameters."""
    return torch.optim.AdamW(tagger.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def encode_training_windows(
    tagger: EncoderTagger, sentences: Sequence[LabelledSentence], max_chars: int, overlap: int
) -> list[EncodedWindow]:
    """Encode labelled sentences as training input; split a sentence longer than `max_chars` into windows."""
    encoded = []
    for sentence in sentences:
        tags = spans_to_tags(sentence.spans, len(sentence.text))
        for window in split_into_model_windows(tagger, sentence.text, max_chars, overlap):
            chars = slice(window.start, window.end)
            encoded.append(encode_window(tagger, sentence.text[chars], tags[chars]))
    return encoded


def compute_loss(
    tagger: EncoderTagger,
    windows: Sequence[EncodedWindow],
    wrapped_model: Any = None,  # noqa: ANN401 - a wrapped model
) -> torch.Tensor:
    """Return the mean cross entropy over the tokens of a batch.

    Args:
        tagger: The tagger.
        windows: The windows of the batch.
        wrapped_model: The tagger's model as distributed training wraps it. None takes the tagger's own model.

    """
    padding_token = tagger.tokenizer.tokenizer.pad_token_id
    tokens = pad_rows([window.tokens for window in windows], padding_token).to(tagger.device)
    mask = pad_rows([[1] * len(window.tokens) for window in windows], 0).to(tagger.device)
    labels = pad_rows([window.token_labels for window in windows], IGNORED_LABEL).to(tagger.device)
    loss: torch.Tensor = (wrapped_model or tagger.model)(input_ids=tokens, attention_mask=mask, labels=labels).loss
    return loss


def train_epoch(
    tagger: EncoderTagger,
    wrapped_model: Any,  # noqa: ANN401 - the tagger's model as distributed training wraps it
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
    """Train for one epoch and return the mean loss over the steps of this worker.

    The batches depend only on seed and epoch. Each worker takes its share of each batch. So the batches are the same
    for any number of workers. The learning rate depends only on the number of the step. So resuming after an
    interruption needs only the model and the optimizer.

    Args:
        tagger: The tagger.
        wrapped_model: The tagger's model as distributed training wraps it.
        optimizer: The optimizer.
        windows: All training windows.
        config: The settings `slm`.
        epoch: The number of the epoch, from 0.
        seed: The random seed.
        rank: The number of this worker, from 0.
        world_size: The number of workers.
        report_loss: Is called with the loss of each step.

    """
    batches = epoch_batches([len(window.tokens) for window in windows], config.batch_size, seed + epoch)
    torch.manual_seed(seed + epoch * 1000 + rank)
    wrapped_model.train()
    total = 0.0
    for i, batch in enumerate(batches):
        factor = learning_rate_factor(epoch * len(batches) + i, config.epochs * len(batches), config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * factor
        loss = compute_loss(tagger, [windows[j] for j in worker_share(batch, rank, world_size)], wrapped_model)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(wrapped_model.parameters(), 1.0)
        optimizer.step()
        step_loss = float(loss.detach())
        total += step_loss
        report_loss(step_loss)
    wrapped_model.eval()
    return total / max(1, len(batches))
