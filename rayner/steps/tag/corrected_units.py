"""Apply the corrections of a person to the entities of a unit, and write them.

A unit is corrected by itself, from its models' entities and the texts of its documents. So the order of the units does
not matter, and verification can repeat it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import pyarrow as pa

from rayner.config.settings import Config
from rayner.corpus.corrections.applying import (
    CorrectableText,
    CorrectedEntities,
    correct_entities,
    restore_model_entities,
)
from rayner.corpus.corrections.correction import (
    CORRECTIONS_FILE,
    Correction,
    read_corrections_file,
    read_corrections_of_corpus,
)
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.parquet_files import write_table
from rayner.corpus.tables import ENTITY_SCHEMA, REPLACED_TABLE, EntityRow
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, remove_file, storage_path
from rayner.steps.output_folders import output_folder
from rayner.steps.tag.slices import DocumentSlice


def read_corrections_to_apply(config: Config, run: Run) -> list[Correction]:
    """Read the corrections that a tagging job applies: those of `tag.corrections`, or else those of the output folder.

    Raises:
        ConfigError: The setting names no `corrections.jsonl`, or the output folder holds other corrections.
        DataError: The `corrections.jsonl` of the output folder is damaged.

    """
    out = output_folder(config, run)
    kept = read_corrections_of_corpus(out)
    if not config.tag.corrections:
        return kept
    named = _read_named_corrections(config.tag.corrections)
    if kept and kept != named:
        raise ConfigError(
            f"{out / CORRECTIONS_FILE}: expected the corrections of tag.corrections, found others: restore it, if "
            "it was damaged, leave the setting out, or take another out="
        )
    return named


def describe_named_corrections(config: Config) -> list[str]:
    """Say how many corrections `tag.corrections` holds, if it is set. Raises ConfigError if it cannot be read."""
    path = config.tag.corrections
    return [f"{path}: {len(_read_named_corrections(path)):,} corrections"] if path else []


def _read_named_corrections(path: str) -> list[Correction]:
    try:
        return read_corrections_file(storage_path(path))
    except DataError as error:
        raise ConfigError(f"tag.corrections: {error}") from None


def correct_entities_of_unit(
    rows: Sequence[EntityRow],
    slices: Sequence[DocumentSlice],
    read_text: Callable[[DocumentSlice], str],
    corrections: CorrectionIndex,
) -> CorrectedEntities:
    """Correct the entities of a unit.

    Where a unit begins within a long sentence that was cut, an entity of the unit before may go on. The text that it
    may reach is not corrected, nor is an entity that a correction would let go on in the next unit.

    Args:
        rows: The models' entities of the unit, in the order of the slices.
        slices: The slices of documents in the unit.
        read_text: Returns the text of the whole document that a slice belongs to.
        corrections: The corrections of the corpus.

    """
    rows_by_document = group_by_document(rows)
    entities, replaced, found = list[EntityRow](), list[EntityRow](), set[int]()
    for part in slices:
        own, numbered = rows_by_document[part.doc_id], corrections.find(part.doc_id)
        if not numbered:
            entities += own
            continue
        text = CorrectableText(part.doc_id, read_text(part), _find_correctable_start(part), part.end)
        corrected = correct_entities(text, own, numbered)
        entities += corrected.entities
        replaced += corrected.replaced
        found |= corrected.found
    return CorrectedEntities(entities, replaced, frozenset(found))


def group_by_document(rows: Sequence[EntityRow]) -> defaultdict[str, list[EntityRow]]:
    """Return the rows of each document; none for a document without any."""
    groups = defaultdict[str, list[EntityRow]](list)
    for row in rows:
        groups[row["doc_id"]].append(row)
    return groups


def restore_model_entities_of_unit(entities: Sequence[EntityRow], replaced: Sequence[EntityRow]) -> list[EntityRow]:
    """Return the models' entities of a unit from its tables, document by document."""
    kept, others = group_by_document(entities), group_by_document(replaced)
    doc_ids = dict.fromkeys([*kept, *others])
    return [row for doc_id in doc_ids for row in restore_model_entities(kept[doc_id], others[doc_id])]


def write_corrected_entities(corrected: CorrectedEntities, out: StoragePath, name: str) -> dict[str, str]:
    """Write the entities of a unit, and those that corrections replaced. Return the SHA-256 of each file, by table."""
    digests = {}
    for table, rows in (("entities", corrected.entities), (REPLACED_TABLE, corrected.replaced)):
        path = out / table / f"{name}.parquet"
        if rows or table != REPLACED_TABLE:
            digests[table] = write_table(pa.Table.from_pylist(rows, schema=ENTITY_SCHEMA), path)
        elif path.exists():
            remove_file(path)
    return digests


def _find_correctable_start(part: DocumentSlice) -> int:
    return next((seam.end for seam in part.seams if seam.cut == part.start > 0), part.start)
