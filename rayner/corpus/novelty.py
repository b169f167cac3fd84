"""How unlike the training text a tagged corpus is: its characters, its bigrams, its names and its documents.

A character or a bigram (two neighbouring characters) is new if the training text does not hold it. A name is new if the
training text tags it nowhere, with no type. Punctuation and white space do not count, because training sentences are
cut there. The corpus is read once, a document at a time.
"""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.corpus.scripts.conversion import ScriptConverter
from rayner.corpus.tables import TaggedDocument, iter_documents
from rayner.runs.storage import StoragePath

MIN_NAMES = 20  # a document with fewer has no share to compare
UNUSUAL_PER_REASON = 5  # documents with the most new names, and as many with the lowest mean confidence
_N_CODE_POINTS = 0x110000
_CHARS_AT_ONCE = 1_000_000  # so that a long document needs little more memory than its text
_SCORE_PARTS = 100  # of [0, 1], in which scores are counted
_MAX_KEPT = 1000  # documents that are kept before all but the unusual ones are dropped


@dataclass(frozen=True)
class NewNames:
    """Counts of the entities of a tagged corpus.

    tagged: All of them.
    new: Those whose text the training text tags nowhere, with no type.
    """

    tagged: int
    new: int

    @property
    def new_share(self) -> float:
        """The share of the new ones, 0 without entities."""
        return self.new / max(1, self.tagged)


@dataclass(frozen=True)
class NewChars:
    """Counts of the characters and bigrams of a text, and of those that are new."""

    characters: int = 0
    new_characters: int = 0
    bigrams: int = 0
    new_bigrams: int = 0

    def __add__(self, other: "NewChars") -> "NewChars":
        """Return the counts of both texts."""
        return NewChars(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    @property
    def new_character_share(self) -> float:
        """The share of the characters that are new, 0 without characters."""
        return self.new_characters / max(1, self.characters)

    @property
    def new_bigram_share(self) -> float:
        """The share of the bigrams that are new, 0 without bigrams."""
        return self.new_bigrams / max(1, self.bigrams)


@dataclass(frozen=True)
class DocumentNovelty:
    """A document of the corpus. mean_score: the mean calibrated probability of its entities, None without one."""

    doc_id: str
    names: NewNames
    mean_score: float | None


@dataclass(frozen=True)
class CorpusNovelty:
    """How unlike the training text a corpus is.

    held_out: The counts of the held-out test sentences, with which those of the corpus can be compared.
    unusual_documents: See `choose_unusual_documents`.
    score_counts: How many entities have a score in each hundredth of [0, 1]. Those without a score do not count.
    """

    names: NewNames
    corpus: NewChars
    held_out: NewChars
    unusual_documents: tuple[DocumentNovelty, ...]
    score_counts: tuple[int, ...] = ()

    def compute_share_below(self, score: float) -> float | None:
        """Return the share of the entities with a score below one, to the hundredth; None without scores."""
        n = sum(self.score_counts)
        return sum(self.score_counts[: round(score * _SCORE_PARTS)]) / n if n else None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, without the names, which have a record of their own."""
        return {name: value for name, value in asdict(self).items() if name != "names"}


class TrainingChars:
    """The characters and bigrams of the training text."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._has_char = np.zeros(_N_CODE_POINTS, dtype=bool)
        bigrams = [np.zeros(0, dtype=np.uint64)]
        for text in texts:
            points = _get_code_points(text)
            self._has_char[points] = True
            bigrams.append(np.unique(_encode_bigrams(points)))
        self._bigrams = np.unique(np.concatenate(bigrams))

    def count_new(self, text: str) -> NewChars:
        """Count the characters and bigrams of a text, and those that the training text does not hold."""
        total = NewChars()
        for start in range(0, len(text), _CHARS_AT_ONCE):
            points = _get_code_points(text[start : start + _CHARS_AT_ONCE + 1])
            bigrams, n_chars = _encode_bigrams(points), min(_CHARS_AT_ONCE, len(points))
            chars = points[:n_chars][_find_letters()[points[:n_chars]]]
            n_new = int(np.count_nonzero(~self._has_char[chars]))
            total += NewChars(len(chars), n_new, len(bigrams), len(bigrams) - self._count_known(bigrams))
        return total

    def _count_known(self, bigrams: npt.NDArray[np.uint64]) -> int:
        if not len(self._bigrams):
            return 0
        indices = np.minimum(np.searchsorted(self._bigrams, bigrams), len(self._bigrams) - 1)
        return int(np.count_nonzero(self._bigrams[indices] == bigrams))


@lru_cache(maxsize=1)
def _find_letters() -> npt.NDArray[np.bool_]:
    """Return for each code point whether it is a letter, a digit or a private-use character, not punctuation."""
    categories = (unicodedata.category(chr(point)) for point in range(_N_CODE_POINTS))
    return np.fromiter((name[0] in "LN" or name == "Co" for name in categories), dtype=bool, count=_N_CODE_POINTS)


def _get_code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _encode_bigrams(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return one number for each pair of neighbouring letters."""
    are_letters = _find_letters()[points]
    codes: npt.NDArray[np.uint64] = (points[:-1].astype(np.uint64) << np.uint64(21)) | points[1:]
    return codes[are_letters[:-1] & are_letters[1:]]


def compare_with_training(
    tagged: StoragePath,
    training_texts: Iterable[str],
    training_names: Collection[str],
    held_out_texts: Iterable[str] = (),
    converter: ScriptConverter | None = None,
) -> CorpusNovelty:
    """Count what of a tagged corpus the training text does not hold, and choose the documents that stand out.

    Args:
        tagged: The folder of the tagged corpus.
        training_texts: The training sentences.
        training_names: The strings that the training text tags.
        held_out_texts: The held-out test sentences.
        converter: Converts the corpus to the script of the training text, if the models read it so.

    Raises:
        DataError: The folder is not a tagged corpus, or its tables are inconsistent.

    """
    training = TrainingChars(training_texts)
    chars, n_tagged, n_new, documents = NewChars(), 0, 0, list[DocumentNovelty]()
    score_counts = np.zeros(_SCORE_PARTS, dtype=np.int64)
    for document in iter_documents(tagged):
        text = converter.convert(document.text) if converter else document.text
        chars += training.count_new(text)
        novelty = _compare_names(document, text, training_names)
        n_tagged, n_new = n_tagged + novelty.names.tagged, n_new + novelty.names.new
        documents.append(novelty)
        scores = [entity["score"] for entity in document.entities if entity["score"] is not None]
        score_counts += np.histogram(scores, _SCORE_PARTS, (0, 1))[0]
        if len(documents) > _MAX_KEPT:
            documents = choose_unusual_documents(documents)
    held_out = sum(map(training.count_new, held_out_texts), NewChars())
    return CorpusNovelty(
        NewNames(n_tagged, n_new), chars, held_out, tuple(choose_unusual_documents(documents)),
        tuple(score_counts.tolist()) if score_counts.any() else (),
    )  # fmt: skip


def _compare_names(document: TaggedDocument, text: str, training_names: Collection[str]) -> DocumentNovelty:
    """text: the text of the document, in the script of the training text."""
    entities = document.entities
    n_new = sum(text[entity["start"] : entity["end"]] not in training_names for entity in entities)
    scores = [entity["score"] for entity in entities if entity["score"] is not None]
    mean_score = sum(scores) / len(scores) if scores else None
    return DocumentNovelty(document.doc_id, NewNames(len(entities), n_new), mean_score)


def choose_unusual_documents(documents: Iterable[DocumentNovelty]) -> list[DocumentNovelty]:
    """Return the documents with the largest share of new names, and of the others those with the lowest mean score.

    Documents with fewer than MIN_NAMES entities are left out. A document that is not chosen among some documents is not
    chosen among more, so documents can be added and chosen in turn.
    """
    by_names = sorted(
        (document for document in documents if document.names.tagged >= MIN_NAMES),
        key=lambda document: (-document.names.new_share, document.doc_id),
    )
    with_scores = [(d.mean_score, d.doc_id, d) for d in by_names[UNUSUAL_PER_REASON:] if d.mean_score is not None]
    by_score = sorted(with_scores, key=lambda row: row[:2])
    return by_names[:UNUSUAL_PER_REASON] + [document for *_, document in by_score[:UNUSUAL_PER_REASON]]
