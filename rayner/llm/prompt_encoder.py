"""Prompts and correct answers as token ids, by the tokenizer of the LLM. The LLM's weights are not needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rayner.llm.chat_template import render_text_around_prompt
from rayner.llm.prompts import (
    PartSpelling,
    PromptPart,
    build_example_parts_nearest_last,
    build_hinted_query_parts,
    build_instruction_parts,
    build_query_parts,
)
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.text.hints import HintEntity
from rayner.text.labelled_text import LabelledSentence
from rayner.text.tag_grammar import TagGrammar, TagSpelling, TokenIds


@dataclass
class PromptEncoder:
    """The tokenizer of an LLM, with the parts that all its prompts have in common.

    Attributes:
        tokenizer: The tokenizer.
        instruction: The instruction at the start of each prompt.
        types: The entity types that the LLM may write.
        frame: The token ids before and after every prompt: those of the chat template or, without one, those that the
            tokenizer puts before any text, such as a BOS token.
        hint: What prompts show of the small model's prediction, as in `llm.hint`.
        tag_spelling: The tokens of the tags.

    """

    tokenizer: CharTokenizer
    instruction: str
    types: list[str]
    frame: tuple[TokenIds, TokenIds]
    hint: str = "none"
    tag_spelling: TagSpelling = field(init=False)

    def __post_init__(self) -> None:
        self.tag_spelling = self.tokenizer.spell_tags(self.types)

    def build_grammar(self, text: str) -> TagGrammar:
        """Build the grammar of all answers to a text. An answer is the text with tags around entities."""
        return TagGrammar(self.tokenizer.encode_escaped_chars(text), self.tag_spelling)

    def prompt_tokens(
        self, examples: Sequence[LabelledSentence], text: str, hint: Sequence[HintEntity] | None = None
    ) -> list[int]:
        """Encode everything before the answer: instruction, examples, and the sentence to tag, with or without a hint.

        hint: See `query_tokens`.
        """
        return [*self.instruction_tokens(), *self.example_tokens(examples), *self.query_tokens(text, hint)]

    def instruction_tokens(self) -> list[int]:
        """Encode the start of every prompt: the tokens before it, and the instruction."""
        return [*self.frame[0], *self._encode_parts(build_instruction_parts(self.instruction))]

    def example_tokens(self, examples: Sequence[LabelledSentence]) -> list[int]:
        """Encode the examples."""
        return self._encode_parts(build_example_parts_nearest_last(examples))

    def query_tokens(self, text: str, hint: Sequence[HintEntity] | None = None) -> list[int]:
        """Encode the sentence to tag, and everything between it and the answer.

        Args:
            text: The sentence.
            hint: The small model's entities in the sentence. It is ignored if prompts show no hint.

        Raises:
            ValueError: Prompts show a hint, and none is given.

        """
        if self.hint == "none":
            parts = build_query_parts(text)
        elif hint is not None:
            parts = build_hinted_query_parts(text, hint, with_confidence=self.hint == "confidence")
        else:
            raise ValueError("expected the small model's entities for the prompt, found none")
        return [*self._encode_parts(parts), *self.frame[1]]

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


def load_prompt_encoder(
    base: str | Path, *, instruction: str, types: Sequence[str], chat: bool, hint: str = "none"
) -> PromptEncoder:
    """Load the tokenizer of a checkpoint and make a prompt encoder; the weights are not read.

    Args:
        base: The checkpoint folder or hub name.
        instruction: The instruction at the start of each prompt.
        types: The entity types that the LLM may write.
        chat: Whether to put prompts into the tokenizer's chat template, if it has one.
        hint: What prompts show of the small model's prediction, as in `llm.hint`.

    Raises:
        ConfigError: The checkpoint has no tokenizer, its tokenizer cannot spell the tags, or its chat template changes
            the prompt.

    """
    tokenizer = CharTokenizer(load_tokenizer(base))
    if chat and getattr(tokenizer.tokenizer, "chat_template", None):
        # A template writes the BOS token itself where the model expects one.
        before, after = render_text_around_prompt(tokenizer.tokenizer, base)
        frame = tokenizer.encode_prose(before), tokenizer.encode_prose(after)
    else:
        frame = tokenizer.find_special_tokens_before_text(), ()
    return PromptEncoder(tokenizer, instruction, list(types), frame, hint)
