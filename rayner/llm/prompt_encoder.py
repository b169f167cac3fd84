"""Prompts and right answers as token ids, by the tokenizer of the large model. Its weights are not needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rayner.llm.prompts import (
    PartSpelling,
    PromptPart,
    build_example_parts_nearest_last,
    build_instruction_parts,
    build_query_parts,
)
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.text.labelled_text import LabelledSentence
from rayner.text.tag_grammar import TagGrammar, TagSpelling, TokenIds

_PROMPT_PLACEHOLDER = "\x00"  # stands for the prompt while the chat template is rendered


@dataclass
class PromptEncoder:
    """The tokenizer of a large model with the instruction, the types it may write, and its chat template.

    chat_frame: token ids before and after every prompt; both empty without a chat template.
    """

    tokenizer: CharTokenizer
    instruction: str
    types: list[str]
    chat_frame: tuple[TokenIds, TokenIds]
    tag_spelling: TagSpelling = field(init=False)

    def __post_init__(self) -> None:
        self.tag_spelling = self.tokenizer.spell_tags(self.types)

    def build_grammar(self, text: str) -> TagGrammar:
        """Build the grammar of all answers to a text: the text copied, with tags around entities."""
        return TagGrammar(self.tokenizer.encode_escaped_chars(text), self.tag_spelling)

    def prompt_tokens(self, examples: Sequence[LabelledSentence], text: str) -> list[int]:
        """Encode everything before the answer: instruction, examples, sentence."""
        return [*self.instruction_tokens(), *self.example_tokens(examples), *self.query_tokens(text)]

    def instruction_tokens(self) -> list[int]:
        """Encode what begins every prompt: the first part of the chat template, and the instruction."""
        return [*self.chat_frame[0], *self._encode_parts(build_instruction_parts(self.instruction))]

    def example_tokens(self, examples: Sequence[LabelledSentence]) -> list[int]:
        """Encode the examples."""
        return self._encode_parts(build_example_parts_nearest_last(examples))

    def query_tokens(self, text: str) -> list[int]:
        """Encode the sentence to tag, and what stands between it and the answer."""
        return [*self._encode_parts(build_query_parts(text)), *self.chat_frame[1]]

    def _encode_parts(self, parts: Sequence[PromptPart]) -> list[int]:
        return [token for part in parts for token in self._encode_part(part)]

    def _encode_part(self, part: PromptPart) -> list[int]:
        if part.spelling is PartSpelling.PROSE:
            return [*self.tokenizer.encode_prose(part.content)]
        if part.spelling is PartSpelling.COPIED:
            return [token for char in self.tokenizer.encode_escaped_chars(part.content) for token in char]
        # An example may hold a type that this model was not trained on. It is spelled all the same.
        name = self.tag_spelling.types.get(part.content) or self.tokenizer.encode_prose(part.content)
        return [
            *(self.tag_spelling.open if part.spelling is PartSpelling.OPEN_TAG else self.tag_spelling.close),
            *name,
            *self.tag_spelling.end,
        ]


def load_prompt_encoder(base: str | Path, *, instruction: str, types: Sequence[str], chat: bool) -> PromptEncoder:
    """Load the tokenizer of a checkpoint as the encoder of its prompts; the weights are not read.

    chat: put prompts into the tokenizer's chat template, if it has one.
    Raises ConfigError where the folder has no tokenizer, or one that cannot spell the tags.
    """
    tokenizer = CharTokenizer(load_tokenizer(base))
    return PromptEncoder(tokenizer, instruction, list(types), _chat_template_tokens(tokenizer, chat))


def _chat_template_tokens(tokenizer: CharTokenizer, chat: bool) -> tuple[TokenIds, TokenIds]:
    """Encode what the chat template puts before and after the prompt."""
    hf_tokenizer = tokenizer.tokenizer
    if not chat or not getattr(hf_tokenizer, "chat_template", None):
        return (), ()
    rendered: str = hf_tokenizer.apply_chat_template(
        [{"role": "user", "content": _PROMPT_PLACEHOLDER}], add_generation_prompt=True, tokenize=False
    )
    before, _, after = rendered.partition(_PROMPT_PLACEHOLDER)
    return tokenizer.encode_prose(before), tokenizer.encode_prose(after)
