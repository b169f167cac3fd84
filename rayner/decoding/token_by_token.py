"""Decode a batch of answers one token at a time, with a key-value cache."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from rayner.decoding.token_budget import warn_of_oversized
from rayner.llm.model import Llm
from rayner.modeling.batching import TokenLimit, divide_at_ends, largest_batch_ends
from rayner.modeling.tensors import pad_rows
from rayner.runs.heartbeat import beat


class GrowingAnswer(Protocol):
    """An answer that is being decoded. tokens: its tokens so far."""

    tokens: list[int]

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete."""


Answer = TypeVar("Answer", bound=GrowingAnswer)


def decode_in_batches(
    llm: Llm,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Answer],
    max_answer_tokens: Sequence[int],
    append_tokens: Callable[[Sequence[Answer], torch.Tensor], None],
    *,
    order: Sequence[int],
    batch_size: int,
    batch_tokens: int,
) -> None:
    """Decode answers in batches that keep to the limits. A text that needs more tokens is answered alone, and told.

    Args:
        llm: The LLM.
        prompts: The token ids before each answer.
        answers: The answers, without tokens.
        max_answer_tokens: The most tokens that each answer can have.
        append_tokens: See `decode_token_by_token`.
        order: The indices of the answers, those of similar length side by side.
        batch_size: See `make_engine`.
        batch_tokens: See `make_engine`.

    """
    limit = TokenLimit([*map(len, prompts)], max_answer_tokens, batch_tokens)
    for batch in divide_at_ends(order, largest_batch_ends(order, batch_size, limit)):
        decode_token_by_token(llm, [prompts[i] for i in batch], [answers[i] for i in batch], append_tokens)
    warn_of_oversized([sum(pair) for pair in zip(limit.cached, limit.new, strict=True)], batch_tokens)


def decode_token_by_token(
    llm: Llm,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Answer],
    append_tokens: Callable[[Sequence[Answer], torch.Tensor], None],
) -> None:
    """Run the model until all answers of a batch are complete. A complete answer leaves the batch.

    Args:
        llm: The LLM.
        prompts: The token ids before each answer.
        answers: The answers, without tokens.
        append_tokens: Appends the next token to each of the given answers, or completes the answer. It takes the logits
            of these tokens, shape [n_answers, vocabulary], float32.

    """
    rows = [i for i, answer in enumerate(answers) if not answer.is_complete]
    if not rows:
        return
    unfinished = [answers[i] for i in rows]
    tokens = pad_rows([prompts[i] for i in rows], llm.tokenizer.tokenizer.pad_token_id or 0, left=True).to(llm.device)
    mask = pad_rows([[1] * len(prompts[i]) for i in rows], 0, left=True).to(llm.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache: Any = None
    while True:
        beat()
        out = llm.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        append_tokens(unfinished, out.logits[:, -1].float())
        kept = [i for i, answer in enumerate(unfinished) if not answer.is_complete]
        if not kept:
            return
        if len(kept) < len(unfinished):
            index = torch.tensor(kept, device=llm.device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]
        unfinished = [unfinished[i] for i in kept]
        tokens = torch.tensor([[answer.tokens[-1]] for answer in unfinished]).to(llm.device)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
