"""Decode the texts of a corpus strictly, by a byte order mark (BOM) or by the setting `corpus.encoding`.

A text that is encoded again gives the bytes of its file. So the digest of the file proves the text.
"""

import codecs
import hashlib
from typing import NamedTuple

from rayner.corpus.plain_text.content_guess import format_guess_hint
from rayner.errors import DataError
from rayner.text.messages import escape_control_characters

UTF8 = "utf-8"
# The longer marks come first, because they begin with the shorter ones.
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class DecodedText(NamedTuple):
    """A text and the encoding of its file: `text.encode(encoding)` is the content of the file."""

    text: str
    encoding: str


def decode_text(path: str, data: bytes, encoding: str = UTF8) -> DecodedText:
    """Decode the content of a file. A BOM stays as the character U+FEFF.

    encoding: The encoding of a file without a BOM.

    Raises DataError if the bytes are in another encoding, or if the text encoded again would be other bytes. The
    message names the file, the place and, if possible, what the content looks like.
    """
    by_mark = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    encoding = by_mark or encoding
    shown = escape_control_characters(path)
    if encoding == "utf-16":
        raise DataError(
            f"{shown}: expected UTF-16 with a byte order mark, found none: set corpus.encoding=utf-16-le or utf-16-be"
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(_describe_decoding_error(shown, data, encoding, error)) from None
    if encoding != UTF8:
        _require_same_bytes(shown, data, text, encoding)
    return DecodedText(text, encoding)


def digest_encoded_text(text: str, encoding: str | None = None) -> str:
    """Return the SHA-256, in hexadecimal, of a file with this text; "" if the text cannot be encoded like this.

    encoding: None is UTF-8.
    """
    try:
        return hashlib.sha256(text.encode(encoding or UTF8)).hexdigest()
    except (UnicodeEncodeError, LookupError):
        return ""


def _describe_decoding_error(shown_path: str, data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    line = data.count(b"\n", 0, error.start) + 1
    byte, offset = data[error.start], f"offset {error.start:,}"
    message = f"{shown_path}:{line}: expected {encoding.upper()}, found byte 0x{byte:02x} ({error.reason}) at {offset}"
    return message + format_guess_hint(data, setting="corpus.encoding")


def _require_same_bytes(shown_path: str, data: bytes, text: str, encoding: str) -> None:
    """Raise DataError unless the text, encoded again, is the content of the file.

    Some encodings have several byte sequences for one character.
    """
    try:
        encoded = text.encode(encoding)
    except UnicodeEncodeError as error:
        encoded = text[: error.start].encode(encoding)
    if encoded != data:
        offset = next((i for i, (a, b) in enumerate(zip(encoded, data, strict=False)) if a != b), len(encoded))
        raise DataError(
            f"{shown_path}: expected {encoding.upper()} with one spelling of each character, found at offset "
            f"{offset:,} bytes that are another spelling: convert the file with iconv -t UTF-8"
        )
