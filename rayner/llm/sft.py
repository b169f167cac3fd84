"""Supervised fine-tuning (SFT) of the LLM: training examples as token ids, and the loss (method, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rayner.errors import ConfigError
from rayner.llm.model import Llm, compute_layer_logits, get_logit_cap
from rayner.llm.packing import can_pack, count_common_tokens, pack_sequences
from rayner.llm.position_chunks import map_position_chunks
from rayner.llm.prompt_encoder import PromptEncoder
from rayner.modeling.tensors import pad_rows
from rayner.modeling.training_schedule import split_by_tokens
from rayner.text.hints import HintEntity, crop_hint
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


@dataclass(frozen=True, slots=True)
class SftSentence(LabelledSentence):
    """A training sentence. hint: the small model's entities in it, for its prompt; None if prompts show none."""

    hint: tuple[HintEntity, ...] | None = None


def split_long_sentence(sentence: SftSentence, max_chars: int, overlap: int) -> list[SftSentence]:
    """Split a sentence into windows if it is longer than `max_chars`.

    An entity that crosses the edge of a window is left out of that window, also in the hint.
    """
    if len(sentence.text) <= max_chars:
        return [sentence]
    return [
        SftSentence(
            sentence.text[w.start : w.end],
            crop_spans(sentence.spans, w.start, w.end),
            hint=None if sentence.hint is None else crop_hint(sentence.hint, w.start, w.end),
        )
        for w in split_windows(len(sentence.text), max_chars, overlap)
    ]


def build_sft_example(
    encoder: PromptEncoder,
    examples: Sequence[LabelledSentence],
    sentence: LabelledSentence,
    hint: Sequence[HintEntity] | None = None,
) -> SftExample:
    """Encode a labelled sentence, with the examples and the hint of its prompt, as a prompt with its correct answer."""
    answer = list(encoder.build_grammar(sentence.text).spell_answer(sentence.spans))
    return SftExample(
        encoder.prompt_tokens(examples, sentence.text, hint),
        [step.token for step in answer],
        [step.allowed for step in answer],
    )


def count_common_prompt_tokens(examples: Sequence[SftExample]) -> int:
    """Return the number of tokens with which all prompts begin, without the last token of any prompt.

    The last token of a prompt is never common, because the first token of its own answer is predicted from it.
    """
    return count_common_tokens([example.prompt[:-1] for example in examples])


def split_into_passes(
    examples: Sequence[SftExample], max_tokens: int, n_workers: int, *, packs: bool
) -> list[list[list[int]]]:
    """Divide the examples of one step among workers and forward passes (`split_by_tokens`).

    packs: Whether a pass packs its examples into one row (`SftLoss.packs`).
    """
    n_common = count_common_prompt_tokens(examples) if packs else None
    return split_by_tokens([len(example) + 1 for example in examples], max_tokens, n_workers, n_common)  # + end token


class OutputLoss(torch.nn.Module):
    """The output layer of a causal language model, with the cross entropy after it.

    ZeRO-3 gathers a module's parameters while its `forward` runs. The layer's parameters are parameters of this module
    too. So the layer is gathered once for all chunks of positions, and every worker gathers it equally often.
    """

    def __init__(self, causal_lm: Any) -> None:  # noqa: ANN401 - transformers' models share no useful base
        super().__init__()
        layer = causal_lm.get_output_embeddings()
        if not isinstance(layer, torch.nn.Linear):  # peft has put an adapter around it
            raise ConfigError(
                "llm.lora.targets: expected modules without the output layer, found the output layer among them"
            )
        self.weight, self.bias = layer.weight, layer.bias
        self.logit_cap = get_logit_cap(causal_lm)

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of the cross entropies.

        Args:
            hidden: The last hidden state at each position, shape [n_positions, hidden].
            targets: The correct token at each position, shape [n_positions].
            allowed: The tokens that the loss is over, padded with -1, shape [n_positions, n_allowed]. None for the
                whole vocabulary.

        """
        n_tokens, width = self.weight.shape[0], hidden.shape[1]
        if allowed is None:
            return map_position_chunks(self._cross_entropies, n_tokens, hidden, targets).sum()
        # Each of these logits needs a copy of its row of the weights.
        n_copied = allowed.shape[1] * width
        return map_position_chunks(self._cross_entropies, n_copied, hidden, targets, allowed).sum()

    def _cross_entropies(
        self, hidden: torch.Tensor, targets: torch.Tensor, allowed: torch.Tensor | None = None
    ) -> torch.Tensor:
        if allowed is None:
            logits = compute_layer_logits(self, self.logit_cap, hidden, None)
        else:
            logits = compute_layer_logits(self, self.logit_cap, hidden, allowed.clamp(min=0))
            logits = logits.masked_fill(allowed < 0, float("-inf"))
            targets = (allowed == targets[:, None]).int().argmax(1)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


class SftLoss(torch.nn.Module):
    """A module that holds the model and computes its training loss in `forward`.

    ZeRO-3 shards a module's weights and gathers them only while its `forward` runs. So the loss must be computed there.
    """

    model: Any

    def __init__(self, llm: Llm, loss_over: str) -> None:
        super().__init__()
        self.model = llm.model
        self.causal_lm = [llm.model.get_base_model() if hasattr(llm.model, "peft_config") else llm.model]
        self.output_loss = OutputLoss(self.causal_lm[0])
        self.packs = can_pack(self.causal_lm[0])
        self.loss_over = loss_over
        self.pad_token = llm.tokenizer.tokenizer.pad_token_id or 0
        self.end_token = llm.tokenizer.tokenizer.eos_token_id
        self.device = llm.device

    def forward(self, examples: Sequence[SftExample]) -> torch.Tensor:
        """Compute the sum of the cross entropies over the answers of a batch. Prompt tokens do not count.

        Where the model allows it, the sentences are packed into one row, and the beginning that their prompts share is
        in it once.

        A batch without examples has the loss zero. It still runs through all layers, because under ZeRO-3 all workers
        must gather the same weights at the same time.

        The setting `loss_over` has two values:

        - `all`: the loss is over the whole vocabulary, at every token of the answer and at the end token after it;
        - `allowed`: the loss is over the allowed tokens only, at the positions where more than one token is allowed.
        """
        rows = [[*example.prompt, *example.answer, self.end_token] for example in examples] or [[self.end_token] * 2]
        positions = self._list_loss_positions(examples)
        weight = 1 if positions else 0
        positions = positions or [(0, 0, (self.end_token,))]
        targets = torch.tensor([rows[row][column + 1] for row, column, _ in positions], device=self.device)
        is_over_all = self.loss_over == "all"
        allowed = None if is_over_all else pad_rows([position[2] for position in positions], -1).to(self.device)
        hidden = self._compute_hidden(
            rows, count_common_prompt_tokens(examples), [(row, column) for row, column, _ in positions]
        )
        total: torch.Tensor = self.output_loss(hidden, targets, allowed) * weight
        return total

    def _compute_hidden(
        self, rows: Sequence[Sequence[int]], n_common: int, positions: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """Return the last hidden state at some positions of token sequences, shape [n_positions, hidden].

        Args:
            rows: The token sequences.
            n_common: The number of tokens with which all begin.
            positions: For each position its row, and its place in the row, which is not among the common tokens.

        """
        decoder = self.causal_lm[0].get_decoder()
        if self.packs:
            packed = pack_sequences(rows, n_common, self.device)
            found = decoder(
                input_ids=packed.tokens, position_ids=packed.positions, attention_mask=packed.attends, use_cache=False
            )
            columns = [packed.offsets[row] + column for row, column in positions]
            hidden: torch.Tensor = found.last_hidden_state
            return hidden[0, torch.tensor(columns, device=self.device)]
        tokens = pad_rows(rows, self.pad_token).to(self.device)
        mask = pad_rows([[1] * len(row) for row in rows], 0).to(self.device)
        hidden = decoder(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        row, column = (torch.tensor([position[k] for position in positions], device=self.device) for k in (0, 1))
        return hidden[row, column]

    def _list_loss_positions(self, examples: Sequence[SftExample]) -> list[tuple[int, int, TokenIds]]:
        """List the tokens that count in the loss. `SftExamples.count_loss_positions` counts them.

        Returns:
            For each such token: its row, the position before it, and the allowed token ids.

        """
        return [
            (row, len(example.prompt) + k - 1, allowed)
            for row, example in enumerate(examples)
            for k, allowed in enumerate([*example.allowed, (self.end_token,)])
            if self.loss_over == "all" or len(allowed) > 1
        ]
