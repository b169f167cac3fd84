"""The large model: a causal language model, its prompts and answers as tokens, and what it learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from rayner.config.settings import LoraConfig
from rayner.llm.prompts import Kind, Part, asked, opening, shown
from rayner.modeling.checkpoint import refused, safely
from rayner.modeling.tokenizer import Speller, load_tokenizer
from rayner.modeling.training import DTYPES, pad
from rayner.text.labelled import Example
from rayner.text.segmentation import windows
from rayner.text.spans import within
from rayner.text.tag_grammar import Copier, Step, Tokens

_HOLE = "\x00"  # stands for the prompt while the chat template is rendered


@dataclass
class Llm:
    """The model with its way of spelling, the task in words, and the types it may write."""

    model: Any
    speller: Speller
    task: str
    types: list[str]
    frame: tuple[Tokens, Tokens]
    device: torch.device

    def __post_init__(self) -> None:
        self.tags = self.speller.tags(self.types)

    def copier(self, text: str) -> Copier:
        """The automaton of a text."""
        return Copier(self.speller.copied(text), self.tags)

    def prompt(self, examples: Sequence[Example], text: str) -> list[int]:
        """Tokens of everything before the answer."""
        return [*self.opening(), *self.shown(examples), *self.asked(text)]

    def opening(self) -> list[int]:
        """Tokens that begin every prompt: what the chat template puts first, and the task."""
        return [*self.frame[0], *self._spelled(opening(self.task))]

    def shown(self, examples: Sequence[Example]) -> list[int]:
        """Tokens of the examples."""
        return self._spelled(shown(examples))

    def asked(self, text: str) -> list[int]:
        """Tokens of the sentence in question, and of what stands between it and the answer."""
        return [*self._spelled(asked(text)), *self.frame[1]]

    def _spelled(self, parts: Sequence[Part]) -> list[int]:
        return [token for part in parts for token in self._spell(part)]

    def _spell(self, part: Part) -> list[int]:
        if part.kind is Kind.LITERAL:
            return [*self.speller.literal(part.value)]
        if part.kind is Kind.COPIED:
            return [token for char in self.speller.copied(part.value) for token in char]
        # An example may hold a type that this model was not trained on: spelled all the same.
        name = self.tags.types.get(part.value) or self.speller.literal(part.value)
        return [*(self.tags.open if part.kind is Kind.OPEN else self.tags.close), *name, *self.tags.end]


def load(
    base: str | Path,
    *,
    adapter: Path | None = None,
    task: str,
    types: Sequence[str],
    chat: bool,
    device: torch.device,
    dtype: str = "float32",
) -> Llm:
    """A causal model, with a LoRA adapter merged in if one is given.

    chat: wrap prompts in the tokenizer's chat template, where it has one.
    Raises ConfigError where a checkpoint cannot be loaded.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=DTYPES[dtype], **safely(base))
        if adapter is not None:
            from peft import PeftModel  # slow to import: only where an adapter is

            safely(adapter)  # peft takes no such arguments: it reads safetensors where there are any
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (OSError, ValueError, SafetensorError) as error:
        raise refused(base, "a checkpoint of a causal model", error) from error
    speller = Speller(load_tokenizer(base))
    model = model.to(device).eval()  # type: ignore[arg-type]  # its decorator hides `self` from mypy
    return Llm(model, speller, task, list(types), _frame(speller, chat), device)


def logits_of(causal: Any, hidden: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:  # noqa: ANN401 - as with_lora
    """Logits [n, m] in float32 of the tokens `ids` [n, m], or of all, from hidden states [n, size].

    The output layer computes no more than is asked for: over a large vocabulary it costs more than it looks.
    """
    head = causal.get_output_embeddings()
    cap: float | None = getattr(causal.config, "final_logit_softcapping", None)
    logits: torch.Tensor
    if ids is None:
        logits = head(hidden)
    else:
        logits = (head.weight[ids] @ hidden.unsqueeze(-1)).squeeze(-1)
        if head.bias is not None:
            logits = logits + head.bias[ids]
    logits = logits.float()
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _frame(speller: Speller, chat: bool) -> tuple[Tokens, Tokens]:
    """What the chat template puts before and after the prompt."""
    tokenizer = speller.tokenizer
    if not chat or not getattr(tokenizer, "chat_template", None):
        return (), ()
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": _HOLE}], add_generation_prompt=True, tokenize=False
    )
    before, _, after = rendered.partition(_HOLE)
    return speller.literal(before), speller.literal(after)


def with_lora(model: Any, config: LoraConfig) -> Any:  # noqa: ANN401 - transformers' models share no useful base
    """The model with a fresh adapter to train."""
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    targets = "all-linear" if config.targets == ["all-linear"] else config.targets
    return get_peft_model(
        model,
        PeftConfig(
            r=config.r,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
        ),
    )


@dataclass(frozen=True)
class Lesson:
    """A prompt with its right answer."""

    prompt: list[int]
    answer: tuple[Step, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def pieces(example: Example, size: int, overlap: int) -> list[Example]:
    """A training sentence, or windows of one longer than `size` characters; an entity cut by an edge is left out."""
    if len(example.text) <= size:
        return [example]
    return [
        Example(example.text[w.start : w.end], within(example.spans, w.start, w.end))
        for w in windows(len(example.text), size, overlap)
    ]


def lesson(llm: Llm, examples: Sequence[Example], right: Example) -> Lesson:
    """What one training sentence teaches."""
    return Lesson(llm.prompt(examples, right.text), tuple(llm.copier(right.text).spell(right.spans)))


class Teacher(torch.nn.Module):
    """The model with its training loss as `forward`, so that whatever shards the model sees every use of it."""

    model: Any

    def __init__(self, llm: Llm, objective: str) -> None:
        super().__init__()
        self.model = llm.model
        self.objective = objective
        self.fill = llm.speller.tokenizer.pad_token_id or 0
        self.end = llm.speller.tokenizer.eos_token_id
        self.device = llm.device

    def forward(self, lessons: Sequence[Lesson]) -> torch.Tensor:
        """Mean cross entropy over the answers of a batch; the prompt teaches nothing.

        objective `tokens`: over the whole vocabulary at every token of the answer, and the end after it.
        objective `decisions`: over the allowed tokens, where there is a choice.
        """
        rows = [[*item.prompt, *(step.token for step in item.answer), self.end] for item in lessons]
        tokens = pad(rows, self.fill).to(self.device)
        mask = pad([[1] * len(row) for row in rows], 0).to(self.device)
        places = self._places(lessons)
        adapted = hasattr(self.model, "peft_config")
        causal: Any = self.model.get_base_model() if adapted else self.model
        hidden = causal.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        row, column = (torch.tensor([place[k] for place in places], device=self.device) for k in (0, 1))
        right = torch.tensor([rows[place[0]][place[1] + 1] for place in places], device=self.device)
        if self.objective == "tokens":
            return torch.nn.functional.cross_entropy(logits_of(causal, hidden[row, column], None), right)
        ids = pad([place[2] for place in places], -1).to(self.device)
        known = ids.clamp(min=0)
        if hasattr(causal.get_output_embeddings().weight, "ds_id"):  # ZeRO-3 shards it: only the whole layer can run
            logits = logits_of(causal, hidden[row, column], None).gather(1, known)
        else:
            logits = logits_of(causal, hidden[row, column], known)
        logits = logits.masked_fill(ids < 0, float("-inf"))
        return torch.nn.functional.cross_entropy(logits, (ids == right[:, None]).int().argmax(1))

    def _places(self, lessons: Sequence[Lesson]) -> list[tuple[int, int, Tokens]]:
        """(row, position before the token in question, allowed tokens) of all that is taught."""
        return [
            (row, len(item.prompt) + k - 1, allowed)
            for row, item in enumerate(lessons)
            for k, allowed in enumerate([*(step.allowed for step in item.answer), (self.end,)])
            if self.objective == "tokens" or len(allowed) > 1
        ]
