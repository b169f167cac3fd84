"""Slices of documents and units of work: how the segments of a corpus are grouped."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rayner.corpus.reading import Document
from rayner.text.segmentation import Seam, find_seams, split_segments


@dataclass(frozen=True)
class DocumentSlice:
    """Characters [start, end) of a document: consecutive segments that belong to one unit.

    segment_ends: the end offset of each segment in the document. The last one equals `end`.
    sha256: digest of the whole document's text.
    n_chars: number of characters in the whole document.
    documents_unit: number of the unit whose `documents` file holds the text.
    seams: the seams whose cut lies in the slice or at one of its two ends, in order.
    """

    doc_id: str
    path: str
    start: int
    end: int
    segment_ends: tuple[int, ...]
    sha256: str
    n_chars: int
    documents_unit: int
    seams: tuple[Seam, ...] = ()

    def segment_bounds(self) -> Iterator[tuple[int, int]]:
        """Return the start and end offsets of each segment in the document."""
        return pairwise([self.start, *self.segment_ends])


@dataclass
class Unit:
    """A unit of work.

    slices: the slices of documents in the unit, in order.
    new_documents: the documents that begin in this unit. They are kept only until planning has written them.
    documents_sha256: the digest of the unit's file of documents; empty until it is written.
    """

    number: int
    slices: list[DocumentSlice] = field(default_factory=list)
    new_documents: list[Document] = field(default_factory=list)
    documents_sha256: str = ""

    @property
    def name(self) -> str:
        """Return the name of the unit's files without the file extension."""
        return f"unit-{self.number:06d}"

    @property
    def n_chars(self) -> int:
        """Return the number of characters in all slices."""
        return sum(document_slice.end - document_slice.start for document_slice in self.slices)


def unit_number(name: str) -> int:
    """Return the number in a unit's name."""
    return int(name.rpartition("-")[2])


def plan_units(documents: Iterable[Document], unit_chars: int, max_segment_chars: int | None = None) -> Iterator[Unit]:
    """Split documents into segments and group the segments into units of at most `unit_chars` characters.

    A unit holds several short documents or a part of a long one. A segment is a sentence or, if the sentence is longer
    than one of the two limits, a piece of it. If `max_segment_chars` is None, only `unit_chars` is a limit.
    """
    unit, free_chars = Unit(0), unit_chars
    for document in documents:
        documents_unit: int | None = None
        for start, ends, seams in _slice_text(document.text, unit_chars, max_segment_chars or unit_chars):
            end = ends[-1] if ends else start
            if unit.slices and end - start > free_chars:
                yield unit
                unit, free_chars = Unit(unit.number + 1), unit_chars
            if documents_unit is None:
                documents_unit = unit.number
                unit.new_documents.append(document)
            unit.slices.append(
                DocumentSlice(
                    document.doc_id, document.path, start, end, tuple(ends), document.sha256, len(document.text),
                    documents_unit, tuple(seams),
                )
            )  # fmt: skip
            free_chars -= end - start
    if unit.slices:
        yield unit


def _slice_text(
    text: str, unit_chars: int, max_segment_chars: int
) -> Iterator[tuple[int, Sequence[int], Sequence[Seam]]]:
    """Yield the start, the segment ends and the seams of each slice of a text. An empty text has one empty slice."""
    segments = list(split_segments(text, min(unit_chars, max_segment_chars)))
    seams = list(find_seams(segments))
    cuts = [seam.cut for seam in seams]
    start = 0
    for ends in group_segment_ends([segment.end for segment in segments], unit_chars) or [()]:
        end = ends[-1] if ends else 0
        yield start, ends, seams[bisect_left(cuts, start) : bisect_right(cuts, end)]
        start = end


def group_segment_ends(segment_ends: Sequence[int], unit_chars: int, *, overfill: bool = False) -> list[Sequence[int]]:
    """Group consecutive segments of a text into runs of about `unit_chars` characters.

    Args:
        segment_ends: the end offset of each segment in the text.
        unit_chars: the size of a run, in characters.
        overfill: if False, a run ends before the segment that would exceed `unit_chars`. If True, a run ends after
            the segment with which it reaches `unit_chars`.

    """
    runs: list[list[int]] = []
    run_start = 0
    for start, end in pairwise([0, *segment_ends]):
        full = start - run_start >= unit_chars if overfill else end - run_start > unit_chars
        if full or not runs:
            runs.append([])
            run_start = start
        runs[-1].append(end)
    return list(runs)
