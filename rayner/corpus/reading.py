"""Read plain texts to tag them or to train on them. Threads read ahead, and the texts come in order."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rayner.corpus.ignored_files import IgnoredFiles
from rayner.corpus.text_files import TextFile, decode_utf8, read_corpus_file
from rayner.corpus.text_listing import list_text_files
from rayner.errors import ConfigError, DataError
from rayner.runs.progress import log

_THREADS = 8  # an object store answers slowly, but it answers many requests at the same time
MAX_UNLABELLED_CHARS = 100_000_000  # the rest of the unlabelled text is not read
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Document:
    """A document as it was read. `sha256` is the SHA-256 of its file, in hexadecimal."""

    doc_id: str
    path: str
    text: str
    sha256: str


@dataclass
class CorpusSurvey:
    """Counts and problems of a corpus, updated with each document that is read.

    units: The number of units of work in the plan.
    unread: For each file or folder that could not be read, the reason.
    ignored: The files that are not texts.
    empty: The paths of the files without text.
    plan_parts: The SHA-256 of each file of the plan that was written, by name.
    """

    documents: int = 0
    characters: int = 0
    units: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    ignored: IgnoredFiles = field(default_factory=IgnoredFiles)
    empty: list[str] = field(default_factory=list)
    plan_parts: dict[str, str] = field(default_factory=dict)
    char_counts: Counter[str] = field(default_factory=Counter)
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """Return a digest that depends on the texts, their names and their order."""
        return str(self._digest.hexdigest())

    def add(self, document: Document) -> None:
        """Add a document to the counts and to the digest."""
        self.documents += 1
        self.characters += len(document.text)
        self.char_counts.update(document.text)
        if not document.text:
            self.empty.append(document.path)
        self._digest.update(f"{document.doc_id}\0{document.sha256}\n".encode())

    def compute_unknown_char_share(self, known_characters: Container[str]) -> float:
        """Return the share of the characters that are not in `known_characters`. White space does not count."""
        counts = {char: n for char, n in self.char_counts.items() if not char.isspace()}
        return sum(n for char, n in counts.items() if char not in known_characters) / max(1, sum(counts.values()))


def require_corpus(corpus: str | None) -> str:
    """Return the path of the corpus to tag (the setting `corpus`). Raises ConfigError if the setting is empty."""
    if not corpus:
        raise ConfigError("corpus: expected a text file or a folder of .txt files, found none")
    return corpus


def read_documents(corpus: str, survey: CorpusSurvey) -> Iterator[Document]:
    """Yield the documents of a corpus in order.

    `survey` counts them, lists the files that cannot be read, and counts the files that are ignored.

    Raises DataError if no file can be read, and JobError if the storage fails.
    """
    for file, document in map_in_threads(read_document_or_problem, list_text_files(corpus, survey.ignored)):
        if isinstance(document, Document):
            survey.add(document)
            yield document
        else:
            survey.unread[file.path] = document
    if not survey.documents:
        first = next(iter(survey.unread.values()))
        raise DataError(f"{corpus}: no file could be read; the first: {first}")


def read_unlabelled_texts(path: str, survey: CorpusSurvey) -> Iterator[str]:
    """Read the texts of a file or folder in order, up to `MAX_UNLABELLED_CHARS` characters.

    Files that cannot be read are left out, with a warning.
    """
    for document in read_documents(path, survey):
        yield document.text
        if survey.characters >= MAX_UNLABELLED_CHARS:
            break
    if survey.unread:
        first = next(iter(survey.unread.values()))
        log.warning("%s: left out %d files that cannot be read; the first: %s", path, len(survey.unread), first)


def digest_unlabelled_texts(path: str) -> str:
    """Return the digest of the texts that `read_unlabelled_texts` reads."""
    survey = CorpusSurvey()
    for _ in read_unlabelled_texts(path, survey):
        pass
    return survey.digest


def read_document_or_problem(file: TextFile) -> tuple[TextFile, Document | str]:
    """Return a file with its document, or with the reason why it cannot be read.

    Raises JobError if the storage fails.
    """
    if file.problem:
        return file, file.problem
    try:
        content = read_corpus_file(file.path)
        text = decode_utf8(file.path, content)
    except DataError as error:
        return file, str(error)
    return file, Document(file.doc_id, file.path, text, hashlib.sha256(content).hexdigest())


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Call a function on each item and yield the results in order. Threads work a few items ahead."""
    with ThreadPoolExecutor(_THREADS) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * _THREADS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text encoded as UTF-8, in hexadecimal. It equals the digest of the text's file."""
    return hashlib.sha256(text.encode()).hexdigest()
