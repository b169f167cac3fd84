"""The large model: a causal language model, its prompts and answers as tokens, and what it learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from rayner.config.settings import LoraConfig
from rayner.llm.prompts import PartSpelling, PromptPart, build_example_parts, build_instruction_parts, build_query_parts
from rayner.modeling.checkpoint import checkpoint_error, safe_load_options
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.modeling.training import TORCH_DTYPES, pad_rows
from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import split_windows
from rayner.text.spans import crop_spans
from rayner.text.tag_grammar import AnswerToken, TagGrammar, TokenIds

_PROMPT_PLACEHOLDER = "\x00"  # stands for the prompt while the chat template is rendered


@dataclass
class Llm:
    """The model with its way of spelling, the task in words, and the types it may write."""

    model: Any
    tokenizer: CharTokenizer
    instruction: str
    types: list[str]
    chat_frame: tuple[TokenIds, TokenIds]
    device: torch.device

    def __post_init__(self) -> None:
        self.tag_spelling = self.tokenizer.spell_tags(self.types)

    def build_grammar(self, text: str) -> TagGrammar:
        """The automaton of a text."""
        return TagGrammar(self.tokenizer.encode_escaped_chars(text), self.tag_spelling)

    def prompt_tokens(self, examples: Sequence[LabelledSentence], text: str) -> list[int]:
        """Tokens of everything before the answer."""
        return [*self.instruction_tokens(), *self.example_tokens(examples), *self.query_tokens(text)]

    def instruction_tokens(self) -> list[int]:
        """Tokens that begin every prompt: what the chat template puts first, and the task."""
        return [*self.chat_frame[0], *self._encode_parts(build_instruction_parts(self.instruction))]

    def example_tokens(self, examples: Sequence[LabelledSentence]) -> list[int]:
        """Tokens of the examples."""
        return self._encode_parts(build_example_parts(examples))

    def query_tokens(self, text: str) -> list[int]:
        """Tokens of the sentence in question, and of what stands between it and the answer."""
        return [*self._encode_parts(build_query_parts(text)), *self.chat_frame[1]]

    def _encode_parts(self, parts: Sequence[PromptPart]) -> list[int]:
        return [token for part in parts for token in self._encode_part(part)]

    def _encode_part(self, part: PromptPart) -> list[int]:
        if part.spelling is PartSpelling.PROSE:
            return [*self.tokenizer.encode_prose(part.content)]
        if part.spelling is PartSpelling.COPIED:
            return [token for char in self.tokenizer.encode_escaped_chars(part.content) for token in char]
        # An example may hold a type that this model was not trained on: spelled all the same.
        name = self.tag_spelling.types.get(part.content) or self.tokenizer.encode_prose(part.content)
        return [
            *(self.tag_spelling.open if part.spelling is PartSpelling.OPEN_TAG else self.tag_spelling.close),
            *name,
            *self.tag_spelling.end,
        ]


def load_llm_checkpoint(
    base: str | Path,
    *,
    adapter: Path | None = None,
    instruction: str,
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
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=TORCH_DTYPES[dtype], **safe_load_options(base))
        if adapter is not None:
            from peft import PeftModel  # slow to import: only where an adapter is

            safe_load_options(adapter)  # peft takes no such arguments: it reads safetensors where there are any
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(base, "a checkpoint of a causal model", error) from error
    speller = CharTokenizer(load_tokenizer(base))
    model = model.to(device).eval()  # type: ignore[arg-type]  # its decorator hides `self` from mypy
    return Llm(model, speller, instruction, list(types), _chat_template_tokens(speller, chat), device)


def compute_logits(causal: Any, hidden: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:  # noqa: ANN401 - as with_lora
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


def _chat_template_tokens(speller: CharTokenizer, chat: bool) -> tuple[TokenIds, TokenIds]:
    """What the chat template puts before and after the prompt."""
    tokenizer = speller.tokenizer
    if not chat or not getattr(tokenizer, "chat_template", None):
        return (), ()
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": _PROMPT_PLACEHOLDER}], add_generation_prompt=True, tokenize=False
    )
    before, _, after = rendered.partition(_PROMPT_PLACEHOLDER)
    return speller.encode_prose(before), speller.encode_prose(after)


def add_lora(model: Any, config: LoraConfig) -> Any:  # noqa: ANN401 - transformers' models share no useful base
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
class SftExample:
    """A prompt with its right answer."""

    prompt: list[int]
    answer: tuple[AnswerToken, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def split_long_sentence(example: LabelledSentence, size: int, overlap: int) -> list[LabelledSentence]:
    """A training sentence, or windows of one longer than `size` characters; an entity cut by an edge is left out."""
    if len(example.text) <= size:
        return [example]
    return [
        LabelledSentence(example.text[w.start : w.end], crop_spans(example.spans, w.start, w.end))
        for w in split_windows(len(example.text), size, overlap)
    ]


def build_sft_example(llm: Llm, examples: Sequence[LabelledSentence], right: LabelledSentence) -> SftExample:
    """What one training sentence teaches."""
    return SftExample(
        llm.prompt_tokens(examples, right.text), tuple(llm.build_grammar(right.text).spell_answer(right.spans))
    )


class SftLoss(torch.nn.Module):
    """The model with its training loss as `forward`, so that whatever shards the model sees every use of it."""

    model: Any

    def __init__(self, llm: Llm, objective: str) -> None:
        super().__init__()
        self.model = llm.model
        self.objective = objective
        self.fill = llm.tokenizer.tokenizer.pad_token_id or 0
        self.end = llm.tokenizer.tokenizer.eos_token_id
        self.device = llm.device

    def forward(self, lessons: Sequence[SftExample]) -> torch.Tensor:
        """Mean cross entropy over the answers of a batch; the prompt teaches nothing.

        objective `tokens`: over the whole vocabulary at every token of the answer, and the end after it.
        objective `decisions`: over the allowed tokens, where there is a choice.
        """
        rows = [[*item.prompt, *(step.token for step in item.answer), self.end] for item in lessons]
        tokens = pad_rows(rows, self.fill).to(self.device)
        mask = pad_rows([[1] * len(row) for row in rows], 0).to(self.device)
        places = self._taught_positions(lessons)
        adapted = hasattr(self.model, "peft_config")
        causal: Any = self.model.get_base_model() if adapted else self.model
        hidden = causal.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        row, column = (torch.tensor([place[k] for place in places], device=self.device) for k in (0, 1))
        right = torch.tensor([rows[place[0]][place[1] + 1] for place in places], device=self.device)
        if self.objective == "tokens":
            return torch.nn.functional.cross_entropy(compute_logits(causal, hidden[row, column], None), right)
        ids = pad_rows([place[2] for place in places], -1).to(self.device)
        known = ids.clamp(min=0)
        if hasattr(causal.get_output_embeddings().weight, "ds_id"):  # ZeRO-3 shards it: only the whole layer can run
            logits = compute_logits(causal, hidden[row, column], None).gather(1, known)
        else:
            logits = compute_logits(causal, hidden[row, column], known)
        logits = logits.masked_fill(ids < 0, float("-inf"))
        return torch.nn.functional.cross_entropy(logits, (ids == right[:, None]).int().argmax(1))

    def _taught_positions(self, lessons: Sequence[SftExample]) -> list[tuple[int, int, TokenIds]]:
        """(row, position before the token in question, allowed tokens) of all that is taught."""
        return [
            (row, len(item.prompt) + k - 1, allowed)
            for row, item in enumerate(lessons)
            for k, allowed in enumerate([*(step.allowed for step in item.answer), (self.end,)])
            if self.objective == "tokens" or len(allowed) > 1
        ]
