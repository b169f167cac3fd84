"""The tagger of a trained run: the stages of the tagging job on texts in memory, in this process."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rayner.corpus import reading
from rayner.corpus.scripts.conversion import ScriptConverter
from rayner.corpus.tables import EntityRow, SegmentRow
from rayner.errors import DataError
from rayner.runs.progress import log
from rayner.steps.tag.seams import Stage, predict_unit
from rayner.steps.tag.slices import DocumentSlice, Unit, plan_units
from rayner.steps.tag.tagging_rule import TaggingRule
from rayner.steps.tag.units import build_unit_segments, fuse_unit
from rayner.tagging.documents import Document, Entity


@dataclass(frozen=True)
class FusionTagger:
    """Both models of a trained run and its fusion rule, ready to tag texts. `rayner.load` returns one.

    It tags as the tagging job does. Texts are grouped into the same units of work, so the result for a text may differ
    from the job's by rounding only. Use it from one thread at a time.

    run: the run folder, for messages.
    slm, llm: add the predictions of the small model and of the LLM to a unit.
    rule: the rule that decides, with its calibration. Its `reason` says whether the LLM is asked, and why.
    converter: makes the copy of a text that the models read (`corpus.match_script`); None if they read it as it is.
    unit_chars, max_segment_chars: the settings `score.unit_chars` and `tag.max_segment_chars`.
    """

    run: str
    slm: Stage
    llm: Stage
    rule: TaggingRule
    converter: ScriptConverter | None
    unit_chars: int
    max_segment_chars: int

    def __repr__(self) -> str:
        """Describe the tagger in one line."""
        return f"<FusionTagger of {self.run}: {self.rule.reason}>"

    def tag(self, text: str) -> Document:
        """Tag one text, of any length.

        Raises TypeError if it is not a str, and DataError if it holds half a surrogate pair.
        """
        return next(self.tag_many([text]))

    def tag_many(self, texts: Iterable[str]) -> Iterator[Document]:
        """Tag many texts in batches, and yield a document for each, in the order of the texts.

        The texts are read as they are needed: only those of one unit of work are in memory at a time. Each text is a
        document of its own.

        Raises TypeError if a text is not a str, and DataError if one holds half a surrogate pair. The message has the
        number of the text, counted from 0.
        """
        if isinstance(texts, str | bytes):
            raise TypeError(f"expected several texts, found one {type(texts).__name__}: use tag(text) for one text")
        return self._iter_tagged(enumerate(texts))

    def _iter_tagged(self, numbered_texts: Iterable[tuple[int, str]]) -> Iterator[Document]:
        planned = plan_units(map(_make_document, numbered_texts), self.unit_chars, self.max_segment_chars)
        unfinished: dict[str, _Parts] = {}  # by doc_id; a long text may extend over several units
        for unit in planned:
            for new in unit.new_documents:
                unfinished[new.doc_id] = _Parts(new.text, [], [])
            self._tag_unit(unit, unfinished)
            for doc_id in [piece.doc_id for piece in unit.slices if piece.end == piece.n_chars]:
                yield unfinished.pop(doc_id).join(doc_id)

    def _tag_unit(self, unit: Unit, parts: Mapping[str, "_Parts"]) -> None:
        """Tag a unit, and add its entities and segments to the parts of its documents."""

        def find_text(document_slice: DocumentSlice) -> str:
            return parts[document_slice.doc_id].text

        predicted = predict_unit(build_unit_segments(unit, find_text, self.converter), self.slm, self.llm)
        rows = fuse_unit(predicted, self.rule.rule, self.rule.calibration)
        for entity in rows.entities:
            parts[entity["doc_id"]].entities.append(entity)
        for segment in rows.segments:
            if segment["error"] is not None:
                parts[segment["doc_id"]].failed_segments.append(segment)


@dataclass(frozen=True)
class _Parts:
    """A text and what is known about it so far."""

    text: str
    entities: list[EntityRow]
    failed_segments: list[SegmentRow]

    def join(self, doc_id: str) -> Document:
        """Return the document. Log a warning if a part of it failed."""
        if self.failed_segments:
            log.warning(
                "text %s: %d segments were set aside; the first: %s",
                doc_id, len(self.failed_segments), self.failed_segments[0]["error"],
            )  # fmt: skip
        return Document(
            self.text,
            tuple(_make_entity(row) for row in sorted(self.entities, key=lambda row: row["start"])),
            tuple(f"characters {row['start']} to {row['end']}: {row['error']}" for row in self.failed_segments),
        )


def _make_entity(row: EntityRow) -> Entity:
    return Entity(row["text"], row["type"], row["start"], row["end"], row["score"], row["decided_by"])


def _make_document(numbered_text: tuple[int, str]) -> reading.Document:
    """Return a text as a document of a corpus. Raises TypeError and DataError as `FusionTagger.tag_many`."""
    i, text = numbered_text
    if not isinstance(text, str):
        raise TypeError(f"text {i}: expected a str, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"text {i}: expected characters that UTF-8 can write, found half a surrogate pair, "
            f"U+{ord(text[error.start]):04X}, at offset {error.start}: decode the text again from its bytes"
        ) from None
    return reading.Document(str(i), "", text, "")
