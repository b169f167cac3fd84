"""Estimate how good the tags of a corpus are, from a random sample of its sentences that a person corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.corpus.review.corrections import Corrections
from rayner.corpus.review.provenance import Place, Provenance
from rayner.corpus.tables import book_of
from rayner.errors import ConfigError
from rayner.evaluation.metrics import count_entities
from rayner.evaluation.sample_estimate import (
    EstimatedScore,
    EstimatedShare,
    count_further_sentences,
    estimate_score,
)
from rayner.text.spans import Span

LEVEL = 0.95


@dataclass(frozen=True)
class CorpusEstimate:
    """Precision, recall and F1 of a tagged corpus, of its types and of its books, by a random sample.

    For the book of a document, see `tables.book_of`.

    population: The sentences of the corpus.
    drawn, reviewed: The sentences of the sample, and those of them that were reviewed.
    in_order: Whether the reviewed sentences are the first of their samples. If not, those that were passed over may be
        the hard ones, and the estimate too good.
    sentences_per_book: The reviewed sentences of each book.
    """

    population: int
    drawn: int
    reviewed: int
    in_order: bool
    all: EstimatedScore
    per_type: dict[str, EstimatedScore]
    per_book: dict[str, EstimatedScore]
    sentences_per_book: dict[str, int]

    def count_further_sentences(self, share: EstimatedShare, half_width: float) -> int:
        """Return how many more sentences must be reviewed until the interval of a share has this half-width."""
        return count_further_sentences(share, self.reviewed, self.population, half_width)


def estimate_corpus(
    provenance: Provenance, corrections: Corrections, tagged_spans: Mapping[Place, tuple[Span, ...]]
) -> CorpusEstimate:
    """Estimate the scores of a corpus: compare the tags of the sampled sentences with the corrections.

    Args:
        provenance: The sample.
        corrections: The entities that a person found in its sentences.
        tagged_spans: The entities that the tagged corpus has in each sentence of the sample. Offsets count from the
            start of the sentence.

    Raises:
        ConfigError: Sentences were picked, not drawn at random. Or samples of different corpora are mixed. Or no
            sentence was reviewed.

    """
    population, gold_by_text = _require_one_population(provenance), corrections.spans_by_text
    rows = [row for row in provenance.sentences if row.text in gold_by_text]
    if not rows:
        raise ConfigError("expected corrected sentences of the sample, found none")
    gold, tagged = [gold_by_text[row.text] for row in rows], [tagged_spans[row.place] for row in rows]
    books = [book_of(row.doc_id) for row in rows]

    def estimate(counts: npt.NDArray[np.int64]) -> EstimatedScore:
        return estimate_score(counts, population, level=LEVEL)

    types = sorted({span.type for spans in (*gold, *tagged) for span in spans})
    counts_by_type = count_entities(gold, tagged, types)
    counts = counts_by_type.sum(axis=1)
    per_type = {type_: estimate(counts_by_type[:, i]) for i, type_ in enumerate(types)}
    n_per_book = {book: books.count(book) for book in sorted(set(books))}
    per_book = {
        book: estimate(counts * np.array([other == book for other in books], dtype=np.int64)[:, None])
        for book in n_per_book
    }
    in_order = all(_are_first([row.text in gold_by_text for row in review.sentences]) for review in provenance.reviews)
    return CorpusEstimate(
        population, len(provenance.sentences), len(rows), in_order, estimate(counts), per_type, per_book, n_per_book
    )


def _require_one_population(provenance: Provenance) -> int:
    found = {review.population for review in provenance.reviews}
    populations = sorted(population for population in found if population is not None)
    if len(populations) < max(1, len(found)):
        raise ConfigError(
            "--from: expected provenance files of `rayner review sample`, found sentences that `rayner review pick` "
            "chose: they are more doubtful than others, so nothing can be said of the corpus by them"
        )
    if len(populations) > 1:
        raise ConfigError(
            f"--from: expected samples of one tagged corpus, found samples of {' and '.join(map(str, populations))} "
            "sentences: estimate each by itself"
        )
    return populations[0]


def _are_first(is_reviewed: Sequence[bool]) -> bool:
    return not any(is_reviewed[sum(is_reviewed) :])
