"""What a forward pass says to each answer of its batch: the LLM's choices, or the scores of candidates."""

from collections.abc import Sequence
from itertools import islice

import torch

from rayner.decoding.drafted_answer import DraftedAnswer
from rayner.decoding.token_choice import choose_tokens, compute_log_odds
from rayner.llm.model import Llm


def accept_choices(llm: Llm, hidden: torch.Tensor, answers: Sequence[DraftedAnswer], softmax_over: str) -> list[int]:
    """Let each answer accept the tokens that the LLM chose, or read the scores of its candidates.

    Args:
        llm: The LLM.
        hidden: The hidden states of the answers' next tokens, shape [n_answers, longest answer, hidden].
        answers: The answers of the batch.
        softmax_over: See `make_engine`.

    Returns:
        The number of tokens of each answer's own cache that remain valid.

    """
    numbers = [answer.step_numbers_to_verify() for answer in answers]
    scored = [(i, k) for i, answer in enumerate(answers) if answer.is_scoring for k in numbers[i]]
    verified = [(i, k) for i, answer in enumerate(answers) if not answer.is_scoring for k in numbers[i]]

    def positions(steps: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(i, len(answers[i].pending) - 1 + k) for i, k in steps]

    def allowed(steps: Sequence[tuple[int, int]]) -> list[Sequence[int]]:
        return [answers[i].steps[k].allowed for i, k in steps]

    drafted = [answers[i].steps[k].token for i, k in scored]
    log_odds = iter(compute_log_odds(llm, hidden, positions(scored), allowed(scored), drafted))
    chosen, chosen_probs = choose_tokens(llm, hidden, positions(verified), allowed(verified), softmax_over)
    tokens, probs = iter(chosen), iter(chosen_probs)
    n_valid = []
    for answer, own in zip(answers, numbers, strict=True):
        n = len(own)
        if answer.is_scoring:
            n_valid.append(answer.read_scores_and_count_valid_cached(own, list(islice(log_odds, n))))
        else:
            n_valid.append(answer.accept_and_count_valid_cached(own, list(islice(tokens, n)), list(islice(probs, n))))
    return n_valid
