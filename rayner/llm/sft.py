"""Supervised fine-tuning (SFT) of the LLM: training examples as token ids, and the loss (method, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rayner.llm.model import Llm, compute_logits
from rayner.llm.prompt_encoder import PromptEncoder
from rayner.modeling.tensors import pad_rows
from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import split_windows
from rayner.text.spans import crop_spans
from rayner.text.tag_grammar import TokenIds


@dataclass(frozen=True)
class SftExample:
    """A prompt with its correct answer.

    Attributes:
        prompt: The token ids of everything before the answer.
        answer: The token ids of the answer, without the end token.
        allowed: For each token of the answer, the token ids that the grammar allows at that position.

    """

    prompt: list[int]
    answer: list[int]
    allowed: list[TokenIds]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def split_long_sentence(sentence: LabelledSentence, max_chars: int, overlap: int) -> list[LabelledSentence]:
    """Split a sentence into windows if it is longer than `max_chars`.

    An entity that crosses the edge of a window is left out of that window.
    """
    if len(sentence.text) <= max_chars:
        return [sentence]
    return [
        LabelledSentence(sentence.text[w.start : w.end], crop_spans(sentence.spans, w.start, w.end))
        for w in split_windows(len(sentence.text), max_chars, overlap)
    ]


def build_sft_example(
    encoder: PromptEncoder, examples: Sequence[LabelledSentence], sentence: LabelledSentence
) -> SftExample:
    """Encode a labelled sentence and the examples of its prompt as a prompt with its correct answer."""
    answer = list(encoder.build_grammar(sentence.text).spell_answer(sentence.spans))
    return SftExample(
        encoder.prompt_tokens(examples, sentence.text),
        [step.token for step in answer],
        [step.allowed for step in answer],
    )


class SftLoss(torch.nn.Module):
    """A module that holds the model and computes its training loss in `forward`.

    ZeRO-3 shards a module's weights and gathers them only while its `forward` runs. So the loss must be computed there.
    """

    model: Any

    def __init__(self, llm: Llm, loss_over: str) -> None:
        super().__init__()
        self.model = llm.model
        self.loss_over = loss_over
        self.pad_token = llm.tokenizer.tokenizer.pad_token_id or 0
        self.end_token = llm.tokenizer.tokenizer.eos_token_id
        self.device = llm.device

    def forward(self, examples: Sequence[SftExample]) -> torch.Tensor:
        """Compute the mean cross entropy over the answers of a batch. Prompt tokens do not count.

        The setting `loss_over` has two values:

        - `all`: the loss is over the whole vocabulary, at every token of the answer and at the end token after it;
        - `allowed`: the loss is over the allowed tokens only, at the positions where more than one token is allowed.
        """
        rows = [[*example.prompt, *example.answer, self.end_token] for example in examples]
        tokens = pad_rows(rows, self.pad_token).to(self.device)
        mask = pad_rows([[1] * len(row) for row in rows], 0).to(self.device)
        positions = self._list_loss_positions(examples)
        has_adapter = hasattr(self.model, "peft_config")
        causal: Any = self.model.get_base_model() if has_adapter else self.model
        hidden = causal.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        row, column = (torch.tensor([position[k] for position in positions], device=self.device) for k in (0, 1))
        targets = torch.tensor([rows[position[0]][position[1] + 1] for position in positions], device=self.device)
        if self.loss_over == "all":
            return torch.nn.functional.cross_entropy(compute_logits(causal, hidden[row, column], None), targets)
        allowed = pad_rows([position[2] for position in positions], -1).to(self.device)
        token_ids = allowed.clamp(min=0)
        if hasattr(causal.get_output_embeddings().weight, "ds_id"):  # sharded by ZeRO-3: only the whole layer can run
            logits = compute_logits(causal, hidden[row, column], None).gather(1, token_ids)
        else:
            logits = compute_logits(causal, hidden[row, column], token_ids)
        logits = logits.masked_fill(allowed < 0, float("-inf"))
        return torch.nn.functional.cross_entropy(logits, (allowed == targets[:, None]).int().argmax(1))

    def _list_loss_positions(self, examples: Sequence[SftExample]) -> list[tuple[int, int, TokenIds]]:
        """List the tokens that count in the loss.

        Returns:
            For each such token: its row, the position before it, and the allowed token ids.

        """
        return [
            (row, len(example.prompt) + k - 1, allowed)
            for row, example in enumerate(examples)
            for k, allowed in enumerate([*example.allowed, (self.end_token,)])
            if self.loss_over == "all" or len(allowed) > 1
        ]
