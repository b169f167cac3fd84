"""Prompts and correct answers as token ids, by the tokenizer of the LLM. The LLM's weights are not needed."""

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
    """The tokenizer of an LLM, with the parts that all its prompts have in common.

    Attributes:
        tokenizer: The tokenizer.
        instruction: The instruction at the start of each prompt.
        types: The entity types that the LLM may write.
        chat_frame: The token ids before and after every prompt, from the chat template; both empty without a template.
        tag_spelling: The tokens of the tags.

    """

    tokenizer: CharTokenizer
    instruction: str
    types: list[str]
    chat_frame: tuple[TokenIds, TokenIds]
    tag_spelling: TagSpelling = field(init=False)

    def __post_init__(self) -> None:
        self.tag_spelling = self.tokenizer.spell_tags(self.types)

    def build_grammar(self, text: str) -> TagGrammar:
        """Build the grammar of all answers to a text. An answer is the text with tags around entities."""
        return TagGrammar(self.tokenizer.encode_escaped_chars(text), self.tag_spelling)

    def prompt_tokens(self, examples: Sequence[LabelledSentence], text: str) -> list[int]:
        """Encode everything before the answer: instruction, examples, and the sentence to tag."""
        return [*self.instruction_tokens(), *self.example_tokens(examples), *self.query_tokens(text)]

    def instruction_tokens(self) -> list[int]:
        """Encode the start of every prompt: the first part of the chat template, and the instruction."""
        return [*self.chat_frame[0], *self._encode_parts(build_instruction_parts(self.instruction))]

    def example_tokens(self, examples: Sequence[LabelledSentence]) -> list[int]:
        """Encode the examples."""
        return self._encode_parts(build_example_parts_nearest_last(examples))

    def query_tokens(self, text: str) -> list[int]:
        """Encode the sentence to tag, and everything between it and the answer."""
        return [*self._encode_parts(build_query_parts(text)), *self.chat_frame[1]]

    def _encode_parts(self, parts: Sequence[PromptPart]) -> list[int]:
        return [token for part in parts for token in self._encode_part(part)]

    def _encode_part(self, part: PromptPart) -> list[int]:
        if part.spelling is PartSpelling.PROSE:
            return [*self.tokenizer.encode_prose(part.content)]
        if part.spelling is PartSpelling.COPIED:
            return [token for char in self.tokenizer.encode_escaped_chars(part.content) for token in char]
        # An example may have a type that this model was not trained on. The type's name is then encoded as prose.
        name = self.tag_spelling.types.get(part.content) or self.tokenizer.encode_prose(part.content)
        return [
            *(self.tag_spelling.open if part.spelling is PartSpelling.OPEN_TAG else self.tag_spelling.close),
            *name,
            *self.tag_spelling.end,
        ]


def load_prompt_encoder(base: str | Path, *, instruction: str, types: Sequence[str], chat: bool) -> PromptEncoder:
    """Load the tokenizer of a checkpoint and make a prompt encoder; the weights are not read.

    Args:
        base: The checkpoint folder or hub name.
        instruction: The instruction at the start of each prompt.
        types: The entity types that the LLM may write.
        chat: Whether to put prompts into the tokenizer's chat template, if it has one.

    Raises:
        ConfigError: The checkpoint has no tokenizer, or its tokenizer cannot spell the tags.

    """
    tokenizer = CharTokenizer(load_tokenizer(base))
    return PromptEncoder(tokenizer, instruction, list(types), _chat_template_tokens(tokenizer, chat))


def _chat_template_tokens(tokenizer: CharTokenizer, chat: bool) -> tuple[TokenIds, TokenIds]:
    """Encode the parts of the chat template before and after the prompt."""
    hf_tokenizer = tokenizer.tokenizer
    if not chat or not getattr(hf_tokenizer, "chat_template", None):
        return (), ()
    rendered: str = hf_tokenizer.apply_chat_template(
        [{"role": "user", "content": _PROMPT_PLACEHOLDER}], add_generation_prompt=True, tokenize=False
    )
    before, _, after = rendered.partition(_PROMPT_PLACEHOLDER)
    return tokenizer.encode_prose(before), tokenizer.encode_prose(after)
