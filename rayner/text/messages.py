"""Format values of the user's files for messages: short, on one line, and without control characters."""

import reprlib
import unicodedata
from typing import Any

from rayner.text.credentials import HIDDEN, hide_credentials, holds_credentials

MAX_VALUE_CHARS = 120  # characters of a value in a message
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Zl", "Zp", "Cs")  # a terminal could obey them, or show nothing


class _ShortRepr(reprlib.Repr):
    """Show the beginnings of nested values only, so that the length and the depth of a value do not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, MAX_VALUE_CHARS, MAX_VALUE_CHARS, 40
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 4

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4,300 digits.
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"an integer of {x.bit_length():,} bits"


_SHORT_REPR = _ShortRepr()


def shorten_repr(value: Any) -> str:  # noqa: ANN401 - any value of a file
    """Return the `repr` of a value, cut to about `MAX_VALUE_CHARS` characters. A longer value ends in `...`.

    Credentials are hidden.
    """
    if isinstance(value, str):
        if holds_credentials(value):
            return f"'{HIDDEN}', a URL with credentials"
        return repr(value) if len(value) <= MAX_VALUE_CHARS else f"{value[:MAX_VALUE_CHARS]!r}..."
    text = hide_credentials(_SHORT_REPR.repr(value))
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."


def escape_control_characters(text: str) -> str:
    r"""Write control characters, invisible characters and half surrogate pairs as escapes, such as `\x1b`.

    Bytes of a file name that are not UTF-8 become escapes such as `\xff`.
    """
    return "".join(_escape_char(char) if unicodedata.category(char) in _HIDDEN_CATEGORIES else char for char in text)


def _escape_char(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for a byte of a file name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
