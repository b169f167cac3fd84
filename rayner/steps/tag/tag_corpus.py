"""Tagging of a corpus: units of work stream through both models, the fusion and into the canonical tables.

Its texts are read and kept first (`plan`); then units are tagged, each committed by a rename, in any order and number
at a time; then all of it is proved whole (`audit`). Whatever interrupts this, the same call goes on with the units that
are not there yet, and ends with the same files.
"""

from dataclasses import asdict
from functools import partial
from typing import Any

import rayner
from rayner.cluster.failures import plainly
from rayner.config.plugins import code
from rayner.config.settings import Config, digest, resolved
from rayner.corpus.exports import FORMATS, export
from rayner.corpus.reading import corpus_of
from rayner.corpus.tables import TABLES
from rayner.errors import BudgetError, ConfigError
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import chosen
from rayner.fusion.span_rule import SpanRule
from rayner.runs.lock import locked
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run, file_digest, read_json, write_json
from rayner.runs.storage import Place, names_in, place, sweep
from rayner.steps.tag.actors import Work, scored
from rayner.steps.tag.audit import verify
from rayner.steps.tag.plan import differences, read_plan, write_plan
from rayner.steps.tag.stages import Gate
from rayner.steps.tag.units import read_unit, row_of, write_unit

_FOREIGN = 0.05  # share of unknown characters from which a model hardly reads the text
_NAMED = 5  # files that a message names


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the tagged corpus depends on, its texts apart."""
    return {
        "unit_chars": config.score.unit_chars,
        "score": run.digest("score"),  # which holds data, models and index
        "fusion": file_digest(run.path("fusion.json")),
        "prompt": resolved(config.prompt),
        "gate": resolved(config.gate),
        "engine": config.engine,
        "slm_dtype": config.slm.dtype,
        **code({"slm.family": config.slm.family, "fusion.rules": read_json(run.path("fusion.json"))["chosen"]}),
        "version": rayner.__version__,
    }


def out_folder(config: Config, run: Run) -> Place:
    """Where the tagged corpus goes."""
    return place(config.out) if config.out else run.path("tagged")


def tag_corpus(config: Config, run: Run) -> dict[str, Any]:
    """Tag the corpus; the tables, `run.json` and, if asked for, a char-tab-tag file a document.

    Units that lie there already, made from the same inputs, are not made again. Raises ConfigError where others lie
    there, or another job works there, and BudgetError, when all is written, if too many segments were set aside.
    """
    corpus = corpus_of(config)
    run.facts("tune_fusion")  # raises where there is no rule yet
    out = out_folder(config, run)
    with plainly(out), locked(out):
        facts = _tag(config, run, corpus, out)
    counts = facts["counts"]
    share = counts["set_aside"] / max(1, counts["segments"])
    if share > config.tag.max_set_aside:
        raise BudgetError(
            f"{out}: done, but {counts['set_aside']} of {counts['segments']} segments were set aside "
            f"({share:.2%}; allowed: {config.tag.max_set_aside:.2%}); see the column `error` of segments"
        )
    return facts


def _tag(config: Config, run: Run, corpus: str, out: Place) -> dict[str, Any]:
    # The manifest lies with the tagged corpus: one run tags as many corpora as it likes.
    tagged, wanted = Run(out), inputs(config, run)
    planned = _planned(config, run, corpus, tagged, wanted)
    wanted = {"corpus": planned["digest"], **wanted}

    def work() -> dict[str, Any]:
        fusion = read_json(run.path("fusion.json"))
        _stream(config, run, out, fusion, planned)
        for table in (*TABLES, "plan", "attempts"):
            sweep(out / table)
        counts = {**verify(out, planned), "unknown_share": planned["unknown_share"]}
        kept = {key: planned[key] for key in ("unread", "empty")}
        changed = differences(corpus, out)
        return {"counts": counts, **kept, "changed": changed, "rule": told(fusion), "inputs": wanted}

    facts = tagged.once("tag_corpus", wanted, work)
    if config.tag.evahan:
        tagged.once("evahan", wanted, lambda: _export(out))
    _write_run_json(config, run, out, facts)
    return facts


def _export(out: Place) -> dict[str, Any]:
    return asdict(export(out, out / "evahan", FORMATS["evahan"], keep=True))


def _planned(config: Config, run: Run, corpus: str, tagged: Run, wanted: dict[str, Any]) -> dict[str, Any]:
    """The facts of the plan, made now or before. Raises ConfigError where the folder holds another corpus."""
    out = tagged.root

    def work() -> dict[str, Any]:
        from rayner.steps.loading import knows  # and with it torch, which the rest of this process does without

        if names_in(out / "segments", "", ".parquet"):
            raise ConfigError(f"{out}: holds a tagged corpus without a plan; choose another out=")
        log.info("tag: reads %s", corpus)
        seen = write_plan(corpus, config.score.unit_chars, out)
        share = seen.unknown_share(knows(config, run))
        return {
            "digest": seen.digest, "documents": seen.documents, "characters": seen.characters, "units": seen.units,
            "unread": seen.unread, "empty": seen.empty, "unknown_share": round(share, 4),
        }  # fmt: skip

    before = tagged.is_done("plan", wanted)
    planned = tagged.once("plan", wanted, work)
    changed = differences(corpus, out) if before else {}
    if changed:
        named = "; ".join(f"{path} {what}" for path, what in list(changed.items())[:_NAMED])
        raise ConfigError(
            f"{out}: holds another corpus than {corpus} ({len(changed)} files differ: {named}): "
            "take another out=, or start over beside it with --fresh"
        )
    if planned["unknown_share"] > _FOREIGN:
        log.info(
            "tag: the small model does not know %.1f%% of the corpus' characters; was it trained on text in the "
            "same script (traditional, simplified)?", 100 * planned["unknown_share"],
        )  # fmt: skip
    return planned


def _stream(config: Config, run: Run, out: Place, fusion: dict[str, Any], planned: dict[str, Any]) -> None:
    """Run what is not done yet through the stages."""
    done = {name.removesuffix(".parquet") for name in names_in(out / "segments", "unit-", ".parquet")}
    ahead = sum(unit.characters for part in read_plan(out) for unit in part if unit.name not in done)
    if done:
        log.info("tag: %d of %d units are there already", len(done), planned["units"])
    progress = Progress("tag", ahead, "characters")
    read = partial(read_unit, out=out)
    write = partial(write_unit, out=out, rule=chosen(fusion), fitted=fusion["calibration"])
    work = Work(config, run, gate_of(config, fusion), out / "attempts", read, write)
    # A part at a time, so that neither Ray nor this process ever knows of more.
    for part in read_plan(out):
        todo = [row_of(unit) for unit in part if unit.name not in done]
        for row in scored(todo, work):
            progress.add(int(row["characters"]))


def gate_of(config: Config, fusion: dict[str, Any]) -> Gate:
    """The configured gate under the tuned rule."""
    return Gate(chosen(fusion), Budget(**fusion["budget"]), **resolved(config.gate))


def told(fusion: dict[str, Any]) -> dict[str, Any]:
    """The rule that decides, as a manifest tells it: a learned one by its weights, without its lexicon."""
    rule = chosen(fusion)
    if isinstance(rule, SpanRule):
        return {"kind": "spans", "weights": rule.named}
    return {"kind": fusion["chosen"], **asdict(rule)}


def _write_run_json(config: Config, run: Run, out: Place, facts: dict[str, Any]) -> None:
    settings = resolved(config)
    write_json(
        out / "run.json",
        {
            "config": settings,
            "config_digest": digest(settings),
            "version": rayner.__version__,
            "inputs": facts["inputs"],
            "models": {step: run.facts(step)["digest"] for step in ("train_slm", "build_index", "train_llm")},
            "rule": facts["rule"],
            "basis": config.llm.probability,
            "counts": facts["counts"],
            **{key: facts[key] for key in ("unread", "empty", "changed")},
            "seconds": facts["seconds"],
        },
    )
