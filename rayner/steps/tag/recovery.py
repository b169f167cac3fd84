"""Find out what an interrupted job has finished, and repair what was damaged since.

A unit is finished if its record exists and its files have the recorded digests. A damaged unit is tagged again. A
damaged copy of documents is made again from the corpus. Every repair is named in the log.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rayner.cluster.failures import storage_and_actor_errors_as_job_error
from rayner.config.settings import Config, json_digest
from rayner.corpus.exports import EXPORT_FORMATS
from rayner.corpus.kept_scores import (
    SCORES_FOLDER,
    forget_scores,
    read_scores_record,
    scores_path,
    scores_record_path,
)
from rayner.corpus.reading import Document, map_in_threads, read_document_or_problem
from rayner.corpus.run_record import RUN_RECORD_FILE
from rayner.corpus.text_files import TextFile
from rayner.corpus.unit_records import (
    InputDigests,
    UnitCounts,
    UnitRecord,
    list_recorded_units,
    read_unit_record,
    record_path,
)
from rayner.errors import ConfigError, DamagedFileError, DataError
from rayner.runs.lock import hold_lock
from rayner.runs.output_folder import MARKER_FILE, list_missing_and_changed_files
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, file_sha256
from rayner.runs.storage import StoragePath, list_file_names, remove_file
from rayner.steps.output_folders import output_folder
from rayner.steps.tag.attempts import keep_halvings
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts, survey_corpus, write_documents
from rayner.steps.tag.slices import Unit
from rayner.steps.tag.stages import Attempts

TAGGING_STEPS = ("tag_corpus", "evahan")  # the steps whose manifests depend on the units


def repair_and_count_finished_units(out: StoragePath, plan: PlanSummary, inputs: InputDigests) -> dict[str, UnitCounts]:
    """Return the counts of the units that are finished and undamaged, by the unit's name.

    Damaged copies of documents are made again. The records of damaged units are removed, so that the units are tagged
    again. So are the records of units that were fused by another rule or gate, if their predictions were kept.

    Args:
        out: The folder of the tagged corpus.
        plan: The plan.
        inputs: The digests of what the units are made from.

    Raises:
        ConfigError: A unit was made from other inputs, or by another rule or gate from predictions that were not kept.
        DataError: A damaged copy cannot be made again, because the corpus has changed.

    """
    finished: dict[str, UnitCounts] = {}
    recorded = set(list_recorded_units(out))
    recorded_units = (unit for unit in _iter_repaired_units(out, plan) if unit.name in recorded)
    for record in map_in_threads(lambda unit: _read_record_or_problem(unit, out), recorded_units):
        if isinstance(record, str):
            log.warning("tag: %s: the unit is tagged again", record)
        elif record.inputs == inputs.tags:
            finished[record.unit] = record.counts
        else:
            _require_kept_scores(record, out, inputs)
    outdated = recorded - finished.keys()
    if outdated:
        log.info("tag: %d of %d units are fused or tagged again", len(outdated), plan.units)
        remove_file(out / RUN_RECORD_FILE)  # an interruption leaves nothing that seems complete
    for name in outdated:
        forget_unit(out, name)
    return finished


def _require_kept_scores(record: UnitRecord, out: StoragePath, inputs: InputDigests) -> None:
    """Raise ConfigError unless a unit of other tags can be made again from predictions that were kept."""
    if record.scores_inputs != inputs.scores:
        found = "was made from other inputs"
    elif not record.scores_sha256:
        found = "was fused with another rule or gate, and the predictions of the models were not kept"
    else:
        return
    raise ConfigError(f"{out}: {record.unit} {found}: take another out=, or start over beside it with --fresh")


def forget_damaged_plan(tagged: Run) -> bool:
    """Remove the plan's manifest if the plan cannot be used, so that it is made again. Return whether it can be used.

    Raises ConfigError if another version of rayner wrote the plan.
    """
    out = tagged.root
    try:
        if not tagged.has_step("plan"):
            return False
        plan = PlanSummary.from_json(tagged.step_result("plan"), str(out))
        for _ in iter_plan_parts(out, plan.parts):
            pass
    except DataError as error:
        log.warning("tag: %s: the plan is made again from the corpus", error)
        tagged.forget_step("plan")
        return False
    return True


def forget_outdated_steps(tagged: Run, inputs: Mapping[str, Any], *, has_all_units: bool) -> None:
    """Remove the manifests of tagging that are damaged or of an earlier rule; all of them if units are missing."""
    for step in TAGGING_STEPS:
        try:
            is_outdated = tagged.is_done_with_other_inputs(step, inputs) or not has_all_units
        except DamagedFileError as error:
            log.warning("tag: %s: the step is done again", error)
            is_outdated = True
        if is_outdated:
            tagged.forget_step(step)


def check_exported_files(tagged: Run, folder: StoragePath) -> None:
    """Make a finished export count as unfinished if files of it are missing; warn of files that were changed since."""
    if not tagged.has_step("evahan"):
        return
    format_name = EXPORT_FORMATS["evahan"].name
    try:
        missing, changed = list_missing_and_changed_files(folder, f"export {format_name}".rstrip())
    except ConfigError as error:
        log.warning("tag: %s", error)
        return
    for name in changed:
        log.warning(
            "tag: %s: expected the file that was exported, found one that was changed since: it is left as it is. Move "
            "it away and run this again to have it exported again", folder / name,
        )  # fmt: skip
    if (missing or not (folder / MARKER_FILE).exists()) and not changed:
        log.warning("tag: %s: expected the files that were exported, found some missing: exported again", folder)
        tagged.forget_step("evahan")


def require_no_other_corpus(corpus: str, config: Config, out: StoragePath, score_inputs: dict[str, Any]) -> None:
    """Raise ConfigError if the folder, which has no usable plan, holds tables of anything else than this corpus.

    Otherwise planning would replace the copied documents of another corpus.
    """
    units = list_recorded_units(out)
    if not units:
        for table in ("entities", "segments"):
            for name in list_file_names(out / table, "unit-", ".parquet"):
                remove_file(out / table / name)  # of a unit that was never finished: the folder is marked as ours
        for name in list_file_names(out / SCORES_FOLDER, "unit-", ""):
            remove_file(out / SCORES_FOLDER / name)
        return
    survey = survey_corpus(corpus, config.score.unit_chars, config.tag.max_segment_chars, config.corpus.encoding)
    inputs = json_digest({"corpus": survey.digest, **score_inputs})
    for name in units:
        record = _read_intact_record(out, name)
        if record is not None and record.scores_inputs != inputs:
            raise ConfigError(
                f"{out}: its plan is damaged, and the tagged units were made from another corpus or other settings: "
                "take another out=, or start over beside it with --fresh"
            )


def _iter_repaired_units(out: StoragePath, plan: PlanSummary) -> Iterator[Unit]:
    for part in iter_plan_parts(out, plan.parts):
        for unit, is_intact in map_in_threads(lambda unit: (unit, _has_intact_documents(unit, out)), part):
            if not is_intact:
                _restore_documents(unit, out, plan.encoding)
            yield unit


def _read_record_or_problem(unit: Unit, out: StoragePath) -> UnitRecord | str:
    """Return the record of a unit whose documents are intact, or what is wrong with the record or a file of a table."""
    try:
        record = read_unit_record(out, unit.name)
    except DataError as error:
        return str(error)
    digests = dict(record.files)
    if digests.pop("documents", None) != unit.documents_sha256:
        return _describe_damage(out / "documents" / f"{unit.name}.parquet")
    return next(_iter_damage(out, unit.name, digests), None) or _find_scores_problem(record, out) or record


def _find_scores_problem(record: UnitRecord, out: StoragePath) -> str | None:
    """Return what is wrong with the kept predictions of a unit. If something is, they no longer count as kept."""
    if not record.scores_sha256:
        return None
    try:
        scores_record = read_scores_record(out, record.unit)
    except DataError as error:
        problem: str | None = str(error)
    else:
        is_other = scores_record is None or scores_record.sha256 != record.scores_sha256
        path = scores_record_path(out, record.unit) if is_other else scores_path(out, record.unit)
        is_intact = not is_other and _file_digest(path) == record.scores_sha256
        problem = None if is_intact else _describe_damage(path)
    if problem is not None:
        forget_scores(out, record.unit)
    return problem


def _read_intact_record(out: StoragePath, name: str) -> UnitRecord | None:
    """Return the record of a unit; None if it is missing or damaged."""
    try:
        return read_unit_record(out, name)
    except DataError:
        return None


def _iter_damage(out: StoragePath, name: str, digests: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each file of a unit that is missing or changed. digests: the recorded SHA-256, by table."""
    for table, digest in digests.items():
        path = out / table / f"{name}.parquet"
        if _file_digest(path) != digest:
            yield _describe_damage(path)


def _describe_damage(path: StoragePath) -> str:
    return f"{path}: expected the file that was written, found none or another content"


def _file_digest(path: StoragePath) -> str:
    """Return the digest of a file, or "" if there is no file. Raises OSError if it cannot be read now."""
    try:
        return file_sha256(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""


def _has_intact_documents(unit: Unit, out: StoragePath) -> bool:
    return _file_digest(out / "documents" / f"{unit.name}.parquet") == unit.documents_sha256


def _restore_documents(unit: Unit, out: StoragePath, encoding: str) -> None:
    """Copy the documents that begin in a unit again from the corpus. Raises DataError if one has changed."""
    path = out / "documents" / f"{unit.name}.parquet"
    log.warning("tag: %s: expected the copy that was planned, found none or another content: copied again", path)
    documents = []
    for part in (part for part in unit.slices if part.start == 0):
        document = read_document_or_problem(TextFile(part.doc_id, part.path), encoding)[1]
        if not isinstance(document, Document) or document.sha256 != part.sha256:
            raise DataError(
                f"{path}: is damaged, and cannot be made again because {part.path} has changed: restore one of the two "
                "files, or start over beside this corpus with --fresh"
            )
        documents.append(document)
    if write_documents(unit.name, documents, out) != unit.documents_sha256:
        raise DataError(
            f"{path}: was damaged, and this version of pyarrow writes it differently: restore the file, or start over "
            "beside this corpus with --fresh"
        )


def forget_unit(out: StoragePath, name: str) -> None:
    """Remove the record of a unit, so that it is tagged again, in batches of the same size as before."""
    record = _read_intact_record(out, name)
    if record is not None:
        attempts = Attempts(out / "attempts")
        for stage, halvings in (("slm", record.slm_halvings), ("llm", record.llm_halvings)):
            note_path = attempts.note_path(name, stage)
            if halvings and note_path is not None:
                keep_halvings(note_path, halvings)
    remove_file(record_path(out, name))


def forget_set_aside_units(config: Config, run: Run) -> None:
    """Make the next call of `tag_corpus` tag the units again that hold segments which were set aside."""
    out = output_folder(config, run)
    with storage_and_actor_errors_as_job_error(out):
        if list_recorded_units(out):  # otherwise there is no tagged corpus to lock
            _forget_set_aside_units(out)


def _forget_set_aside_units(out: StoragePath) -> None:
    with hold_lock(out):
        # A unit whose record is damaged is tagged again anyway.
        records = (_read_intact_record(out, name) for name in list_recorded_units(out))
        retried = [record for record in records if record is not None and record.counts.set_aside]
        log.info("tag: %d units hold segments that were set aside and are tried again", len(retried))
        if not retried:
            return
        # From here on the corpus counts as unfinished, so an interruption leaves nothing that seems complete.
        for step in TAGGING_STEPS:
            Run(out).forget_step(step)
        remove_file(out / RUN_RECORD_FILE)
        for record in retried:
            for damage in _iter_damage(out, record.unit, record.files):  # without the record, nobody could tell later
                log.warning("tag: %s: the unit is tagged again", damage)
            forget_scores(out, record.unit)  # the segments are predicted together, as if none had ever failed
            remove_file(record_path(out, record.unit))
