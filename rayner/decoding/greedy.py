"""Reference decoding: greedy over the automaton, token by token, many sentences at once.

Plain on purpose: faster decoders are tested against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from rayner.decoding.draft_verify import WindowRequest
from rayner.llm.model import Llm
from rayner.modeling.tensors import pad_rows
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import LlmAnswer
from rayner.text.tag_grammar import GrammarState, TagGrammar


@dataclass
class _Row:
    """An answer under way."""

    copier: TagGrammar
    state: GrammarState = field(default_factory=GrammarState)
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)

    def take(self, token: int, prob: float) -> None:
        self.tokens.append(token)
        self.probs.append(prob)
        self.state, _ = self.copier.advance(self.state, token)

    @property
    def done(self) -> bool:
        return not self.copier.allowed_tokens(self.state)


@torch.inference_mode()
def answer_greedily(
    llm: Llm, texts: Sequence[str], examples: Sequence[Sequence[LabelledSentence]], *, probability: str, batch_size: int
) -> list[LlmAnswer]:
    """The LLM's answer on each text, shown the examples, in the order of the texts.

    probability: `all` (softmax over all tokens) or `allowed` (over the allowed ones).
    """
    prompts = [llm.prompt_tokens(shown, text) for shown, text in zip(examples, texts, strict=True)]
    answers: list[LlmAnswer | None] = [None] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), len(prompts[i])))
    for at in range(0, len(order), batch_size):
        part = order[at : at + batch_size]
        rows = [_Row(llm.build_grammar(texts[i])) for i in part]
        passes = _run(llm, [prompts[i] for i in part], rows, probability)
        for i, row, spent in zip(part, rows, passes, strict=True):
            answers[i] = row.copier.read_answer(row.tokens, row.probs, spent)
    return [item for item in answers if item is not None]


class GreedyEngine:
    """The same with the interface of `decode.Decoder`; drafts and quiet slots are not looked at."""

    def __init__(self, llm: Llm, *, probability: str, batch_size: int) -> None:
        self.llm, self.probability, self.batch_size = llm, probability, batch_size

    def answer_requests(self, tasks: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """The LLM's answer to each task, in their order."""
        texts, examples = [task.text for task in tasks], [task.examples for task in tasks]
        return answer_greedily(self.llm, texts, examples, probability=self.probability, batch_size=self.batch_size)


def _run(llm: Llm, prompts: Sequence[Sequence[int]], rows: Sequence[_Row], probability: str) -> list[int]:
    """Decode a batch to its end; returns the forward passes that each row took part in before it was done."""
    fill = llm.tokenizer.tokenizer.pad_token_id or 0
    tokens = pad_rows(prompts, fill, left=True).to(llm.device)
    mask = pad_rows([[1] * len(row) for row in prompts], 0, left=True).to(llm.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache: Any = None
    spent = [0] * len(rows)
    while not all(row.done for row in rows):
        out = llm.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        chosen = _choose(rows, out.logits[:, -1].float(), probability)
        for i, row in enumerate(rows):
            if not row.done:
                row.take(*chosen[i])
                spent[i] += 1
        tokens = torch.tensor([[row.tokens[-1] if row.tokens else fill] for row in rows]).to(llm.device)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return spent


def _choose(rows: Sequence[_Row], logits: torch.Tensor, probability: str) -> list[tuple[int, float]]:
    """The likeliest allowed token of each row and its probability; (0, 1.0) for rows that are done."""
    allowed = [row.copier.allowed_tokens(row.state) or (0,) for row in rows]
    ids = pad_rows(allowed, -1).to(logits.device)
    among = logits.gather(1, ids.clamp(min=0)).masked_fill(ids < 0, float("-inf"))
    best = among.argmax(1, keepdim=True)
    total = (logits if probability == "all" else among).logsumexp(1, keepdim=True)
    probs = (among.gather(1, best) - total).exp().clamp(max=1.0).squeeze(1).tolist()
    return [(allowed[i][k], p) for i, (k, p) in enumerate(zip(best.squeeze(1).tolist(), probs, strict=True))]
