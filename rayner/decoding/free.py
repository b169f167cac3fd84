"""Free generation, as in the paper: greedy decoding without the tag grammar, aligned with the text afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rayner.decoding.engine import WindowRequest, divide_batch_sizes
from rayner.decoding.token_budget import NO_TOKEN_LIMIT
from rayner.decoding.token_by_token import decode_in_batches
from rayner.llm.model import Llm
from rayner.text.free_answer import GeneratedAnswer, read_free_answer
from rayner.text.predictions import LlmAnswer


@dataclass
class _FreeTokens:
    """The tokens of an answer so far, with their probabilities.

    max_tokens: the most tokens of the answer, without the end token.
    end_prob: see `GeneratedAnswer`.
    """

    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    end_prob: float | None = None

    @property
    def is_complete(self) -> bool:
        return self.end_prob is not None or len(self.tokens) > self.max_tokens


class FreeEngine:
    """An `AnswerEngine` that lets the LLM write what it wants. It ignores drafts and stop masks.

    An answer ends with the end token, or after three tokens for each token of the text and 64 more. Probabilities are
    over the whole vocabulary.

    batch_size, batch_tokens: see `make_engine`.
    """

    def __init__(self, llm: Llm, *, batch_size: int, batch_tokens: int = NO_TOKEN_LIMIT) -> None:
        self.llm, self.batch_size, self.batch_tokens = llm, batch_size, batch_tokens
        self._end_tokens = _list_end_tokens(llm)

    def with_smaller_batches(self, divisor: int) -> "FreeEngine":
        """Return an engine with the same LLM whose batch sizes, in texts and tokens, are divided by `divisor`."""
        return divide_batch_sizes(self, divisor)

    @torch.inference_mode()
    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests."""
        prompts = [self.llm.prompt_tokens(request.examples, request.text, request.hint) for request in requests]
        answers = [_FreeTokens(self._max_answer_tokens(request.text)) for request in requests]
        order = sorted(range(len(requests)), key=lambda i: (answers[i].max_tokens, len(prompts[i])))
        decode_in_batches(
            self.llm, prompts, answers, [answer.max_tokens + 1 for answer in answers], self._append_tokens,
            order=order, batch_size=self.batch_size, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        return [self._read(request.text, answer) for request, answer in zip(requests, answers, strict=True)]

    def _max_answer_tokens(self, text: str) -> int:
        return 3 * sum(map(len, self.llm.tokenizer.encode_escaped_chars(text))) + 64

    def _append_tokens(self, answers: Sequence[_FreeTokens], logits: torch.Tensor) -> None:
        """Append to each answer the most likely token, with its probability; an end token completes the answer.

        logits: the logits of the next token of each answer, shape [n_answers, vocabulary].
        """
        best = logits.argmax(1, keepdim=True)
        probs = (logits.gather(1, best) - logits.logsumexp(1, keepdim=True)).exp().clamp(max=1.0)
        for answer, token, prob in zip(answers, best.squeeze(1).tolist(), probs.squeeze(1).tolist(), strict=True):
            if token in self._end_tokens:
                answer.end_prob = prob
            else:
                answer.tokens.append(token)
                answer.probs.append(prob)

    def _read(self, text: str, answer: _FreeTokens) -> LlmAnswer:
        tokens, probs = answer.tokens[: answer.max_tokens], answer.probs[: answer.max_tokens]
        markup, token_starts = self.llm.tokenizer.decode_with_token_starts(tokens)
        return read_free_answer(text, GeneratedAnswer(markup, token_starts, probs, answer.end_prob), self.llm.types)


def _list_end_tokens(llm: Llm) -> set[int]:
    """Return the tokens that end an answer: those of the tokenizer and of the checkpoint's generation settings."""
    tokens = {llm.tokenizer.tokenizer.eos_token_id}
    of_checkpoint = getattr(getattr(llm.model, "generation_config", None), "eos_token_id", None)
    tokens |= set(of_checkpoint) if isinstance(of_checkpoint, list | tuple) else {of_checkpoint}
    return tokens - {None}
