"""Tagging of a corpus: units of work stream through both models, the fusion and into the canonical tables.

Its texts are read and kept first (`plan`); then units are tagged, each committed by a rename, in any order and number
at a time; then all of it is proved whole (`audit`). Whatever interrupts this, the same call goes on with the units that
are not there yet, and ends with the same files.
"""

from dataclasses import asdict
from functools import partial
from typing import Any

import rayner
from rayner.cluster.failures import storage_and_actor_errors_as_job_error
from rayner.config.plugins import plugin_fingerprints
from rayner.config.settings import Config, config_to_dict, json_digest
from rayner.corpus.exports import EXPORT_FORMATS, export_corpus
from rayner.corpus.reading import require_corpus
from rayner.corpus.tables import TABLE_NAMES
from rayner.errors import ConfigError, TooManySetAsideError
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import chosen
from rayner.fusion.span_rule import SpanRule
from rayner.runs.lock import hold_lock
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, file_sha256, read_json, write_json
from rayner.runs.storage import StoragePath, list_file_names, remove_temporary_files, storage_path
from rayner.steps.tag.actors import PredictionJob, predict_units
from rayner.steps.tag.audit import verify_tagged_corpus
from rayner.steps.tag.plan import find_changed_files, iter_plan_parts, write_plan
from rayner.steps.tag.stages import Gate
from rayner.steps.tag.units import read_unit, row_of, write_unit

_MAX_UNKNOWN_SHARE = 0.05  # share of unknown characters from which a model hardly reads the text
_MAX_FILES_IN_MESSAGE = 5  # files that a message names


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the tagged corpus depends on, its texts apart."""
    return {
        "unit_chars": config.score.unit_chars,
        "score": run.step_digest("score"),  # which holds data, models and index
        "fusion": file_sha256(run.path("fusion.json")),
        "prompt": config_to_dict(config.prompt),
        "gate": config_to_dict(config.gate),
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        **plugin_fingerprints(
            {"slm.family": config.slm.family, "fusion.rules": read_json(run.path("fusion.json"))["chosen"]}
        ),
        "version": rayner.__version__,
    }


def output_folder(config: Config, run: Run) -> StoragePath:
    """Where the tagged corpus goes."""
    return storage_path(config.out) if config.out else run.path("tagged")


def tag_corpus(config: Config, run: Run) -> dict[str, Any]:
    """Tag the corpus; the tables, `run.json` and, if asked for, a char-tab-tag file a document.

    Units that lie there already, made from the same inputs, are not made again. Raises ConfigError where others lie
    there, or another job works there, and BudgetError, when all is written, if too many segments were set aside.
    """
    corpus = require_corpus(config)
    run.step_result("tune_fusion")  # raises where there is no rule yet
    out = output_folder(config, run)
    with storage_and_actor_errors_as_job_error(out), hold_lock(out):
        facts = _tag(config, run, corpus, out)
    counts = facts["counts"]
    share = counts["set_aside"] / max(1, counts["segments"])
    if share > config.tag.max_set_aside:
        raise TooManySetAsideError(
            f"{out}: done, but {counts['set_aside']} of {counts['segments']} segments were set aside "
            f"({share:.2%}; allowed: {config.tag.max_set_aside:.2%}); see the column `error` of segments"
        )
    return facts


def _tag(config: Config, run: Run, corpus: str, out: StoragePath) -> dict[str, Any]:
    # The manifest lies with the tagged corpus: one run tags as many corpora as it likes.
    tagged, wanted = Run(out), inputs(config, run)
    planned = _load_or_write_plan(config, run, corpus, tagged, wanted)
    wanted = {"corpus": planned["digest"], **wanted}

    def work() -> dict[str, Any]:
        fusion = read_json(run.path("fusion.json"))
        _tag_missing_units(config, run, out, fusion, planned)
        for table in (*TABLE_NAMES, "plan", "attempts"):
            remove_temporary_files(out / table)
        counts = {**verify_tagged_corpus(out, planned), "unknown_share": planned["unknown_share"]}
        kept = {key: planned[key] for key in ("unread", "empty")}
        changed = find_changed_files(corpus, out)
        return {"counts": counts, **kept, "changed": changed, "rule": rule_summary(fusion), "inputs": wanted}

    facts = tagged.run_step("tag_corpus", wanted, work)
    if config.tag.evahan:
        tagged.run_step("evahan", wanted, lambda: _export_evahan(out))
    _write_run_json(config, run, out, facts)
    return facts


def _export_evahan(out: StoragePath) -> dict[str, Any]:
    return asdict(export_corpus(out, out / "evahan", EXPORT_FORMATS["evahan"], keep_existing=True))


def _load_or_write_plan(config: Config, run: Run, corpus: str, tagged: Run, wanted: dict[str, Any]) -> dict[str, Any]:
    """The facts of the plan, made now or before. Raises ConfigError where the folder holds another corpus."""
    out = tagged.root

    def work() -> dict[str, Any]:
        from rayner.steps.loading import (
            load_known_characters,
        )  # and with it torch, which the rest of this process does without

        if list_file_names(out / "segments", "", ".parquet"):
            raise ConfigError(f"{out}: holds a tagged corpus without a plan; choose another out=")
        log.info("tag: reads %s", corpus)
        seen = write_plan(corpus, config.score.unit_chars, out)
        share = seen.unknown_share(load_known_characters(config, run))
        return {
            "digest": seen.digest, "documents": seen.documents, "characters": seen.characters, "units": seen.units,
            "unread": seen.unread, "empty": seen.empty, "unknown_share": round(share, 4),
        }  # fmt: skip

    before = tagged.is_done("plan", wanted)
    planned = tagged.run_step("plan", wanted, work)
    changed = find_changed_files(corpus, out) if before else {}
    if changed:
        named = "; ".join(f"{path} {what}" for path, what in list(changed.items())[:_MAX_FILES_IN_MESSAGE])
        raise ConfigError(
            f"{out}: holds another corpus than {corpus} ({len(changed)} files differ: {named}): "
            "take another out=, or start over beside it with --fresh"
        )
    if planned["unknown_share"] > _MAX_UNKNOWN_SHARE:
        log.info(
            "tag: the small model does not know %.1f%% of the corpus' characters; was it trained on text in the "
            "same script (traditional, simplified)?", 100 * planned["unknown_share"],
        )  # fmt: skip
    return planned


def _tag_missing_units(
    config: Config, run: Run, out: StoragePath, fusion: dict[str, Any], planned: dict[str, Any]
) -> None:
    """Run what is not done yet through the stages."""
    done = {name.removesuffix(".parquet") for name in list_file_names(out / "segments", "unit-", ".parquet")}
    ahead = sum(unit.n_chars for part in iter_plan_parts(out) for unit in part if unit.name not in done)
    if done:
        log.info("tag: %d of %d units are there already", len(done), planned["units"])
    progress = Progress("tag", ahead, "characters")
    read = partial(read_unit, out=out)
    write = partial(write_unit, out=out, rule=chosen(fusion), calibration_weights=fusion["calibration"])
    work = PredictionJob(config, run, build_gate(config, fusion), out / "attempts", read, write)
    # A part at a time, so that neither Ray nor this process ever knows of more.
    for part in iter_plan_parts(out):
        todo = [row_of(unit) for unit in part if unit.name not in done]
        for row in predict_units(todo, work):
            progress.advance(int(row["characters"]))


def build_gate(config: Config, fusion: dict[str, Any]) -> Gate:
    """The configured gate under the tuned rule."""
    return Gate(chosen(fusion), Budget(**fusion["budget"]), **config_to_dict(config.gate))


def rule_summary(fusion: dict[str, Any]) -> dict[str, Any]:
    """The rule that decides, as a manifest tells it: a learned one by its weights, without its lexicon."""
    rule = chosen(fusion)
    if isinstance(rule, SpanRule):
        return {"kind": "spans", "weights": rule.named_weights}
    return {"kind": fusion["chosen"], **asdict(rule)}


def _write_run_json(config: Config, run: Run, out: StoragePath, facts: dict[str, Any]) -> None:
    settings = config_to_dict(config)
    write_json(
        out / "run.json",
        {
            "config": settings,
            "config_digest": json_digest(settings),
            "version": rayner.__version__,
            "inputs": facts["inputs"],
            "models": {step: run.step_result(step)["digest"] for step in ("train_slm", "build_index", "train_llm")},
            "rule": facts["rule"],
            "basis": config.llm.probability,
            "counts": facts["counts"],
            **{key: facts[key] for key in ("unread", "empty", "changed")},
            "seconds": facts["seconds"],
        },
    )
