"""How a tokenizer spells characters: one by one, so that no token ever straddles two (method, section 4).

A tokenizer may delete a character (BERT's normaliser deletes private-use ones). Here such a character gets the
unknown token instead: no character is ever without a token, so answers never shift against the text.
"""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from rayner.errors import ConfigError
from rayner.modeling.checkpoint import checkpoint_error
from rayner.text.markup import escape_char
from rayner.text.tag_grammar import TagSpelling, TokenIds


def load_tokenizer(model: str | Path) -> Any:  # noqa: ANN401 - transformers' tokenizers share no useful base
    """The tokenizer of a checkpoint folder or hub name. Raises ConfigError if there is none."""
    try:
        return AutoTokenizer.from_pretrained(str(model), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise checkpoint_error(model, "a checkpoint with a tokenizer", error) from error


class CharTokenizer:
    """Characters, prose and tags as token numbers, by a transformers tokenizer."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - see load_tokenizer
        self.tokenizer = tokenizer
        self.unknown_token: int | None = tokenizer.unk_token_id
        self._chars: dict[str, TokenIds] = {}

    def encode_prose(self, text: str) -> TokenIds:
        """Tokens of prose."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def encode_char(self, char: str) -> TokenIds:
        """Tokens of one character of text, at least one. Raises ConfigError where the tokenizer has none."""
        if char not in self._chars:
            tokens = self.encode_prose(char)
            if not tokens:
                if self.unknown_token is None:
                    raise ConfigError(f"the tokenizer cannot spell U+{ord(char):04X} and has no unknown token")
                tokens = (self.unknown_token,)
            self._chars[char] = tokens
        return self._chars[char]

    def encode_chars(self, text: str) -> list[TokenIds]:
        """Tokens of each character, as the small model reads them."""
        return [self.encode_char(char) for char in text]

    def encode_escaped_chars(self, text: str) -> list[TokenIds]:
        """Tokens of each character, as the LLM reads and writes them: `<` and `&` escaped as in markup."""
        return [
            self.encode_char(char) if escape_char(char) == char else self.encode_prose(escape_char(char))
            for char in text
        ]

    def spell_tags(self, types: list[str]) -> TagSpelling:
        """How tags of these types are spelled.

        Raises ConfigError where the tokenizer has no tokens for them: it is not the one the model was trained with.
        """
        spelled = {piece: self.encode_prose(piece) for piece in ("<", "</", ">", *types)}
        for piece, tokens in spelled.items():
            if not tokens or self.unknown_token in tokens:
                raise ConfigError(f"the tokenizer cannot spell {piece!r}: does it belong to this model?")
        return TagSpelling(spelled["<"], spelled["</"], spelled[">"], {kind: spelled[kind] for kind in types})

    def __contains__(self, char: object) -> bool:
        """Whether `char in tokenizer`: see `has_char`."""
        return isinstance(char, str) and self.has_char(char)

    def has_char(self, char: str) -> bool:
        """Whether this tokenizer has tokens of its own for a character."""
        return self.unknown_token is None or self.unknown_token not in self.encode_char(char)
