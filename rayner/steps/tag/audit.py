"""Verify a tagged corpus: every digest, text, entity, segment and count."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, zip_longest
from typing import Any

from rayner.corpus.corrections.correction import CORRECTIONS_FILE, read_corrections_of_corpus
from rayner.corpus.corrections.counts import CorrectionCounts, count_corrections
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.kept_scores import (
    SCORES_FOLDER,
    Place,
    read_scores_of_places,
    read_scores_record,
    scores_record_path,
)
from rayner.corpus.plain_text.encodings import digest_encoded_text
from rayner.corpus.run_record import CorpusCounts
from rayner.corpus.tables import (
    DOCUMENT_SCHEMA,
    ENTITY_SCHEMA,
    PERSON,
    REPLACED_TABLE,
    SEGMENT_SCHEMA,
    TABLE_NAMES,
    EntityRow,
    SegmentRow,
    count_unit_rows,
    read_unit_tables,
)
from rayner.corpus.unit_records import RECORD_FOLDER, UnitRecord, read_unit_record
from rayner.errors import DataError
from rayner.runs.storage import StoragePath, list_file_names
from rayner.steps.tag.corrected_units import correct_entities_of_unit, restore_model_entities_of_unit
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts
from rayner.steps.tag.slices import DocumentSlice, Unit

_FOLDERS_AND_SUFFIXES = (
    *((table, ".parquet") for table in (*TABLE_NAMES, REPLACED_TABLE)),
    (RECORD_FOLDER, ".json"), (SCORES_FOLDER, ".parquet"), (SCORES_FOLDER, ".json"),
)  # fmt: skip
_SCHEMAS = {
    "documents": DOCUMENT_SCHEMA, "entities": ENTITY_SCHEMA, "segments": SEGMENT_SCHEMA, REPLACED_TABLE: ENTITY_SCHEMA
}  # fmt: skip


class CorpusVerifier:
    """Compares the tables of a tagged corpus with its plan and its records, unit by unit, in order.

    Only one unit is in memory at a time, and the text of the last document.

    Attributes:
        corrections: The corrections of a person that the corpus holds.
        counts: The counts of the units so far, documents included.
        decided_by: The entities so far, by who decided.

    """

    def __init__(self, out: StoragePath, plan: PlanSummary) -> None:
        self.out, self.plan = out, plan
        self.corrections = CorrectionIndex(read_corrections_of_corpus(out))
        self._found_corrections = set[int]()
        self.counts: Counter[str] = Counter()
        self.decided_by: Counter[str] = Counter()
        self._last_text = ("", "")  # doc_id and text of the last document, which may go on in the next unit
        self._last_end = 0  # end of its last entity

    def find_problems(self) -> Iterator[str]:
        """Yield what is wrong with the corpus, a line for each problem."""
        names = []
        for unit in chain.from_iterable(iter_plan_parts(self.out, self.plan.parts)):
            names.append(unit.name)
            try:
                yield from self._find_problems_of_unit(unit)
            except DataError as error:
                yield str(error)
        for key, planned in (("documents", self.plan.documents), ("characters", self.plan.characters)):
            if self.counts[key] != planned:
                yield f"{self.out}: expected {planned} {key} as planned, found {self.counts[key]}"
        for folder, suffix in _FOLDERS_AND_SUFFIXES:
            unplanned = set(list_file_names(self.out / folder, "", suffix)) - {f"{name}{suffix}" for name in names}
            yield from (f"{self.out / folder / name}: expected no such file, as no such unit was planned, found one"
                        for name in sorted(unplanned))  # fmt: skip

    def corpus_counts(self) -> CorpusCounts:
        """Return the counts of the corpus."""
        return CorpusCounts(
            documents=self.counts["documents"],
            characters=self.counts["characters"],
            segments=self.counts["segments"],
            gated=self.counts["gated"],
            set_aside=self.counts["set_aside"],
            passes=self.counts["passes"],
            entities=self.decided_by.total(),
            decided_by=dict(sorted(self.decided_by.items())),
            unknown_share=self.plan.unknown_share,
            not_finite=self.counts["not_finite"],
            slm_entities=self.counts["slm_entities"],
            llm_characters=self.counts["llm_characters"],
            llm_entities=self.counts["llm_entities"],
        )

    def correction_counts(self) -> CorrectionCounts:
        """Return how many corrections the corpus holds, and those that found no place in its texts."""
        return count_corrections(self.corrections.corrections, self._found_corrections)

    def _find_problems_of_unit(self, unit: Unit) -> Iterator[str]:
        where = f"{self.out}: {unit.name}"
        record = read_unit_record(self.out, unit.name)
        if record.files.get("documents") != unit.documents_sha256:
            yield f"{where}: expected in its record the digest of the planned documents, found another one"
        tables = read_unit_tables(self.out, unit.name, _SCHEMAS, record)
        documents, entities = tables["documents"].to_pylist(), tables["entities"].to_pylist()
        segments = tables["segments"].to_pylist()
        yield from (f"{where}: {problem}" for problem in _compare_documents(documents, unit.slices))
        yield from (f"{where}: {problem}" for problem in _compare_segments(segments, unit.slices))
        texts = dict([self._last_text, *((row["doc_id"], row["text"]) for row in documents)])
        replaced = tables[REPLACED_TABLE].to_pylist() if REPLACED_TABLE in tables else []
        yield from (f"{where}: {problem}" for problem in self._check_corrections(unit, entities, replaced, texts))
        yield from (f"{where}: {problem}" for problem in self._check_entities(entities, texts, unit.slices))
        yield from self._find_problems_of_scores(unit, record)
        counts = count_unit_rows(segments, entities)
        if counts != record.counts:
            yield f"{where}: expected the counts of its record, {record.counts}, found {counts}"
        self.decided_by.update(counts.decided_by)
        self.counts.update(
            documents=len(documents), segments=counts.segments, characters=counts.characters, gated=counts.gated,
            set_aside=counts.set_aside, passes=counts.passes, not_finite=counts.not_finite, **asdict(record.models),
        )  # fmt: skip

    def _find_problems_of_scores(self, unit: Unit, record: UnitRecord) -> Iterator[str]:
        """Yield what is wrong with the kept predictions of a unit. They may be missing if its record names none."""
        try:
            scores = read_scores_record(self.out, unit.name)
            if (scores.sha256 if scores else "") != record.scores_sha256:
                found = scores.sha256 if scores else "no record"
                yield (
                    f"{scores_record_path(self.out, unit.name)}: expected predictions with the digest "
                    f"{record.scores_sha256 or '(none)'}, as in the record of the unit, found {found}"
                )
            elif scores is not None:
                if scores.inputs != record.scores_inputs:
                    yield f"{scores_record_path(self.out, unit.name)}: expected the inputs of the unit, found others"
                read_scores_of_places(self.out, scores, _list_planned_places(unit))
        except DataError as error:
            yield str(error)

    def _check_corrections(
        self, unit: Unit, entities: Sequence[EntityRow], replaced: Sequence[EntityRow], texts: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield a line if the corrections of the corpus, applied to the models' entities, give other entities.

        texts: The texts of the documents that begin in the unit, and of the last one before it, by doc_id.
        """
        if not self.corrections and not replaced and all(row["decided_by"] != PERSON for row in entities):
            return
        if any(part.start and part.doc_id not in texts for part in unit.slices):
            return  # the unit that holds the text is damaged, which was reported
        model_entities = restore_model_entities_of_unit(entities, replaced)
        corrected = correct_entities_of_unit(
            model_entities, unit.slices, lambda part: texts.get(part.doc_id, ""), self.corrections
        )
        self._found_corrections |= corrected.found
        if (corrected.entities, corrected.replaced) != (entities, replaced):
            n_others = sum(a != b for a, b in zip_longest(corrected.entities, entities))
            yield f"expected the entities that {CORRECTIONS_FILE} gives, found {n_others} others"

    def _check_entities(
        self, entities: Sequence[EntityRow], texts: Mapping[str, str], slices: Sequence[DocumentSlice]
    ) -> Iterator[str]:
        """Yield entities that are out of order, overlap, do not match the text, or begin outside the unit."""
        begin_of = {part.doc_id: (i, part.start, part.end) for i, part in enumerate(slices)}
        last_doc, last_end, last_slice = self._last_text[0], self._last_end, -1
        for entity in entities:
            doc_id, start, end = entity["doc_id"], entity["start"], entity["end"]
            i, slice_start, slice_end = begin_of.get(doc_id, (-1, 0, 0))
            place = f"entity {entity['text']!r} at [{start}, {end}) of {doc_id!r}"
            if slice_start and doc_id not in texts:
                continue  # the unit that holds the text is damaged, which was reported
            if doc_id not in texts or not slice_start <= start < slice_end:
                yield f"expected entities that begin in the unit, found {place}"
                continue
            if texts[doc_id][start:end] != entity["text"] or start >= end:
                yield f"expected {texts[doc_id][start:end]!r} as in the text, found {place}"
            if i < last_slice or (doc_id == last_doc and start < last_end):
                yield f"expected entities in order and without overlaps, found {place} after one up to {last_end}"
            last_doc, last_end, last_slice = doc_id, end, i
        if slices:
            self._last_text = (slices[-1].doc_id, texts.get(slices[-1].doc_id, ""))
            self._last_end = last_end if last_doc == slices[-1].doc_id else 0


def _list_planned_places(unit: Unit) -> list[Place]:
    """Return the document, start and end of each segment of a unit, and then of each seam."""
    return [
        *_list_segment_places(unit.slices),
        *((part.doc_id, seam.start, seam.end) for part in unit.slices for seam in part.seams),
    ]


def _list_segment_places(slices: Sequence[DocumentSlice]) -> list[Place]:
    return [(part.doc_id, start, end) for part in slices for start, end in part.segment_bounds()]


def verify_tagged_corpus(out: StoragePath, plan: PlanSummary) -> CorpusVerifier:
    """Verify a tagged corpus; return the verifier, for its counts. Raises DataError, which names the first problem."""
    verifier = CorpusVerifier(out, plan)
    for problem in verifier.find_problems():
        raise DataError(problem)
    return verifier


def _compare_documents(documents: Sequence[dict[str, Any]], slices: Sequence[DocumentSlice]) -> Iterator[str]:
    """Yield documents that differ from those that were planned to begin in the unit."""
    planned = [part for part in slices if part.start == 0]
    if [row["doc_id"] for row in documents] != [part.doc_id for part in planned]:
        yield "expected the planned documents, found others"
        return
    for row, part in zip(documents, planned, strict=True):
        if not digest_encoded_text(row["text"], row["encoding"]) == row["sha256"] == part.sha256:
            yield f"expected the text of {part.doc_id!r} with the planned digest, found another text"
        if not len(row["text"]) == row["n_chars"] == part.n_chars:
            yield f"expected {part.n_chars} characters of {part.doc_id!r}, found {len(row['text'])}"


def _compare_segments(rows: Sequence[SegmentRow], slices: Sequence[DocumentSlice]) -> Iterator[str]:
    """Yield segments that differ from the planned ones."""
    segments = [(row["doc_id"], row["start"], row["end"]) for row in rows]
    planned = _list_segment_places(slices)
    for segment, expected in zip(segments, planned, strict=False):
        if segment != expected:
            yield f"expected segment {expected}, found {segment}"
            return
    if len(segments) != len(planned):
        yield f"expected {len(planned)} segments, found {len(segments)}"
