"""Decode a batch of answers one token at a time, with a key-value cache."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from rayner.llm.model import Llm
from rayner.modeling.tensors import pad_rows
from rayner.runs.heartbeat import beat


def decode_token_by_token(
    llm: Llm, prompts: Sequence[Sequence[int]], choose_tokens: Callable[[torch.Tensor], Sequence[int] | None]
) -> None:
    """Run the model until all answers of a batch are complete.

    Args:
        llm: The LLM.
        prompts: The token ids before each answer.
        choose_tokens: Takes the logits of the next token of each answer, shape [n_answers, vocabulary], float32, and
            returns these tokens, or None once all answers are complete. The token of a complete answer is arbitrary.

    """
    tokens = pad_rows(prompts, llm.tokenizer.tokenizer.pad_token_id or 0, left=True).to(llm.device)
    mask = pad_rows([[1] * len(prompt) for prompt in prompts], 0, left=True).to(llm.device)
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
        next_tokens = choose_tokens(out.logits[:, -1].float())
        if next_tokens is None:
            return
        cache = out.past_key_values
        tokens = torch.tensor(next_tokens).unsqueeze(1).to(llm.device)
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        positions = positions[:, -1:] + 1
