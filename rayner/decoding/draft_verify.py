"""Draft and verify: greedy decoding under the tag grammar that checks many drafted tokens at once (method, section 4).

One forward pass over prompt and draft gives the LLM's choice at every step of the draft. The draft is kept up to the
first step where the LLM chooses another token. The LLM's token is taken at that step. A new draft continues from there
and reuses the key-value cache of the tokens that were kept. The answers are those of `GreedyEngine`, but they take a
few forward passes each instead of one for each token.

Answers wait in two queues: one for their first pass and one for a further pass. A batch takes answers of similar length
from one queue, so it has little padding. Complete answers leave, and others take their place. `token_budget.py` plans
how many answers are held at a time.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from rayner.decoding.batch_choices import accept_choices
from rayner.decoding.drafted_answer import DraftedAnswer
from rayner.decoding.engine import WindowRequest, divide_batch_sizes
from rayner.decoding.kv_cache import (
    CacheParts,
    count_cached_numbers_per_token,
    count_cached_tokens,
    join_and_preallocate_caches,
    slice_cache,
)
from rayner.decoding.token_budget import NO_TOKEN_LIMIT, AnswerNeed, Round, plan_rounds, warn_of_oversized
from rayner.llm.model import Llm
from rayner.modeling.batching import MAX_PADDING_SHARE, PASS_COST_TOKENS, TokenLimit, inference_batches
from rayner.modeling.tensors import pad_rows
from rayner.runs.heartbeat import beat
from rayner.text.predictions import LlmAnswer
from rayner.text.tag_grammar import TagGrammar

# A forward pass moves each cached number about 3 times. In the time of one move a processor does about 30 computations.
_COMPUTATIONS_PER_CACHED_NUMBER = 100


@dataclass
class DecodingCost:
    """The cost of decoding so far.

    Attributes:
        batches: The number of forward passes over batches.
        tokens: The number of tokens in these batches, without padding.
        padding: The number of padding tokens in these batches.
        oversized: The number of answers that exceeded the budget of tokens, although each was computed alone.

    """

    batches: int = 0
    tokens: int = 0
    padding: int = 0
    oversized: int = 0


@dataclass(frozen=True)
class _Prompt:
    """A prompt without the instruction. sharing: see `AnswerNeed`."""

    grammar: TagGrammar
    examples: list[int]
    query: list[int]
    sharing: int | None


class DraftVerifyEngine:
    """An `AnswerEngine` that verifies drafts. Parts that several prompts share are computed once.

    softmax_over, batch_size, batch_tokens: see `make_engine`. The attribute `cost` adds up the cost of all answers so
    far.
    """

    def __init__(self, llm: Llm, *, softmax_over: str, batch_size: int, batch_tokens: int = NO_TOKEN_LIMIT) -> None:
        self.llm, self.softmax_over = llm, softmax_over
        self.batch_size, self.batch_tokens = batch_size, batch_tokens
        self.cost = DecodingCost()
        self._decoder = llm.model.get_decoder()
        n_parameters = sum(parameter.numel() for parameter in self._decoder.layers.parameters())
        cache_size = count_cached_numbers_per_token(llm.model.config)
        # The cost of a cached token in a forward pass, in units of computed tokens.
        self._cached_token_cost = _COMPUTATIONS_PER_CACHED_NUMBER * cache_size / max(1, n_parameters)
        self._padding_token = llm.tokenizer.tokenizer.pad_token_id or 0
        self._instruction_cache = self._compute_prefix_caches([llm.instruction_tokens()], (), batch_tokens)[0]

    def with_smaller_batches(self, divisor: int) -> "DraftVerifyEngine":
        """Return an engine with the same LLM whose batch sizes, in texts and tokens, are divided by `divisor`."""
        return divide_batch_sizes(self, divisor)

    @torch.inference_mode()
    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests."""
        prompts = self._encode_prompts(requests)
        n_instruction = count_cached_tokens(self._instruction_cache)
        needs = [
            AnswerNeed(len(prompt.examples), len(prompt.query) + prompt.grammar.max_answer_tokens(), prompt.sharing)
            for prompt in prompts
        ]
        answers: dict[int, LlmAnswer] = {}
        for each in plan_rounds(n_instruction, needs, self.batch_tokens):
            answers.update(self._answer_round(each, requests, prompts))
        self.cost.oversized += warn_of_oversized(
            [need.tokens_if_alone(n_instruction) for need in needs], self.batch_tokens
        )
        return [answers[i] for i in range(len(requests))]

    def _encode_prompts(self, requests: Sequence[WindowRequest]) -> list[_Prompt]:
        counts = Counter(tuple(request.examples) for request in requests)
        numbers = {examples: i for i, (examples, count) in enumerate(counts.items()) if examples and count > 1}
        tokens = {examples: self.llm.example_tokens(examples) for examples in counts}
        return [
            _Prompt(
                self.llm.build_grammar(request.text),
                tokens[tuple(request.examples)],
                self.llm.query_tokens(request.text, request.hint),
                numbers.get(tuple(request.examples)),
            )
            for request in requests
        ]

    def _answer_round(
        self, round_: Round, requests: Sequence[WindowRequest], prompts: Sequence[_Prompt]
    ) -> dict[int, LlmAnswer]:
        """Return the answers of a round by their indices. Examples that several prompts share are computed once."""
        examples = {prompts[i].sharing: prompts[i].examples for i in round_.answers}
        prefixes = self._compute_prefix_caches(
            [examples[number] for number in round_.shared_examples], self._instruction_cache, round_.half
        )
        cache_by_number: dict[int | None, CacheParts] = dict(zip(round_.shared_examples, prefixes, strict=True))
        answers = {}
        for i in round_.answers:
            request, prompt = requests[i], prompts[i]
            is_shared = prompt.sharing in cache_by_number
            answers[i] = DraftedAnswer(
                prompt.grammar,
                self.softmax_over,
                [*([] if is_shared else prompt.examples), *prompt.query],
                request.draft,
                request.stop_mask,
                request.candidates,
                cache_by_number[prompt.sharing] if is_shared else self._instruction_cache,
            )
            answers[i].draft_rest_or_complete()
        self._complete_answers(list(answers.values()), round_.half)
        return {i: answer.to_llm_answer() for i, answer in answers.items()}

    def _complete_answers(self, answers: Sequence[DraftedAnswer], max_tokens: int) -> None:
        """Run forward passes until all answers are complete.

        max_tokens: the most tokens of a batch, and the most that may be reserved for started answers.
        """
        unfinished = [answer for answer in answers if not answer.is_complete]
        limit = TokenLimit(
            [count_cached_tokens(answer.cache) for answer in unfinished],
            [answer.reserved_tokens for answer in unfinished],
            max_tokens,
        )
        lengths = [answer.n_next_tokens for answer in unfinished]
        batches = inference_batches(lengths, self.batch_size, limit=limit)
        first_batches = deque([unfinished[i] for i in batch] for batch in batches)
        started: list[DraftedAnswer] = []
        cost_before = replace(self.cost)
        while first_batches or started:
            # Of many started answers, some have similar lengths. Their number is limited, because each holds a cache.
            if first_batches and self._can_start(first_batches[0], started, max_tokens):
                batch = first_batches.popleft()
            else:
                batch, started = self._choose_batch_and_rest(started, cost_before, max_tokens)
            self._verify_batch(batch)
            started += [answer for answer in batch if not answer.is_complete]

    def _can_start(self, batch: Sequence[DraftedAnswer], started: Sequence[DraftedAnswer], max_tokens: int) -> bool:
        reserved = sum(answer.reserved_tokens for answer in (*batch, *started))
        return not started or (len(started) < 2 * self.batch_size and reserved <= max_tokens)

    def _choose_batch_and_rest(
        self, started_answers: Sequence[DraftedAnswer], cost_before: DecodingCost, max_tokens: int
    ) -> tuple[list[DraftedAnswer], list[DraftedAnswer]]:
        """Choose started answers for a forward pass, and return them and the other started answers."""
        # First passes often have less padding than allowed. These answers are short and few, and may use the rest.
        tokens, padding = self.cost.tokens - cost_before.tokens, self.cost.padding - cost_before.padding
        padding_allowance = MAX_PADDING_SHARE * (tokens + padding) - padding
        cached = [count_cached_tokens(answer.cache) for answer in started_answers]
        lengths = [answer.n_next_tokens for answer in started_answers]
        chosen = inference_batches(
            lengths,
            self.batch_size,
            min(padding_allowance, PASS_COST_TOKENS),
            [self._cached_token_cost * count for count in cached],
            TokenLimit(cached, lengths, max_tokens),
        )[0]
        return [started_answers[i] for i in chosen], [
            answer for i, answer in enumerate(started_answers) if i not in chosen
        ]

    @torch.inference_mode()
    def _compute_prefix_caches(
        self, prefixes: Sequence[Sequence[int]], cache_before: CacheParts, max_tokens: int
    ) -> list[CacheParts]:
        """Compute the key-value cache of each beginning of a prompt.

        Args:
            prefixes: The token ids of each beginning, without those in `cache_before`.
            cache_before: The cache of the tokens before each of `prefixes`. Each returned cache starts with it.
            max_tokens: The most tokens of a batch.

        """
        caches: list[CacheParts] = [cache_before] * len(prefixes)
        nonempty = [i for i, tokens in enumerate(prefixes) if tokens]
        lengths = [len(prefixes[i]) for i in nonempty]
        limit = TokenLimit([count_cached_tokens(cache_before)] * len(lengths), lengths, max_tokens)
        for batch in inference_batches(lengths, self.batch_size, limit=limit):
            rows = [nonempty[k] for k in batch]
            _, cache, n_cached = self.run_decoder([prefixes[i] for i in rows], [cache_before] * len(rows))
            for k, i in enumerate(rows):
                caches[i] = (*cache_before, slice_cache(cache, k, n_cached, n_cached + len(prefixes[i])))
            del cache  # before the next batch has one
        return caches

    def run_decoder(
        self, new_token_rows: Sequence[Sequence[int]], caches: Sequence[CacheParts]
    ) -> tuple[torch.Tensor, Any, int]:
        """Run the model on new tokens that follow cached tokens.

        Returns:
            The hidden states of the new tokens, shape [n_rows, longest row, hidden].
            The cache, which now also holds the new tokens.
            The number of tokens that the cache held before.

        """
        beat()
        tokens = pad_rows(new_token_rows, self._padding_token)
        cache, n_cached = join_and_preallocate_caches(caches, tokens.shape[1])
        cached_lengths = torch.tensor([count_cached_tokens(parts) for parts in caches])
        new_lengths = torch.tensor([len(row) for row in new_token_rows])
        cached_positions, new_positions = torch.arange(n_cached), torch.arange(tokens.shape[1])
        mask = torch.cat(
            [cached_positions >= n_cached - cached_lengths[:, None], new_positions < new_lengths[:, None]], dim=1
        ).long()
        device = self.llm.device
        out = self._decoder(
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            position_ids=(cached_lengths[:, None] + new_positions).to(device),
            past_key_values=cache,
            use_cache=True,
        )
        n_tokens = int(new_lengths.sum())
        self.cost.batches += 1
        self.cost.tokens += n_tokens
        self.cost.padding += tokens.numel() - n_tokens
        return out.last_hidden_state, out.past_key_values, n_cached

    def _verify_batch(self, answers: Sequence[DraftedAnswer]) -> None:
        """Run one forward pass and let each answer accept the tokens that the LLM chose, or read scores."""
        hidden, cache, n_cached = self.run_decoder(
            [answer.next_tokens for answer in answers], [answer.cache for answer in answers]
        )
        starts = [n_cached - count_cached_tokens(answer.own_cache) for answer in answers]
        n_valid = accept_choices(self.llm, hidden, answers, self.softmax_over)
        for i, (answer, start) in enumerate(zip(answers, starts, strict=True)):
            answer.passes += 1
            answer.own_cache = ()  # the batch's cache holds a copy
            if not answer.is_complete:
                answer.own_cache = (slice_cache(cache, i, start, start + n_valid[i]),)
        complete = [len(answer.grammar.char_tokens) for answer in answers if answer.is_complete]
        beat(len(complete), sum(complete))
