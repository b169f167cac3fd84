"""Correct a tagged corpus: list what corrections change, and write the corrected corpus beside it.

The tagged corpus is only read. The corrected one holds all that a tagging job writes, so it can be verified, exported,
corrected again, and tagged again by another rule or model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rayner.config.settings import json_digest
from rayner.corpus.corrections.applying import CorrectedEntities
from rayner.corpus.corrections.changes import Change, find_changes
from rayner.corpus.corrections.correction import (
    CONTEXT_CHARS,
    CORRECTIONS_FILE,
    HERE,
    NOT_AN_ENTITY,
    Correction,
    digest_corrections,
    write_corrections_file,
)
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.kept_scores import SCORES_FOLDER
from rayner.corpus.run_record import RunRecord, read_run_record, write_run_record
from rayner.corpus.tables import ENTITY_SCHEMA, REPLACED_TABLE, EntityRow, count_entities_by_decider, read_unit_tables
from rayner.corpus.unit_records import (
    UnitRecord,
    digest_unit_records,
    list_recorded_units,
    read_unit_record,
    write_unit_record,
)
from rayner.errors import ConfigError
from rayner.runs.lock import hold_lock
from rayner.runs.output_folder import TAGGED_PURPOSE, check_output_folder, write_folder_marker
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names, remove_temporary_files
from rayner.steps.tag.audit import verify_tagged_corpus
from rayner.steps.tag.corrected_units import (
    correct_entities_of_unit,
    group_by_document,
    restore_model_entities_of_unit,
    write_corrected_entities,
)
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts
from rayner.steps.tag.slices import DocumentSlice, Unit
from rayner.steps.tag.units import make_text_reader

UNFINISHED_PURPOSE = "unfinished corrected corpus"
_COPIED_FOLDERS = (("documents", ".parquet"), ("segments", ".parquet"), ("plan", ""), (SCORES_FOLDER, ""))
_CORRECTIONS_INPUT = "corrections"


@dataclass(frozen=True)
class TaggedUnit:
    """A unit of a finished tagged corpus, with its entities and its models' entities."""

    unit: Unit
    record: UnitRecord
    entities: Sequence[EntityRow]
    model_entities: Sequence[EntityRow]
    read_text: Callable[[DocumentSlice], str]

    def correct(self, corrections: CorrectionIndex) -> CorrectedEntities:
        """Return the entities after some corrections, which replace those that were applied before."""
        return correct_entities_of_unit(self.model_entities, self.unit.slices, self.read_text, corrections)

    def find_changes(self, before: Sequence[EntityRow], after: Sequence[EntityRow]) -> Iterator[Change]:
        """Yield what differs between two lists of entities of the unit."""
        rows_before, rows_after = group_by_document(before), group_by_document(after)
        for part in self.unit.slices:
            own_before, own_after = rows_before[part.doc_id], rows_after[part.doc_id]
            if own_before != own_after:
                yield from find_changes(own_before, own_after, self.read_text(part))


class FinishedCorpus:
    """A tagged corpus that a job finished.

    Raises ConfigError if it is not finished or was written by another version, DataError if a file is damaged.
    """

    def __init__(self, tagged: StoragePath) -> None:
        self.tagged = tagged
        try:
            self.record = read_run_record(tagged)
        except FileNotFoundError:
            raise ConfigError(
                f"{tagged}: expected a finished tagged corpus, found no run.json: finish it first"
            ) from None
        self.plan = PlanSummary.from_json(Run(tagged).step_result("plan"), str(tagged))

    def iter_units(self) -> Iterator[TaggedUnit]:
        """Yield the units in order. Only one is in memory at a time."""
        schemas = {"entities": ENTITY_SCHEMA, REPLACED_TABLE: ENTITY_SCHEMA}
        for part in iter_plan_parts(self.tagged, self.plan.parts):
            for unit in part:
                record = read_unit_record(self.tagged, unit.name)
                tables = read_unit_tables(self.tagged, unit.name, schemas, record)
                entities = tables["entities"].to_pylist()
                replaced = tables[REPLACED_TABLE].to_pylist() if REPLACED_TABLE in tables else []
                read_text = make_text_reader(unit, self.tagged, self.plan.parts)
                yield TaggedUnit(unit, record, entities, restore_model_entities_of_unit(entities, replaced), read_text)


@dataclass(frozen=True)
class ComparedCorrections:
    """Corrections, compared with the corpus that they are for.

    changing: Those that say something else than the corpus, with the text around them.
    n_same: The number of those that say what the corpus says already.
    unmatched: Those `here` whose text does not stand at their place.
    """

    changing: list[Correction]
    n_same: int
    unmatched: list[Correction]


def compare_with_corpus(corrections: Sequence[Correction], corpus: FinishedCorpus) -> ComparedCorrections:
    """Compare corrections with the corpus that they are for, and add the text around each."""
    by_document: dict[str, list[int]] = {}
    for i, one in enumerate(corrections):
        by_document.setdefault(one.doc_id, []).append(i)
    completed, same, seen = dict[int, Correction](), set[int](), set[int]()
    for unit in corpus.iter_units():
        spans = {(row["doc_id"], row["start"], row["end"]): row["type"] for row in unit.entities}
        for part in unit.unit.slices:
            for i in by_document.get(part.doc_id, ()):
                one = corrections[i]
                if not part.start <= one.start < part.end:
                    continue
                text = unit.read_text(part)
                if (
                    text[one.start : one.end] == one.text
                    and one.before == text[one.start - len(one.before) : one.start]
                ):
                    completed[i] = _add_context(one, text)
                found = spans.get((one.doc_id, one.start, one.end), NOT_AN_ENTITY)
                same |= {i} if one.scope == HERE and found == one.type else set()
        seen |= completed.keys()
    kept = [i for i, one in enumerate(corrections) if i not in same and (i in seen or one.scope != HERE)]
    unmatched = [one for i, one in enumerate(corrections) if i not in seen and one.scope == HERE]
    return ComparedCorrections([completed.get(i, corrections[i]) for i in kept], len(same & seen), unmatched)


def _add_context(one: Correction, text: str) -> Correction:
    before = text[max(0, one.start - CONTEXT_CHARS) : one.start]
    return replace(one, before=before, after=text[one.end : one.end + CONTEXT_CHARS])


def iter_changes(corpus: FinishedCorpus, corrections: Sequence[Correction]) -> Iterator[Change]:
    """Yield what the entities of a corpus differ in after corrections, which replace those it has."""
    index = CorrectionIndex(corrections)
    for unit in corpus.iter_units():
        yield from unit.find_changes(unit.entities, unit.correct(index).entities)


def iter_further_changes(
    corpus: FinishedCorpus, corrections: Sequence[Correction], wider: Sequence[Correction]
) -> Iterator[Change]:
    """Yield what changes if corrections with a wider scope come after those of the corpus."""
    index, wider_index = CorrectionIndex(corrections), CorrectionIndex([*corrections, *wider])
    for unit in corpus.iter_units():
        yield from unit.find_changes(unit.correct(index).entities, unit.correct(wider_index).entities)


def write_corrected_corpus(corpus: FinishedCorpus, corrections: Sequence[Correction], out: StoragePath) -> RunRecord:
    """Write a corpus with these corrections, which replace those it has, into another folder. Return its record.

    `run.json` is written last. A call that was interrupted leaves a folder that the same call writes again.

    Raises:
        ConfigError: The folder holds other files.
        DataError: A file of the corpus is damaged.

    """
    check_output_folder(out, UNFINISHED_PURPOSE)
    write_folder_marker(out, UNFINISHED_PURPOSE, {})
    with hold_lock(out):
        inputs = {key: value for key, value in corpus.record.inputs.items() if key != _CORRECTIONS_INPUT}
        if corrections:
            inputs[_CORRECTIONS_INPUT] = digest_corrections(corrections)
            write_corrections_file(corrections, out / CORRECTIONS_FILE)
        _copy_unchanged_files(corpus.tagged, out)
        index = CorrectionIndex(corrections)
        for unit in corpus.iter_units():
            _write_unit(unit, unit.correct(index), out, json_digest(inputs))
        record = _write_records(corpus, out, inputs)
        remove_temporary_files(out)
        write_folder_marker(out, TAGGED_PURPOSE, {})
    return record


def _copy_unchanged_files(tagged: StoragePath, out: StoragePath) -> None:
    """Copy what corrections do not change. Verification compares the copies with their digests."""
    names = [
        (folder, name) for folder, suffix in _COPIED_FOLDERS for name in list_file_names(tagged / folder, "", suffix)
    ]
    for folder, name in [*names, ("steps", "plan.json")]:
        with atomic_writer(out / folder / name) as stream:
            stream.write((tagged / folder / name).read_bytes())


def _write_unit(unit: TaggedUnit, corrected: CorrectedEntities, out: StoragePath, inputs: str) -> None:
    files = {
        "documents": unit.record.files["documents"],
        **write_corrected_entities(corrected, out, unit.unit.name),
        "segments": unit.record.files["segments"],
    }
    counts = replace(unit.record.counts, decided_by=count_entities_by_decider(corrected.entities))
    write_unit_record(out, replace(unit.record, inputs=inputs, files=files, counts=counts))


def _write_records(corpus: FinishedCorpus, out: StoragePath, inputs: dict[str, Any]) -> RunRecord:
    verified = verify_tagged_corpus(out, corpus.plan)
    counts, corrections = verified.corpus_counts(), verified.correction_counts()
    records_sha256 = digest_unit_records(out, list_recorded_units(out))
    facts = {
        **Run(corpus.tagged).step_result("tag_corpus"),
        "inputs": inputs,
        "counts": asdict(counts),
        "corrections": asdict(corrections),
        "records_sha256": records_sha256,
    }
    Run(out).run_step("tag_corpus", inputs, lambda: facts)
    warning = corpus.record.corrections.format_warning()
    warnings = [*(line for line in corpus.record.warnings if line != warning), corrections.format_warning()]
    record = replace(
        corpus.record, inputs=inputs, counts=counts, corrections=corrections, records_sha256=records_sha256,
        warnings=[line for line in warnings if line is not None],
    )  # fmt: skip
    write_run_record(out, record)
    return record
