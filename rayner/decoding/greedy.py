"""Greedy decoding under the tag grammar, token by token. Faster engines are tested against it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from rayner.decoding.engine import WindowRequest, divide_batch_sizes
from rayner.decoding.token_budget import NO_TOKEN_LIMIT
from rayner.decoding.token_by_token import decode_in_batches
from rayner.llm.model import Llm
from rayner.modeling.tensors import pad_rows
from rayner.text.candidate_scores import (
    CandidateDraft,
    plan_candidate_drafts,
    read_candidate_scores,
    spell_candidate_draft,
)
from rayner.text.predictions import CandidateScore, LlmAnswer
from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, GrammarState, TagGrammar


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


@dataclass
class _ForcedAnswer:
    """An answer that is written token by token from a draft with candidates.

    steps: the draft as tokens.
    log_odds: the log-odds of each token against the other allowed tokens.
    """

    draft: CandidateDraft
    steps: Sequence[AnswerToken]
    tokens: list[int] = field(default_factory=list)
    log_odds: list[float] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.tokens) == len(self.steps)

    def append_next(self, logits: torch.Tensor) -> None:
        """Append the draft's next token. logits: those of this token, shape [vocabulary]."""
        step = self.steps[len(self.tokens)]
        others = [token for token in step.allowed if token != step.token]
        odds = logits[step.token] - logits[others].logsumexp(0) if others else math.inf
        self.tokens.append(step.token)
        self.log_odds.append(float(odds))

    def read_scores(self) -> list[CandidateScore]:
        return read_candidate_scores(self.steps, self.log_odds, self.draft.candidates)


def _draft_forced_answers(grammar: TagGrammar, answer: LlmAnswer, candidates: Sequence[Span]) -> list[_ForcedAnswer]:
    """Return the drafts from which the candidates are scored, without tokens."""
    drafts = plan_candidate_drafts(answer.spans, candidates, grammar.spelling.types)
    return [_ForcedAnswer(draft, spell_candidate_draft(grammar, draft)) for draft in drafts]


def _append_forced_tokens(answers: Sequence[_ForcedAnswer], logits: torch.Tensor) -> None:
    for answer, own_logits in zip(answers, logits, strict=True):
        answer.append_next(own_logits)


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
        prompts = [self.llm.prompt_tokens(request.examples, request.text, request.hint) for request in requests]
        answers = [_PartialAnswer(self.llm.build_grammar(request.text)) for request in requests]
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].text), len(prompts[i])))
        decode_in_batches(
            self.llm, prompts, answers, [answer.grammar.max_answer_tokens() for answer in answers], self._append_tokens,
            order=order, batch_size=self.batch_size, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        return self._read_answers_and_score_candidates(requests, prompts, answers)

    def _read_answers_and_score_candidates(
        self, requests: Sequence[WindowRequest], prompts: Sequence[Sequence[int]], answers: Sequence[_PartialAnswer]
    ) -> list[LlmAnswer]:
        """Return the complete answers, with the scores of the candidates of those requests that have some."""
        read = [answer.grammar.read_answer(answer.tokens, answer.probs, answer.passes) for answer in answers]
        forced_by_request = {
            i: _draft_forced_answers(answers[i].grammar, read[i], request.candidates)
            for i, request in enumerate(requests)
            if request.candidates is not None
        }
        forced = [each for own in forced_by_request.values() for each in own]
        decode_in_batches(
            self.llm, [prompts[i] for i, own in forced_by_request.items() for _ in own], forced,
            [len(each.steps) for each in forced], _append_forced_tokens,
            order=range(len(forced)), batch_size=self.batch_size, batch_tokens=self.batch_tokens,
        )  # fmt: skip
        for i, own in forced_by_request.items():
            scores = sorted((score for each in own for score in each.read_scores()), key=lambda score: score.span)
            passes = read[i].passes + sum(len(each.tokens) for each in own)
            read[i] = replace(read[i], passes=passes, candidate_scores=tuple(scores))
        return read

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
