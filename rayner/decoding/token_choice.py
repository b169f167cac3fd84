"""Compare the tokens that the grammar allows, at many positions of a batch at once."""

from collections.abc import Sequence

import torch

from rayner.llm.model import Llm, compute_logits
from rayner.llm.position_chunks import compute_log_normalizers, map_position_chunks
from rayner.modeling.tensors import pad_rows


def choose_tokens(
    llm: Llm,
    hidden: torch.Tensor,
    positions: Sequence[tuple[int, int]],
    allowed: Sequence[Sequence[int]],
    softmax_over: str,
) -> tuple[list[int], list[float]]:
    """Return the most likely allowed token at each (row, position) of the hidden states, and its probability.

    The logits of a chunk of positions exist at a time, so the memory does not grow with the number of positions.

    Args:
        llm: The LLM.
        hidden: The hidden states of a batch, shape [n_rows, n_tokens, hidden].
        positions: The row and the position of each choice.
        allowed: The allowed tokens of each choice.
        softmax_over: See `make_engine`.

    """
    if not positions:
        return [], []
    states, ids, allowed_logits = _compute_allowed_logits(llm, hidden, positions, allowed)
    best = allowed_logits.argmax(1, keepdim=True)
    is_over_allowed = softmax_over == "allowed"
    log_sums = allowed_logits.logsumexp(1) if is_over_allowed else compute_log_normalizers(llm.model, states)
    probs = (allowed_logits.gather(1, best).squeeze(1) - log_sums).exp().clamp(max=1.0)
    return ids.gather(1, best).squeeze(1).tolist(), probs.tolist()


def compute_log_odds(
    llm: Llm,
    hidden: torch.Tensor,
    positions: Sequence[tuple[int, int]],
    allowed: Sequence[Sequence[int]],
    tokens: Sequence[int],
) -> list[float]:
    """Return the log-odds of a token against the other allowed tokens at each (row, position) of the hidden states.

    The log-odds are the same under the softmax over all tokens and under that over the allowed ones.

    Args:
        llm: The LLM.
        hidden: The hidden states of a batch, shape [n_rows, n_tokens, hidden].
        positions: The row and the position of each token.
        allowed: The allowed tokens at each position, two or more.
        tokens: One of the allowed tokens at each position.

    """
    if not positions:
        return []
    _, ids, allowed_logits = _compute_allowed_logits(llm, hidden, positions, allowed)
    is_token = ids == torch.tensor(tokens, device=ids.device)[:, None]
    own = allowed_logits.masked_fill(~is_token, float("-inf")).logsumexp(1)
    others = allowed_logits.masked_fill(is_token, float("-inf")).logsumexp(1)
    log_odds: list[float] = (own - others).tolist()
    return log_odds


def _compute_allowed_logits(
    llm: Llm, hidden: torch.Tensor, positions: Sequence[tuple[int, int]], allowed: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the hidden states at the positions, and the ids and logits of the allowed tokens, both padded.

    The ids are padded with -1, the logits with minus infinity, shape [n_positions, most allowed tokens].
    """
    row, column = (torch.tensor(numbers, device=hidden.device) for numbers in zip(*positions, strict=True))
    states, ids = hidden[row, column], pad_rows(allowed, -1).to(hidden.device)
    n_weights = ids.shape[1] * states.shape[1]  # of the output layer, copied for each position
    logits = map_position_chunks(
        lambda chunk, chunk_ids: compute_logits(llm.model, chunk, chunk_ids), n_weights, states, ids.clamp(min=0)
    )
    return states, ids, logits.masked_fill(ids < 0, float("-inf"))
