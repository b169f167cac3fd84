"""Write and read `provenance.json`, which records the place, the text and the predicted entities of each sentence.

Each folder for a reviewer contains such a file. Corrected sentences are compared with it, to find texts that were
changed.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import rayner
from rayner.corpus.labels.json_values import read_json_file
from rayner.corpus.reading import sha256_of_text
from rayner.corpus.review.candidates import ReviewCandidate
from rayner.errors import DataError
from rayner.runs.json_files import write_json
from rayner.runs.storage import StoragePath
from rayner.text.spans import Span

PROVENANCE_FILE = "provenance.json"
Place = tuple[str, int, int]  # doc_id, start, end


@dataclass(frozen=True)
class ReviewSentence:
    """A sentence that was given to the reviewer: characters [start, end) of a document.

    sha256: The SHA-256 of the text in UTF-8, in hexadecimal.
    predicted: The entities that the reviewer saw. Their offsets count from `start`.
    """

    doc_id: str
    start: int
    end: int
    sha256: str
    text: str
    predicted: tuple[Span, ...]

    @property
    def place(self) -> Place:
        """The document and the offsets."""
        return self.doc_id, self.start, self.end

    def to_json(self) -> dict[str, Any]:
        """Return the sentence as a JSON object."""
        return {**vars(self), "predicted": spans_to_json(self.predicted)}


@dataclass(frozen=True)
class Review:
    """The sentences of one review, in the order in which the reviewer gets them.

    population: If they were drawn at random, the number of sentences that could be drawn; else None.
    """

    sentences: tuple[ReviewSentence, ...]
    population: int | None


@dataclass(frozen=True)
class Provenance:
    """What was given to the reviewer in one or more reviews.

    types: The entity types that may occur.
    by_text: The sentences by their texts. Of sentences with equal texts, it has the last.
    """

    types: tuple[str, ...] = ()
    by_text: Mapping[str, ReviewSentence] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()

    @property
    def sentences(self) -> list[ReviewSentence]:
        """The sentences of all reviews, also those with equal texts."""
        return [sentence for review in self.reviews for sentence in review.sentences]


def make_review_sentence(candidate: ReviewCandidate) -> ReviewSentence:
    """Make the record of a candidate that is given to the reviewer."""
    return ReviewSentence(
        candidate.doc_id,
        candidate.start,
        candidate.end,
        sha256_of_text(candidate.text),
        candidate.text,
        candidate.spans,
    )


def write_provenance(
    sentences: Iterable[ReviewSentence], types: Iterable[str], path: StoragePath, population: int | None = None
) -> None:
    """Write the `provenance.json` of a review. population: the sentences from which these were drawn at random."""
    rows = [sentence.to_json() for sentence in sentences]
    drawn = {} if population is None else {"population": population}
    write_json(path, {"version": rayner.__version__, "types": list(types), **drawn, "sentences": rows})


def read_provenance(paths: Iterable[StoragePath]) -> Provenance:
    """Read the `provenance.json` of one or more reviews, and merge them.

    Raises:
        DataError: A file is not a `provenance.json`, or a text in it does not match its digest.

    """
    types, reviews = set[str](), list[Review]()
    for path in paths:
        content = read_json_file(path)
        try:
            json.dumps(content, ensure_ascii=False).encode()  # raises ValueError for a lone surrogate, such as "\ud800"
            types.update(_require_string(name) for name in _require_list(content["types"]))
            sentences = tuple(_read_sentence(row) for row in _require_list(content["sentences"]))
            reviews.append(Review(sentences, _read_population(content.get("population"), len(sentences))))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError(f"{path}: expected the {PROVENANCE_FILE} of a review, found another JSON file") from None
        if any(sentence.sha256 != sha256_of_text(sentence.text) for sentence in sentences):
            raise DataError(f"{path}: expected texts with the digests beside them, found a text that was changed")
    by_text = {sentence.text: sentence for review in reviews for sentence in review.sentences}
    return Provenance(tuple(sorted(types)), by_text, tuple(reviews))


def spans_to_json(spans: Iterable[Span]) -> list[list[Any]]:
    """Return each span as [start, end, type]."""
    return [[span.start, span.end, span.type] for span in spans]


def _read_sentence(row: Any) -> ReviewSentence:  # noqa: ANN401 - any JSON value
    return ReviewSentence(
        _require_string(row["doc_id"]),
        _require_integer(row["start"]),
        _require_integer(row["end"]),
        _require_string(row["sha256"]),
        _require_string(row["text"]),
        tuple(
            Span(_require_integer(start), _require_integer(end), _require_string(name))
            for start, end, name in _require_list(row["predicted"])
        ),
    )


def _read_population(population: Any, n_sentences: int) -> int | None:  # noqa: ANN401 - any JSON value
    if population is None:
        return None
    if _require_integer(population) < n_sentences:
        raise ValueError
    return int(population)


def _require_list(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list):
        raise TypeError
    return value


def _require_string(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str):
        raise TypeError
    return value


def _require_integer(value: Any) -> int:  # noqa: ANN401 - any JSON value
    if type(value) is not int:
        raise TypeError
    return value
