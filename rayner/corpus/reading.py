"""Texts to tag or to learn from, read in order by threads that work ahead, and what was met in them."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rayner.config.settings import Config
from rayner.corpus.texts import TextFile, decoded, list_texts, read_bytes
from rayner.errors import ConfigError, DataError

_THREADS = 8  # that read ahead and write behind: an object store answers slowly, but many at once
_ENOUGH = 100_000_000  # characters of unlabelled text; what comes after them is not read
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Text:
    """A document as it was read; sha256 is that of its file."""

    doc_id: str
    path: str
    text: str
    sha256: str


@dataclass
class Survey:
    """What was met while a corpus was read: the facts of its plan."""

    documents: int = 0
    characters: int = 0
    units: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """What identifies the texts, their names and their order."""
        return str(self._digest.hexdigest())

    def see(self, text: Text) -> None:
        """Count a document."""
        self.documents += 1
        self.characters += len(text.text)
        self.used.update(text.text)
        if not text.text:
            self.empty.append(text.path)
        self._digest.update(f"{text.doc_id}\0{text.sha256}\n".encode())

    def unknown_share(self, known: Callable[[str], bool]) -> float:
        """Share of the characters, white space apart, that are not known."""
        counts = {char: n for char, n in self.used.items() if not char.isspace()}
        return sum(n for char, n in counts.items() if not known(char)) / max(1, sum(counts.values()))


def corpus_of(config: Config) -> str:
    """The corpus to tag. Raises ConfigError where none is given."""
    if not config.corpus:
        raise ConfigError("corpus: expected a text file or a folder of .txt files, found none")
    return config.corpus


def texts_of(corpus: str, seen: Survey) -> Iterator[Text]:
    """The documents of a corpus in order; a file that cannot be read is noted, and the rest goes on.

    Raises DataError if none can be.
    """
    for file, text in in_order(read_text, list_texts(corpus)):
        if isinstance(text, Text):
            seen.see(text)
            yield text
        else:
            seen.unread[file.path] = str(text)
    if not seen.documents:
        first = next(iter(seen.unread.values()))
        raise DataError(f"{corpus}: no file could be read; the first: {first}")


def beginning(where: str, seen: Survey) -> Iterator[str]:
    """The texts of a file or folder in order, until enough characters were met."""
    for text in texts_of(where, seen):
        yield text.text
        if seen.characters >= _ENOUGH:
            return


def text_digest(where: str) -> str:
    """What identifies what is read of unlabelled text."""
    seen = Survey()
    for _ in beginning(where, seen):
        pass
    return seen.digest


def read_text(file: TextFile) -> tuple[TextFile, Text | str]:
    """The text of a file, or what is wrong with it."""
    if file.fault:
        return file, file.fault
    try:
        data = read_bytes(file.path)
        return file, Text(file.doc_id, file.path, decoded(file.path, data), hashlib.sha256(data).hexdigest())
    except DataError as error:
        return file, str(error)


def in_order(work: Callable[[Asked], Answer], items: Iterable[Asked]) -> Iterator[Answer]:
    """The answers to the items, in order, by threads that work a few items ahead."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def digest_of(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal: that of its file."""
    return hashlib.sha256(text.encode()).hexdigest()
