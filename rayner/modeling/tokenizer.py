"""Tokenization by character: no token covers parts of two characters (method, section 4).

A tokenizer may delete a character; for example, BERT's normaliser deletes private-use characters. Here such a character
becomes the unknown token. So every character has at least one token, and answers stay aligned with the text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from rayner.errors import ConfigError
from rayner.modeling.checkpoint import checkpoint_error
from rayner.text.markup import escape_char
from rayner.text.tag_grammar import TagSpelling, TokenIds

_NO_CHARACTER = "\ufffd"  # how bytes that are no character, or not yet a whole one, are decoded


def load_tokenizer(model: str | Path) -> Any:  # noqa: ANN401 - transformers' tokenizers share no useful base
    """Load the tokenizer of a checkpoint folder or hub name. Raises ConfigError if there is none."""
    try:
        return AutoTokenizer.from_pretrained(str(model), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise checkpoint_error(model, "a checkpoint with a tokenizer", error) from error


class CharTokenizer:
    """Turns characters, prose and tags into token ids with a transformers tokenizer.

    `char in char_tokenizer` is true if the character has tokens other than the unknown token.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - see load_tokenizer
        self.tokenizer = tokenizer
        self.unknown_token: int | None = tokenizer.unk_token_id
        self._char_tokens: dict[str, TokenIds] = {}

    def __contains__(self, char: object) -> bool:
        return isinstance(char, str) and (
            self.unknown_token is None or self.unknown_token not in self.encode_char(char)
        )

    def encode_prose(self, text: str) -> TokenIds:
        """Return the tokens of a text as the tokenizer splits it, without special tokens."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def find_special_tokens_before_text(self) -> TokenIds:
        """Return the special tokens that the tokenizer puts before every text, such as BOS; often there are none.

        Special tokens that it puts after a text, such as EOS, are left out.

        Raises:
            ConfigError: With special tokens, the tokenizer splits a text in another way.

        """
        text = "<"  # every tokenizer that can spell tags has tokens for it
        tokens, all_tokens = self.encode_prose(text), tuple(self.tokenizer.encode(text, add_special_tokens=True))
        for start in range(len(all_tokens) - len(tokens) + 1):
            if all_tokens[start : start + len(tokens)] == tokens:
                return all_tokens[:start]
        raise ConfigError(
            f"the tokenizer: expected the same tokens of {text!r} with and without special tokens, found {all_tokens} "
            f"and {tokens}: use another model"
        )

    def encode_char(self, char: str) -> TokenIds:
        """Return the tokens of one character; there is at least one.

        Raises:
            ConfigError: The tokenizer has no token for the character and no unknown token.

        """
        if char not in self._char_tokens:
            tokens = self.encode_prose(char)
            if not tokens:
                if self.unknown_token is None:
                    raise ConfigError(f"the tokenizer cannot spell U+{ord(char):04X} and has no unknown token")
                tokens = (self.unknown_token,)
            self._char_tokens[char] = tokens
        return self._char_tokens[char]

    def encode_chars(self, text: str) -> list[TokenIds]:
        """Return the tokens of each character, as the small model reads them."""
        return [self.encode_char(char) for char in text]

    def encode_escaped_chars(self, text: str) -> list[TokenIds]:
        """Return the tokens of each character, as the LLM reads and writes them.

        The characters `<` and `&` are escaped as in markup.
        """
        return [
            self.encode_char(char) if escape_char(char) == char else self.encode_prose(escape_char(char))
            for char in text
        ]

    def decode_with_token_starts(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """Return the text of tokens, and for each token the offset of the first character that it spells.

        Tokens that spell one character together have the same offset. Special tokens are written as text. Bytes that
        are no character become U+FFFD.
        """
        text, starts = "", list[int]()
        context = first = (
            0  # some tokenizers spell a token differently at the start of a text: decode with the last one
        )
        for end in range(1, len(tokens) + 1):
            before, now = self._decode(tokens[context:first]), self._decode(tokens[context:end])
            is_incomplete = now.endswith(_NO_CHARACTER) or len(now) <= len(before)
            if is_incomplete and end < len(tokens):
                continue
            starts += [len(text)] * (end - first)
            text += now[len(before) :]
            context, first = first, end
        return text, starts

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode([*tokens], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def spell_tags(self, types: list[str]) -> TagSpelling:
        """Return the tokens of the tags of these types.

        Raises:
            ConfigError: The tokenizer cannot spell the tags, so it is not the tokenizer that the model was trained
                with.

        """
        pieces = {piece: self.encode_prose(piece) for piece in ("<", "</", ">", *types)}
        for piece, tokens in pieces.items():
            if not tokens or self.unknown_token in tokens:
                raise ConfigError(f"the tokenizer cannot spell {piece!r}: does it belong to this model?")
        return TagSpelling(pieces["<"], pieces["</"], pieces[">"], {type_: pieces[type_] for type_ in types})
