"""Read plain texts to tag them or to train on them. Threads read ahead, and the texts come in order."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from rayner.corpus.ignored_files import IgnoredFiles
from rayner.corpus.plain_text.encodings import UTF8, decode_text
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.text_files import TextFile, read_corpus_file
from rayner.corpus.text_listing import list_text_files
from rayner.errors import ConfigError, DataError
from rayner.runs.progress import log

_THREADS = 8  # an object store answers slowly, but it answers many requests at the same time
MAX_UNLABELLED_CHARS = 100_000_000  # the rest of the unlabelled text is not read
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Document:
    """A document as it was read.

    sha256: The SHA-256 of its file, in hexadecimal.
    encoding: The encoding of its file. The text in this encoding is the content of the file.
    """

    doc_id: str
    path: str
    text: str
    sha256: str
    encoding: str = UTF8


@dataclass
class CorpusSurvey:
    """Counts and problems of a corpus, updated with each document that is read.

    units: The number of units of work in the plan.
    unread: For each file or folder that could not be read, the reason.
    ignored: The files that are not texts.
    empty: The paths of the files without text.
    markup: The files that hold tags of HTML or XML.
    encodings: The number of documents by the encoding of their file.
    plan_parts: The SHA-256 of each file of the plan that was written, by name.
    """

    documents: int = 0
    characters: int = 0
    units: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    ignored: IgnoredFiles = field(default_factory=IgnoredFiles)
    empty: list[str] = field(default_factory=list)
    markup: MarkupFiles = field(default_factory=MarkupFiles)
    encodings: Counter[str] = field(default_factory=Counter)
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
        self.encodings[document.encoding] += 1
        self.markup = self.markup.add_text(document.path, document.text)
        if not document.text:
            self.empty.append(document.path)
        # Another encoding makes another text of the same bytes.
        encoding = "" if document.encoding == UTF8 else f"\0{document.encoding}"
        self._digest.update(f"{document.doc_id}\0{document.sha256}{encoding}\n".encode())


def compute_unknown_char_share(char_counts: Mapping[str, int], known_characters: Container[str]) -> float:
    """Return the share of the characters that are not in `known_characters`. White space does not count."""
    counts = {char: n for char, n in char_counts.items() if not char.isspace()}
    return sum(n for char, n in counts.items() if char not in known_characters) / max(1, sum(counts.values()))


def require_corpus(corpus: str | None) -> str:
    """Return the path of the corpus to tag (the setting `corpus`). Raises ConfigError if the setting is empty."""
    if not corpus:
        raise ConfigError("corpus: expected a text file or a folder of .txt files, found none")
    return corpus


def read_documents(corpus: str, survey: CorpusSurvey, encoding: str = UTF8) -> Iterator[Document]:
    """Yield the documents of a corpus in order. `encoding` is that of files without a byte order mark.

    `survey` counts them, lists the files that cannot be read, and counts the files that are ignored.

    Raises DataError if no file can be read, and JobError if the storage fails.
    """
    read = partial(read_document_or_problem, encoding=encoding)
    for file, document in map_in_threads(read, list_text_files(corpus, survey.ignored)):
        if isinstance(document, Document):
            survey.add(document)
            yield document
        else:
            survey.unread[file.path] = document
    if not survey.documents:
        first = next(iter(survey.unread.values()))
        raise DataError(f"{corpus}: no file could be read; the first: {first}")


def read_unlabelled_texts(path: str, survey: CorpusSurvey, encoding: str = UTF8) -> Iterator[str]:
    """Read the texts of a file or folder in order, up to `MAX_UNLABELLED_CHARS` characters.

    `encoding` is that of files without a byte order mark. Files that cannot be read are left out, with a warning.
    """
    for document in read_documents(path, survey, encoding):
        yield document.text
        if survey.characters >= MAX_UNLABELLED_CHARS:
            break
    if survey.unread:
        first = next(iter(survey.unread.values()))
        log.warning("%s: left out %d files that cannot be read; the first: %s", path, len(survey.unread), first)


def digest_unlabelled_texts(path: str, encoding: str = UTF8) -> str:
    """Return the digest of the texts that `read_unlabelled_texts` reads."""
    survey = CorpusSurvey()
    for _ in read_unlabelled_texts(path, survey, encoding):
        pass
    return survey.digest


def read_document_or_problem(file: TextFile, encoding: str = UTF8) -> tuple[TextFile, Document | str]:
    """Return a file with its document, or with the reason why it cannot be read.

    encoding: The encoding of a file without a byte order mark.

    Raises JobError if the storage fails.
    """
    if file.problem:
        return file, file.problem
    try:
        content = read_corpus_file(file.path)
        decoded = decode_text(file.path, content, encoding)
    except DataError as error:
        return file, str(error)
    sha256 = hashlib.sha256(content).hexdigest()
    return file, Document(file.doc_id, file.path, decoded.text, sha256, decoded.encoding)


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
    """Return the SHA-256 of a text encoded as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
