"""Find texts that share a string of characters with labelled sentences, so that they can be left out of pretraining.

An encoder that has read the sentences on which it is judged later would be judged too well. The strings of the
labelled sentences are few and stay in memory. Texts of any length are compared with them by hashes of numpy arrays, and
each hit is compared as a string, so equal hashes of different strings change nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from rayner.errors import DataError

SHARED_CHARS = 12  # length of a shared string; shorter ones are often names or formulas
_SLICE_CHARS = 1 << 20  # of a text, at a time
_HASH_BASE = np.uint64(0x9E3779B97F4A7C15)  # any large odd number


class SharedText:
    """The strings of SHARED_CHARS characters in some sentences.

    n_short_sentences: The number of sentences that are shorter, and so are never found.
    """

    def __init__(self, sentences: Iterable[str], variants: Mapping[int, str] | None = None) -> None:
        """Collect the strings. variants: for `str.translate`, which character counts as which other one."""
        self._variants = variants or {}
        self._strings: set[str] = set()
        self.n_sentences = self.n_short_sentences = 0
        hashes = [np.zeros(0, dtype=np.uint64)]
        for sentence in sentences:
            text = sentence.translate(self._variants)
            self.n_sentences += 1
            self.n_short_sentences += len(text) < SHARED_CHARS
            self._strings.update(text[i : i + SHARED_CHARS] for i in range(len(text) - SHARED_CHARS + 1))
            hashes.append(_hash_strings(text))
        self._hashes = np.unique(np.concatenate(hashes))

    @property
    def digest(self) -> str:
        """A digest of the strings."""
        return hashlib.sha256("".join(sorted(self._strings)).encode("utf-8", "surrogatepass")).hexdigest()

    def is_shared_with(self, text: str) -> bool:
        """Return whether a text holds one of the strings."""
        if not self._strings:
            return False
        for start in range(0, max(1, len(text) - SHARED_CHARS + 1), _SLICE_CHARS):
            part = text[start : start + _SLICE_CHARS + SHARED_CHARS - 1].translate(self._variants)
            hashes = _hash_strings(part)
            places = np.searchsorted(self._hashes, hashes)
            hits = np.flatnonzero(self._hashes[np.minimum(places, len(self._hashes) - 1)] == hashes)
            if any(part[i : i + SHARED_CHARS] in self._strings for i in hits.tolist()):
                return True
        return False


def _hash_strings(text: str) -> npt.NDArray[np.uint64]:
    """Return the hash of the string of SHARED_CHARS characters that begins at each character."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    n_strings = max(0, len(codes) - SHARED_CHARS + 1)
    hashes = np.zeros(n_strings, dtype=np.uint64)
    for i in range(SHARED_CHARS if n_strings else 0):
        hashes *= _HASH_BASE
        hashes += codes[i : i + n_strings]
    return hashes


def parse_variants(content: str, source: str) -> dict[int, str]:
    """Parse lines of two characters: the first counts as the second. White space and empty lines are ignored.

    Args:
        content: The content of the file.
        source: The file, for messages.

    Returns:
        A table for `str.translate`.

    Raises:
        DataError: A line holds something else, or a character has two meanings. The message names the line.

    """
    variants: dict[int, str] = {}
    for number, line in enumerate(content.removeprefix("\ufeff").splitlines(), 1):
        chars = "".join(line.split())
        if not chars:
            continue
        if len(chars) != 2:
            raise DataError(f"{source}:{number}: expected two characters, found {len(chars)}")
        if variants.setdefault(ord(chars[0]), chars[1]) != chars[1]:
            raise DataError(
                f"{source}:{number}: expected one meaning of each character, found {chars[0]} as {chars[1]} and, in an "
                f"earlier line, as {variants[ord(chars[0])]}"
            )
    return variants
