"""List the sentences that may be reviewed, with the entities that the models found and how doubtful each entity is."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from rayner.corpus.tables import (
    EntityRow,
    SegmentRow,
    TaggedDocument,
    iter_documents,
    iter_segment_rows_by_document,
    require_tables,
)
from rayner.fusion.learned.span_features import entity_label_log_probs
from rayner.runs.storage import StoragePath, list_file_names
from rayner.text.predictions import SegmentPrediction
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import Span

_DISPUTED_FACTOR = 1.5  # if the models disagree, one is wrong, whatever the winner's calibrated score


@dataclass(frozen=True, slots=True)
class DoubtedEntity:
    """An entity that a model found. For `error_weight`, see `compute_error_weight`."""

    text: str
    type: str
    error_weight: float


@dataclass(frozen=True, slots=True)
class ReviewCandidate:
    """A sentence that may be reviewed: characters [start, end) of a document.

    spans: The entities that the reviewer will see. Their offsets count from `start`.
    doubted_entities: The entities for ranking, with their error weights. Some of them may not be in `spans`.
    outside_entropy: The sum of the entropies (nats) of the characters outside `spans`, 0 if unknown.
    """

    doc_id: str
    start: int
    end: int
    text: str
    spans: tuple[Span, ...]
    doubted_entities: tuple[DoubtedEntity, ...]
    outside_entropy: float = 0.0


def compute_error_weight(score: float | None, entropy: float | None, *, disputed: bool) -> float:
    """Return the probability that an entity is wrong, multiplied by 1.5 if the models disagree on the entity.

    Args:
        score: The entity's calibrated probability, if known.
        entropy: The small model's entropy (nats), used if there is no score.
        disputed: Whether the models disagree on the entity.

    """
    prob_by_entropy = 0.5 if entropy is None else 1.0 - math.exp(-entropy)
    error_prob = prob_by_entropy if score is None else 1.0 - score
    return error_prob * (_DISPUTED_FACTOR if disputed else 1.0)


def make_candidate(prediction: SegmentPrediction, types: Sequence[str]) -> ReviewCandidate:
    """Make a candidate from the predictions of both models. The reviewer will see the small model's entities.

    Args:
        prediction: The predictions of both models for a sentence, with the small model's label distributions
            (`slm.log_probs`).
        types: The entity types, in the order of the small model's labels.

    """
    slm, llm, text = prediction.slm, prediction.llm, prediction.text
    if slm.log_probs is None:
        raise ValueError("expected the small model's distributions, found none")
    llm_spans = set(llm.spans) if llm else set()
    doubted_entities = []
    for span in slm.spans:
        score = math.exp(entity_label_log_probs(slm.log_probs, span, types).sum())
        disputed = llm is not None and span not in llm_spans
        weight = compute_error_weight(score, None, disputed=disputed)
        doubted_entities.append(DoubtedEntity(text[span.start : span.end], span.type, weight))
    for entity in llm.entities if llm else ():
        span = entity.span
        if span not in slm.spans:
            weight = compute_error_weight(entity.category_prob * entity.boundary_prob, None, disputed=True)
            doubted_entities.append(DoubtedEntity(text[span.start : span.end], span.type, weight))
    is_outside = np.ones(len(text), dtype=bool)
    for span in slm.spans:
        is_outside[span.start : span.end] = False
    outside_entropy = float(slm.entropy[is_outside].sum())
    return ReviewCandidate(
        prediction.doc_id, prediction.start, prediction.end, text, slm.spans, tuple(doubted_entities), outside_entropy
    )


def iter_candidates_by_document(tagged: StoragePath) -> Iterator[list[ReviewCandidate]]:
    """Yield the candidates of each document of a tagged corpus, in order.

    A candidate is a segment without the white space at its edges. A segment is left out if it failed, is blank, or
    contains a line break, which a char-tab-tag file cannot represent. It is also left out if an entity lies only partly
    inside the candidate.
    """
    for document, (_, segments) in zip(iter_documents(tagged), iter_segment_rows_by_document(tagged), strict=True):
        yield list(_iter_document_candidates(document, segments))


def count_documents(tagged: StoragePath) -> int:
    """Return the number of documents. Raises DataError if the folder is not a tagged corpus."""
    require_tables(tagged)
    folder = tagged / "documents"
    return sum(_count_rows(folder / name) for name in list_file_names(folder, "", ".parquet"))


def _count_rows(file: StoragePath) -> int:
    with file.open("rb") as stream, pq.ParquetFile(stream) as table:
        return int(table.metadata.num_rows)


def _iter_document_candidates(document: TaggedDocument, segments: Iterable[SegmentRow]) -> Iterator[ReviewCandidate]:
    n_used = 0  # number of entities in the segments before
    for segment in segments:
        first, segment_end = n_used, segment["end"]
        while n_used < len(document.entities) and document.entities[n_used]["start"] < segment_end:
            n_used += 1
        entities = document.entities[first:n_used]
        left, right = bounds_without_whitespace(document.text[segment["start"] : segment_end])
        start, end = segment["start"] + left, segment["start"] + right
        text = document.text[start:end]
        inside = all(start <= entity["start"] and entity["end"] <= end for entity in entities)
        # The piece before, of the same long sentence, may have an entity that ends here.
        inside = inside and (first == 0 or document.entities[first - 1]["end"] <= segment["start"])
        if segment["error"] is not None or not text or not inside or "\n" in text:
            continue
        yield ReviewCandidate(
            document.doc_id,
            start,
            end,
            text,
            tuple(Span(entity["start"] - start, entity["end"] - start, entity["type"]) for entity in entities),
            tuple(_make_doubted_entity(entity, llm_asked=segment["passes"] > 0) for entity in entities),
        )


def _make_doubted_entity(entity: EntityRow, *, llm_asked: bool) -> DoubtedEntity:
    disputed = llm_asked and entity["slm_type"] != entity["llm_type"]
    weight = compute_error_weight(entity["score"], entity["slm_entropy"], disputed=disputed)
    return DoubtedEntity(entity["text"], entity["type"], weight)
