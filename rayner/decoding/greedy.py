"""Greedy decoding under the tag grammar, token by token. Faster engines are tested against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rayner.decoding.engine import WindowRequest, divide_batch_sizes
from rayner.decoding.token_budget import NO_TOKEN_LIMIT
from rayner.decoding.token_by_token import decode_in_batches
from rayner.llm.model import Llm
from rayner.modeling.tensors import pad_rows
from rayner.text.predictions import LlmAnswer
from rayner.text.tag_grammar import GrammarState, TagGrammar


@dataclass
class _PartialAnswer:
    """An answer that is being decoded. probs: the probability of each token."""

    grammar: TagGrammar
    state: GrammarState = field(default_factory=GrammarState)
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    passes: int = 0

    def append(self, token: int, prob: float) -> None:
        self.tokens.append(token)
        self.probs.append(prob)
        self.passes += 1
        self.state, _ = self.grammar.advance(self.state, token)

    @property
    def is_complete(self) -> bool:
        return not self.grammar.allowed_tokens(self.state)


class GreedyEngine:
    """An `AnswerEngine` that decodes token by token. It ignores drafts and stop masks.

    softmax_over, batch_size, batch_tokens: see `make_engine`.
    """

    def __init__(self, llm: Llm, *, softmax_over: str, batch_size: int, batch_tokens: int = NO_TOKEN_LIMIT) -> None:
        self.llm, self.softmax_over = llm, softmax_over
        self.batch_size, self.batch_tokens = batch_size, batch_tokens

    def with_smaller_batches(self, divisor: int) -> "GreedyEngine":
        """Return an engine with the same LLM whose batch sizes, in texts and tokens, are divided by `divisor`."""
        return divide_batch_sizes(self, divisor)

    @torch.inference_mode()
    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests."""
        prompts = [self.llm.prompt_tokens(request.examples, request.text) for request in requests]
        answers = [_PartialAnswer(self.llm.build_grammar(request.text)) for request in requests]
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].text), len(prompts[i])))
        decode_in_batches(
            self.llm, prompts, answers, [answer.grammar.max_answer_tokens() for answer in answers], self._append_tokens,
            order=order, batch_size=self.batch_size, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        return [answer.grammar.read_answer(answer.tokens, answer.probs, answer.passes) for answer in answers]

    def _append_tokens(self, answers: Sequence[_PartialAnswer], logits: torch.Tensor) -> None:
        """Append to each answer the most likely allowed token, with its probability.

        logits: the logits of the next token of each answer, shape [n_answers, vocabulary].
        """
        allowed = [answer.grammar.allowed_tokens(answer.state) for answer in answers]
        ids = pad_rows(allowed, -1).to(logits.device)
        allowed_logits = logits.gather(1, ids.clamp(min=0)).masked_fill(ids < 0, float("-inf"))
        best = allowed_logits.argmax(1, keepdim=True)
        total = (allowed_logits if self.softmax_over == "allowed" else logits).logsumexp(1, keepdim=True)
        probs = (allowed_logits.gather(1, best) - total).exp().clamp(max=1.0).squeeze(1).tolist()
        for answer, tokens, k, prob in zip(answers, allowed, best.squeeze(1).tolist(), probs, strict=True):
            answer.append(tokens[k], prob)
