"""Step tag_corpus: tag a corpus with a trained run.

First, the texts are read, planned and copied (`plan.py`). Then actors predict the units in any order, keep what both
models said (`kept_scores`), fuse it and write the tables. The files of a unit are written under temporary names and
then renamed, and the record of the unit is written last. At the end, the tables are compared with the plan
(`audit.py`). After an interruption, the same call checks the finished units (`recovery.py`), tags the missing and the
damaged ones, and produces the same files.

With another fusion rule or gate, the same call fuses the kept predictions again. The LLM is only asked about segments
that the earlier gate skipped, or whose answer stopped too early for the new rule. It is asked about none if the run has
no LLM, or if its worth on held-out sentences is not beyond chance (`fusion.llm`).
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import rayner
from rayner.cluster.failures import storage_and_actor_errors_as_job_error
from rayner.config.plugins import name_with_fingerprint
from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.corpus.corrections.correction import CORRECTIONS_FILE, digest_corrections, write_corrections_file
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.exports import EXPORT_FORMATS, export_corpus
from rayner.corpus.ignored_files import ignored_groups_to_json
from rayner.corpus.kept_scores import SCORES_FOLDER, list_scored_units
from rayner.corpus.plain_text.left_out import describe_left_out_files
from rayner.corpus.reading import compute_unknown_char_share, require_corpus
from rayner.corpus.run_record import RunRecord, write_run_record
from rayner.corpus.scripts.conversion import ScriptConverter
from rayner.corpus.scripts.recognition import ScriptComparison, count_scripts
from rayner.corpus.tables import REPLACED_TABLE, TABLE_NAMES
from rayner.corpus.unit_records import (
    RECORD_FOLDER,
    InputDigests,
    UnitCounts,
    digest_unit_records,
    list_recorded_units,
)
from rayner.errors import TooManySetAsideError
from rayner.report.closing_lines import describe_tagged
from rayner.runs.lock import hold_lock
from rayner.runs.output_folder import remove_written_files
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, file_sha256
from rayner.runs.storage import StoragePath, remove_folder, remove_temporary_files
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.output_folders import mark_tagged_folder_as_ours, output_folder
from rayner.steps.scripts import count_training_scripts, load_script_converter
from rayner.steps.tag.actors import SLM_ALONE, PredictionJob, fuse_scored_units, predict_units
from rayner.steps.tag.audit import verify_tagged_corpus
from rayner.steps.tag.corrected_units import read_corrections_to_apply
from rayner.steps.tag.not_finite import require_mostly_finite
from rayner.steps.tag.plan import (
    PlanSummary,
    describe_changed_files_by_path,
    iter_plan_parts,
    require_same_corpus,
    write_plan_and_documents,
)
from rayner.steps.tag.recovery import (
    check_exported_files,
    forget_damaged_plan,
    forget_outdated_steps,
    repair_and_count_finished_units,
    require_no_other_corpus,
)
from rayner.steps.tag.run_records import make_run_record
from rayner.steps.tag.scored_units import UnitFiles
from rayner.steps.tag.stages import Attempts
from rayner.steps.tag.tagging_rule import TaggingRule, choose_tagging_rule

_GATE_SETTINGS = "gate."


def collect_score_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings, versions and digests on which the models' predictions depend, except those of the texts."""
    settings = step_settings(config, "tag_corpus")
    return {
        **{key: value for key, value in settings.items() if not key.startswith(_GATE_SETTINGS)},
        "score": run.digest_step_manifest("score"),  # depends on data, models and index
        "version": rayner.__version__,
    }


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings, versions and digests on which the tagged corpus depends, except those of its texts."""
    tagging = choose_tagging_rule(config, read_tuned_fusion(run))
    corrections = digest_corrections(read_corrections_to_apply(config, run))
    return {
        **step_settings(config, "tag_corpus"),
        **collect_score_inputs(config, run),
        "fusion": file_sha256(run.path("fusion.json")),
        "rule": name_with_fingerprint("fusion.rules", tagging.rule.name),
        "asks_llm": tagging.asks_llm,
        **({"corrections": corrections} if corrections else {}),
    }


def tag_corpus(config: Config, run: Run) -> dict[str, Any]:
    """Tag the corpus and return the content of the step's manifest.

    This writes the tables, `run.json` and, if configured, files in EvaHan's format. Units that an interrupted call
    finished are kept.

    Raises:
        ConfigError: if the output folder holds other files or another corpus, overlaps with an input, or another job is
            working in it.
        NotFiniteError: if the fusion rule or the predictions for too many segments are not finite.
        TooManySetAsideError: if too many segments failed. All files are written before this is raised.

    """
    corpus = require_corpus(config.corpus.path)
    out = output_folder(config, run)
    with storage_and_actor_errors_as_job_error(out):
        run.step_result("tune_fusion")  # raises ConfigError if no rule was tuned
        mark_tagged_folder_as_ours(config, run)
    with storage_and_actor_errors_as_job_error(out), hold_lock(out):
        record = _tag_and_write_record(config, run, corpus, out)
        manifest = Run(out).step_result("tag_corpus")
    log.info("%s", describe_tagged(record, str(out)))
    for line in describe_left_out_files(record.unread, record.ignored, record.empty):
        log.info("tag: %s", line)
    for warning in record.warnings:
        log.warning("WARNING: %s", warning)
    counts = record.counts
    share = counts.set_aside / max(1, counts.segments)
    if share > config.tag.max_set_aside:
        raise TooManySetAsideError(
            f"{out}: done, but {counts.set_aside} of {counts.segments} segments were set aside "
            f"({share:.2%}; allowed: {config.tag.max_set_aside:.2%}); see the column `error` of segments, and try them "
            "again with --retry-set-aside"
        )
    return manifest


def _tag_and_write_record(config: Config, run: Run, corpus: str, out: StoragePath) -> RunRecord:
    # The manifests of tagging are in the output folder, because one run may tag several corpora.
    tagged, score_inputs, run_inputs = Run(out), collect_score_inputs(config, run), collect_manifest_inputs(config, run)
    converter = load_script_converter(config, run)
    plan = _load_or_write_plan(config, run, corpus, tagged, score_inputs, converter)
    all_inputs = {"corpus": plan.digest, **run_inputs}
    inputs = InputDigests(json_digest(all_inputs), json_digest({"corpus": plan.digest, **score_inputs}))
    fusion = read_tuned_fusion(run)
    tagging = choose_tagging_rule(config, fusion)
    corrections = CorrectionIndex(read_corrections_to_apply(config, run))
    if corrections:
        write_corrections_file(corrections.corrections, out / CORRECTIONS_FILE)
    finished = repair_and_count_finished_units(out, plan, inputs)
    forget_outdated_steps(tagged, all_inputs, has_all_units=len(finished) == plan.units)

    scripts = ScriptComparison(count_training_scripts(run), plan.scripts, config.corpus.match_script)

    def tag_and_verify() -> dict[str, Any]:
        log.info("tag: %s", tagging.reason)
        _tag_missing_units(config, run, out, tagging, plan, finished, inputs, converter, corrections)
        verified = verify_tagged_corpus(out, plan)
        return {
            "counts": asdict(verified.corpus_counts()),
            "corrections": asdict(verified.correction_counts()),
            "records_sha256": digest_unit_records(out, list_recorded_units(out)),
            "unread": plan.unread,
            "ignored": ignored_groups_to_json(plan.ignored),
            "empty": plan.empty,
            "markup": asdict(plan.markup),
            "scripts": asdict(scripts),
            "changed": describe_changed_files_by_path(corpus, out, plan.parts, plan.encoding),
            "rule": tagging.rule.summary(),
            "asks_llm": tagging.asks_llm,
            "llm": tagging.reason,
            "llm_worth": fusion.llm_worth and asdict(fusion.llm_worth),
            "inputs": all_inputs,
        }

    facts = tagged.run_step("tag_corpus", all_inputs, tag_and_verify)
    if config.tag.evahan:
        check_exported_files(tagged, out / "evahan")
        tagged.run_step("evahan", all_inputs, lambda: _export_evahan(out))
    record = make_run_record(config, run, facts)
    write_run_record(out, record)
    remove_folder(out / "attempts")
    for folder in (
        *TABLE_NAMES,
        REPLACED_TABLE,
        RECORD_FOLDER,
        SCORES_FOLDER,
        "plan",
        "steps",
        *(["evahan"] if config.tag.evahan else []),
    ):
        remove_temporary_files(out / folder)
    remove_temporary_files(out, recursive=False)
    return record


def _export_evahan(out: StoragePath) -> dict[str, Any]:
    remove_written_files(out / "evahan", f"export {EXPORT_FORMATS['evahan'].name}")
    return asdict(export_corpus(out, out / "evahan", EXPORT_FORMATS["evahan"]))


def _load_or_write_plan(
    config: Config, run: Run, corpus: str, tagged: Run, inputs: dict[str, Any], converter: ScriptConverter | None
) -> PlanSummary:
    """Return the plan; write it first if it does not exist or is damaged.

    Raises ConfigError if the folder holds another corpus.
    """
    out = tagged.root

    def read_and_plan() -> dict[str, Any]:
        # This import loads torch for an encoder. The rest of this process does not need it.
        from rayner.steps.loading import load_known_characters

        require_no_other_corpus(corpus, config, out, inputs)
        log.info("tag: reads %s", corpus)
        survey = write_plan_and_documents(
            corpus, config.score.unit_chars, out, config.tag.max_segment_chars, config.corpus.encoding
        )
        read_char_counts = converter.convert_counts(survey.char_counts) if converter else survey.char_counts
        return PlanSummary(
            digest=survey.digest,
            documents=survey.documents,
            characters=survey.characters,
            units=survey.units,
            unread=survey.unread,
            ignored=survey.ignored.groups,
            empty=survey.empty,
            unknown_share=round(compute_unknown_char_share(read_char_counts, load_known_characters(config, run)), 4),
            parts=survey.plan_parts,
            encoding=config.corpus.encoding,
            markup=survey.markup,
            scripts=count_scripts(survey.char_counts),
        ).to_json()

    planned_before = forget_damaged_plan(tagged) and tagged.is_done_with_same_inputs("plan", inputs)
    plan = PlanSummary.from_json(tagged.run_step("plan", inputs, read_and_plan), str(out))
    if planned_before:
        require_same_corpus(corpus, out, plan)
    return plan


def _tag_missing_units(
    config: Config,
    run: Run,
    out: StoragePath,
    tagging: TaggingRule,
    plan: PlanSummary,
    finished: Mapping[str, UnitCounts],
    inputs: InputDigests,
    converter: ScriptConverter | None,
    corrections: CorrectionIndex,
) -> None:
    """Tag the units that are not finished.

    Raises NotFiniteError as soon as too many predictions are not finite.
    """
    missing_chars = n_segments = 0
    for part in iter_plan_parts(out, plan.parts):
        n_segments += sum(len(text_slice.segment_ends) for unit in part for text_slice in unit.slices)
        missing_chars += sum(unit.n_chars for unit in part if unit.name not in finished)
    if finished:
        log.info("tag: %d of %d units are there already", len(finished), plan.units)
    n_not_finite = sum(counts.not_finite for counts in finished.values())
    require_mostly_finite(n_not_finite, n_segments, out)
    progress, note = Progress("tag", missing_chars, "characters"), "" if tagging.asks_llm else "without an LLM"
    if missing_chars:
        progress.show_start(note)
    files = UnitFiles(
        out, plan.parts, tagging.rule, tagging.calibration, inputs, config.tag.keep_scores,
        converter, corrections,
    )  # fmt: skip
    attempts = Attempts(out / "attempts", uuid.uuid4().hex)
    job = PredictionJob(
        config, run, tagging.gate, attempts, files.read, files.write,
        on_reports=lambda n_texts, n_chars: progress.show_unfinished(n_chars),
    )  # fmt: skip
    if tagging.asks_llm:
        job = replace(job, keep_predictions=files.keep_new_predictions)
    else:
        job = replace(job, models=SLM_ALONE)
    scored = list_scored_units(out)
    # Read one part of the plan at a time, so that neither Ray nor this process holds the names of all units.
    for part in iter_plan_parts(out, plan.parts):
        missing = [unit.name for unit in part if unit.name not in finished]
        fused = set()
        for unit in fuse_scored_units([name for name in missing if name in scored], files, tagging.gate):
            if unit.written is not None:
                fused.add(unit.name)
                progress.advance(unit.written.amount, note)
        for predicted in predict_units([name for name in missing if name not in fused], job):
            progress.advance(predicted.amount, note)
            n_not_finite += predicted.not_finite
            require_mostly_finite(n_not_finite, n_segments, out)
