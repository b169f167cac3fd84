"""Guess what a file holds that is not in the expected encoding. A guess is only told, never used to read a file."""

import codecs
from typing import NamedTuple

_SAMPLE_BYTES = 64 * 1024
_MIN_FREQUENT_SHARE = 0.06
# The files of other programs, by their first bytes. In a ZIP file, names of its parts follow.
_SIGNATURES = (
    (b"%PDF", "a PDF file"),
    (b"\xd0\xcf\x11\xe0", "a Word or Excel file of an old version"),
    (b"\x1f\x8b", "a file compressed by gzip"),
)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP, _ZIP_PARTS = b"PK\x03\x04", ((b"word/", "a Word document"), (b"xl/", "an Excel workbook"))
# Setting, and the name that people and iconv know. Stricter encodings come first.
_CANDIDATES = (
    ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"), ("big5", "BIG5"), ("cp950", "CP950"),
    ("big5hkscs", "BIG5-HKSCS"), ("gb18030", "GB18030"), ("shift_jis", "SHIFT_JIS"), ("euc_jp", "EUC-JP"),
)  # fmt: skip
# Characters that are frequent in classical and modern Chinese of both scripts, and in Japanese.
_FREQUENT = frozenset(
    "之不以而為为也其人於于者有王曰一大子中上下年是的了在我他這这個个來来國国無无天日月，。、：；「」『』《》のにをはた"
)


class ContentGuess(NamedTuple):
    """What a file looks like. encoding: the value of `corpus.encoding`; None if the file is no plain text."""

    description: str
    encoding: str | None = None


def format_guess_hint(data: bytes, *, setting: str | None = None) -> str:
    """Return the end of a message that says what a file looks like and what to do; "" if nothing is known.

    setting: The setting that names the encoding; None if there is none.
    """
    guess = guess_content(data)
    if guess is None:
        return f"; if it is text in another encoding, name it, such as {setting}=gb18030" if setting else ""
    if guess.encoding is None:
        return f"; looks like {guess.description}: save it as plain text in UTF-8"
    by_setting = f"set {setting}={guess.encoding}, or " if setting else ""
    return f"; looks like {guess.description}: {by_setting}convert it with iconv -f {guess.description} -t UTF-8"


def guess_content(data: bytes) -> ContentGuess | None:
    """Return what the content of a file looks like; None if it looks like nothing that is known."""
    sample = data[:_SAMPLE_BYTES]
    for signature, description in _SIGNATURES:
        if sample.startswith(signature):
            return ContentGuess(description)
    if sample.startswith(_ZIP):
        parts = (description for part, description in _ZIP_PARTS if part in data)
        return ContentGuess(next(parts, "a ZIP file"))
    if sample.startswith(_UTF16_MARKS):
        return ContentGuess("UTF-16", "utf-16")
    shares = {candidate: _compute_frequent_share(sample, candidate[0], len(data)) for candidate in _CANDIDATES}
    best = max(shares, key=lambda candidate: shares[candidate])
    encoding, name = best
    return ContentGuess(name, encoding) if shares[best] >= _MIN_FREQUENT_SHARE else None


def _compute_frequent_share(sample: bytes, encoding: str, n_bytes: int) -> float:
    """Return the share of frequent characters among those that are not ASCII; 0 if the sample does not decode."""
    try:
        # The last character of a sample may be cut.
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) == n_bytes)
    except UnicodeDecodeError:
        return 0.0
    chars = [char for char in text if not char.isascii()]
    return sum(char in _FREQUENT for char in chars) / len(chars) if chars else 0.0
