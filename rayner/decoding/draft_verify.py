"""Draft and verify: greedy decoding over the automaton, many drafted answers at once (method, section 4).

One forward pass over prompt and draft yields the LLM's choice at every step. The draft is kept as far as it agrees; at
the first difference the LLM's own choice is taken, and a new draft continues from there on the row's key-value cache,
cut back to what was kept. Answers are those of `reference.answer`, in a few passes rather than one a token.

Rows wait in two queues, for their first pass and for a further one. A batch takes rows of like length from one queue,
so little of it is padding; rows that are done leave, and others take their place.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rayner.decoding.drafting import draft_steps, reaches_stop_slot, revise_draft
from rayner.decoding.kv_cache import CacheParts, count_cached_tokens, join_caches, slice_cache
from rayner.llm.model import Llm, compute_logits
from rayner.modeling.batching import MAX_PADDING_SHARE, PASS_COST_TOKENS, inference_batches
from rayner.modeling.tensors import pad_rows
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import LlmAnswer
from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, GrammarState, TagGrammar, TokenRole

# A cached number is moved about three times in a pass, and a processor computes some thirty times while it moves one.
_HOLDING = 100


@dataclass(frozen=True)
class WindowRequest:
    """A text to be answered.

    examples: those in its prompt. spans: the draft, any spans at all.
    quiet: [n + 1] slots at which no more of the answer is needed (`gate.stop_mask`); None asks for all of it.
    """

    text: str
    examples: Sequence[LabelledSentence] = ()
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None


@dataclass
class DecodingCost:
    """What answering cost: forward passes over batches, tokens in them, and padding among these."""

    batches: int = 0
    tokens: int = 0
    padding: int = 0


@dataclass
class _Row:
    """An answer under way.

    pending: tokens to be fed that are no part of the draft; steps: the draft to be verified.
    """

    copier: TagGrammar
    basis: str
    pending: list[int]
    spans: Sequence[Span]
    quiet: npt.NDArray[np.bool_] | None
    shared: CacheParts = ()
    own: CacheParts = ()
    state: GrammarState = field(default_factory=GrammarState)
    steps: list[AnswerToken] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    passes: int = 0
    done: bool = False

    def redraft(self) -> None:
        """Draft the rest; where nothing in it is for the LLM to decide, it is the answer, without a pass."""
        self.steps = draft_steps(self.copier, self.spans, self.state, self.quiet)
        self.done = not self.steps
        if self.steps and not self.wanted():
            self.accept((), (), ())

    @property
    def feed(self) -> list[int]:
        """The tokens of the next pass; the last of the draft need not be fed to be verified."""
        return [*self.pending, *(step.token for step in self.steps[:-1])]

    @property
    def size(self) -> int:
        """How many tokens `feed` has."""
        return len(self.pending) + len(self.steps) - 1

    def wanted(self) -> list[int]:
        """Which steps of the draft need the LLM's logits: choices, and what the confidences are read from."""
        steps = self.steps
        if self.basis == "allowed":  # a token without an alternative has probability 1
            return [k for k, step in enumerate(steps) if len(step.allowed) > 1]
        choice = [len(step.allowed) > 1 or step.role is TokenRole.CLOSE for step in steps]
        before = [*choice[1:], False]  # a tag may be put there, and the token before it counts for its boundary
        return [k for k, step in enumerate(steps) if choice[k] or before[k] or step.role is TokenRole.TYPE]

    def accept(self, wanted: Sequence[int], chosen: Sequence[int], probs: Sequence[float]) -> int:
        """Keep the draft as far as the LLM agrees, then its own choice; returns how many drafted steps were fed."""
        tokens = [step.token for step in self.steps]
        certain = [1.0] * len(tokens)
        for k, token, prob in zip(wanted, chosen, probs, strict=True):
            tokens[k], certain[k] = token, prob
        kept = next((k for k in wanted if tokens[k] != self.steps[k].token), len(tokens) - 1)
        self.tokens += tokens[: kept + 1]
        self.probs += certain[: kept + 1]
        for token in tokens[: kept + 1]:
            before = self.state
            self.state, role = self.copier.advance(before, token)
            if self.quiet is not None and reaches_stop_slot(before, role, self.quiet):
                self.done = True
        self.done = self.done or not self.copier.allowed_tokens(self.state)
        if not self.done:
            self.spans = revise_draft(self.copier, self.spans, self.steps, tokens)
            self.pending = self.tokens[-1:]
            self.redraft()
        return kept

    def read(self) -> LlmAnswer:
        return self.copier.read_answer(self.tokens, self.probs, self.passes, partial=self.quiet is not None)


def _cache_size_per_token(config: Any) -> int:  # noqa: ANN401 - transformers' configurations share no useful base
    """Numbers that a token leaves in the key-value cache."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * size)


class DraftVerifyEngine:
    """An LLM that answers, with what its prompts share already computed.

    probability: `all` (softmax over all tokens) or `allowed` (over the allowed ones).
    batch_size: texts a forward pass, at most.
    """

    def __init__(self, llm: Llm, *, softmax_over: str, batch_size: int) -> None:
        self.llm, self.probability, self.batch_size = llm, softmax_over, batch_size
        self.cost = DecodingCost()
        self.body = llm.model.get_decoder()
        self.holding = (
            _HOLDING
            * _cache_size_per_token(llm.model.config)
            / max(1, sum(p.numel() for p in self.body.layers.parameters()))
        )
        self.fill = llm.tokenizer.tokenizer.pad_token_id or 0
        self.start = self._prefixes([llm.instruction_tokens()], ())[0]

    @torch.inference_mode()
    def answer_requests(self, tasks: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """The LLM's answer to each task, in their order."""
        rows = self._rows(tasks)
        new = [row for row in rows if not row.done]
        fresh = [[new[i] for i in part] for part in inference_batches([row.size for row in new], self.batch_size)]
        begun: list[_Row] = []
        before = replace(self.cost)
        while fresh or begun:
            # Enough begun rows that some are of like length; no more, since each holds a cache.
            if fresh and len(begun) < 2 * self.batch_size:
                part = fresh.pop(0)
            else:
                # What first passes left of the room for padding goes to these, which are short and few.
                tokens, padding = self.cost.tokens - before.tokens, self.cost.padding - before.padding
                slack = MAX_PADDING_SHARE * (tokens + padding) - padding
                held = [self.holding * count_cached_tokens((*row.shared, *row.own)) for row in begun]
                chosen = inference_batches(
                    [row.size for row in begun], self.batch_size, min(slack, PASS_COST_TOKENS), held
                )[0]
                part = [begun[i] for i in chosen]
                begun = [row for i, row in enumerate(begun) if i not in chosen]
            self._pass(part)
            begun += [row for row in part if not row.done]
        return [row.read() for row in rows]

    def _rows(self, tasks: Sequence[WindowRequest]) -> list[_Row]:
        """The answers to come; examples that several tasks share are read once."""
        counts = Counter(tuple(task.examples) for task in tasks)
        groups = [shown for shown, count in counts.items() if shown and count > 1]
        cached = dict(
            zip(groups, self._prefixes([self.llm.example_tokens(shown) for shown in groups], self.start), strict=True)
        )
        rows = []
        for task in tasks:
            shown = tuple(task.examples)
            pending = [*(() if shown in cached else self.llm.example_tokens(shown)), *self.llm.query_tokens(task.text)]
            row = _Row(
                self.llm.build_grammar(task.text),
                self.probability,
                pending,
                task.draft,
                task.stop_mask,
                cached.get(shown, self.start),
            )
            row.redraft()
            rows.append(row)
        return rows

    @torch.inference_mode()
    def _prefixes(self, prefixes: Sequence[Sequence[int]], before: CacheParts) -> list[CacheParts]:
        """The caches of token sequences that begin many prompts, behind what begins them all."""
        found: list[CacheParts] = [before] * len(prefixes)
        written = [i for i, tokens in enumerate(prefixes) if tokens]
        for part in inference_batches([len(prefixes[i]) for i in written], self.batch_size):
            chosen = [written[k] for k in part]
            _, cache, past = self.forward([prefixes[i] for i in chosen], [before] * len(chosen))
            for k, i in enumerate(chosen):
                found[i] = (*before, slice_cache(cache, k, past, past + len(prefixes[i])))
        return found

    def forward(self, feeds: Sequence[Sequence[int]], caches: Sequence[CacheParts]) -> tuple[torch.Tensor, Any, int]:
        """Hidden states [rows, longest feed, size], the grown cache, and the tokens it held before."""
        tokens = pad_rows(feeds, self.fill)
        cache, past = join_caches(caches, tokens.shape[1])
        held = torch.tensor([count_cached_tokens(parts) for parts in caches])
        fed = torch.tensor([len(feed) for feed in feeds])
        slots, steps = torch.arange(past), torch.arange(tokens.shape[1])
        mask = torch.cat([slots >= past - held[:, None], steps < fed[:, None]], dim=1).long()
        device = self.llm.device
        out = self.body(
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            position_ids=(held[:, None] + steps).to(device),
            past_key_values=cache,
            use_cache=True,
        )
        self.cost.batches += 1
        self.cost.tokens += int(fed.sum())
        self.cost.padding += tokens.numel() - int(fed.sum())
        return out.last_hidden_state, out.past_key_values, past

    def _pass(self, rows: Sequence[_Row]) -> None:
        """One forward pass, and what each row takes from it."""
        hidden, cache, past = self.forward([row.feed for row in rows], [(*row.shared, *row.own) for row in rows])
        wanted = [row.wanted() for row in rows]
        places = [(i, len(row.pending) - 1 + k) for i, row in enumerate(rows) for k in wanted[i]]
        allowed = [row.steps[k].allowed for i, row in enumerate(rows) for k in wanted[i]]
        chosen, probs = self._choose(hidden, places, allowed) if places else ([], [])
        at = 0
        for i, row in enumerate(rows):
            start, own = (
                past - count_cached_tokens((*row.shared, *row.own)) + count_cached_tokens(row.shared),
                count_cached_tokens(row.own),
            )
            fed, n = len(row.pending), len(wanted[i])
            row.passes += 1
            kept = row.accept(wanted[i], chosen[at : at + n], probs[at : at + n])
            at += n
            row.own = () if row.done else (slice_cache(cache, i, start, start + own + fed + kept),)

    def _choose(
        self, hidden: torch.Tensor, places: Sequence[tuple[int, int]], allowed: Sequence[Sequence[int]]
    ) -> tuple[list[int], list[float]]:
        """The likeliest allowed token at each (row, position), and its probability."""
        row, column = (torch.tensor(numbers, device=hidden.device) for numbers in zip(*places, strict=True))
        ids = pad_rows(allowed, -1).to(hidden.device)
        among = compute_logits(self.llm.model, hidden[row, column], ids.clamp(min=0)).masked_fill(
            ids < 0, float("-inf")
        )
        best = among.argmax(1, keepdim=True)
        everything = (
            among if self.probability == "allowed" else compute_logits(self.llm.model, hidden[row, column], None)
        )
        probs = (among.gather(1, best) - everything.logsumexp(1, keepdim=True)).exp().clamp(max=1.0)
        return ids.gather(1, best).squeeze(1).tolist(), probs.squeeze(1).tolist()
