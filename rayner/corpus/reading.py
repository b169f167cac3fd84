"""Texts to tag or to learn from, read in order by threads that work ahead, and what was met in them."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rayner.config.settings import Config
from rayner.corpus.text_files import TextFile, decode_utf8, list_text_files, read_bytes
from rayner.errors import ConfigError, DataError

_THREADS = 8  # that read ahead and write behind: an object store answers slowly, but many at once
MAX_UNLABELLED_CHARS = 100_000_000  # characters of unlabelled text; what comes after them is not read
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Document:
    """A document as it was read; sha256 is that of its file."""

    doc_id: str
    path: str
    text: str
    sha256: str


@dataclass
class CorpusSurvey:
    """What was met while a corpus was read: the facts of its plan."""

    documents: int = 0
    characters: int = 0
    units: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    char_counts: Counter[str] = field(default_factory=Counter)
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """What identifies the texts, their names and their order."""
        return str(self._digest.hexdigest())

    def add(self, text: Document) -> None:
        """Count a document."""
        self.documents += 1
        self.characters += len(text.text)
        self.char_counts.update(text.text)
        if not text.text:
            self.empty.append(text.path)
        self._digest.update(f"{text.doc_id}\0{text.sha256}\n".encode())

    def unknown_share(self, known_characters: Container[str]) -> float:
        """Share of the characters, white space apart, that are not known."""
        counts = {char: n for char, n in self.char_counts.items() if not char.isspace()}
        return sum(n for char, n in counts.items() if char not in known_characters) / max(1, sum(counts.values()))


def require_corpus(config: Config) -> str:
    """The corpus to tag. Raises ConfigError where none is given."""
    if not config.corpus:
        raise ConfigError("corpus: expected a text file or a folder of .txt files, found none")
    return config.corpus


def read_documents(corpus: str, survey: CorpusSurvey) -> Iterator[Document]:
    """The documents of a corpus in order; a file that cannot be read is noted, and the rest goes on.

    Raises DataError if none can be.
    """
    for file, text in map_in_threads(read_document, list_text_files(corpus)):
        if isinstance(text, Document):
            survey.add(text)
            yield text
        else:
            survey.unread[file.path] = str(text)
    if not survey.documents:
        first = next(iter(survey.unread.values()))
        raise DataError(f"{corpus}: no file could be read; the first: {first}")


def read_unlabelled_texts(path: str, survey: CorpusSurvey) -> Iterator[str]:
    """The texts of a file or folder in order, until enough characters were met."""
    for text in read_documents(path, survey):
        yield text.text
        if survey.characters >= MAX_UNLABELLED_CHARS:
            return


def digest_unlabelled_texts(path: str) -> str:
    """What identifies what is read of unlabelled text."""
    seen = CorpusSurvey()
    for _ in read_unlabelled_texts(path, seen):
        pass
    return seen.digest


def read_document(file: TextFile) -> tuple[TextFile, Document | str]:
    """The text of a file, or what is wrong with it."""
    if file.problem:
        return file, file.problem
    try:
        data = read_bytes(file.path)
        return file, Document(file.doc_id, file.path, decode_utf8(file.path, data), hashlib.sha256(data).hexdigest())
    except DataError as error:
        return file, str(error)


def map_in_threads(function: Callable[[Asked], Answer], items: Iterable[Asked]) -> Iterator[Answer]:
    """The answers to the items, in order, by threads that work a few items ahead."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def sha256_of_text(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal: that of its file."""
    return hashlib.sha256(text.encode()).hexdigest()
