"""The main job: train the models on labelled files, tune their fusion, tag the corpus, and write a report.

STEPS lists the steps in order. A step that is done is skipped, so the same command resumes an interrupted job.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import rayner
from rayner.cluster.interrupts import raise_if_interrupted
from rayner.config.conditions import has_llm
from rayner.config.settings import SENTENCE, Config, config_to_dict
from rayner.corpus.novelty import compare_with_training
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.run_record import CorpusCounts, read_run_record
from rayner.corpus.scripts.recognition import ScriptComparison
from rayner.errors import TooManySetAsideError
from rayner.fusion.artifact import TunedFusion
from rayner.report.closing_lines import describe_left_out, describe_scores
from rayner.report.run_facts import PartCounts, RunFacts
from rayner.report.run_report import evaluate_and_write_report
from rayner.report.score_sentences import list_score_warnings
from rayner.runs.json_files import write_json
from rayner.runs.memory import PeakMemoryMonitor
from rayner.runs.progress import log, record_step_start
from rayner.runs.run_folder import Run
from rayner.runs.status import format_duration
from rayner.runs.storage import list_folder
from rayner.steps.data import read_and_split_labelled_files, read_part
from rayner.steps.faiss_packages import list_faiss_packages
from rayner.steps.forecast.pace import count_chars_by_step, make_pace, record_pace
from rayner.steps.forecast.remaining_steps import TAGGING_STEP, list_run_steps
from rayner.steps.fusion_rules import load_rules, read_tuned_fusion
from rayner.steps.output_folders import output_folder
from rayner.steps.score import HELD_OUT_PARTS, find_silent_models, predict_held_out_sentences
from rayner.steps.scripts import load_script_converter
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.tag.tagging_rule import choose_tagging_rule
from rayner.steps.training.cross_fit import cross_fit
from rayner.steps.training.cross_fit_slm import cross_fit_slm
from rayner.steps.training.train_slm import train_slm
from rayner.steps.tune_fusion import tune_fusion
from rayner.text.json_records import record_from_json

Step = Callable[[Config, Run], dict[str, Any]]


def _build_index(config: Config, run: Run) -> dict[str, Any]:
    from rayner.steps.build_index import build_index  # without an LLM, its code is not needed

    return build_index(config, run)


def _train_llm(config: Config, run: Run) -> dict[str, Any]:
    from rayner.steps.training.train_llm import train_llm

    return train_llm(config, run)


STEPS: dict[str, Step] = {
    "data": read_and_split_labelled_files,  # labelled files -> sentences, split into train, dev and test
    "train_slm": train_slm,  # train sentences -> the small model
    "cross_fit_slm": cross_fit_slm,  # train sentences -> what small models that did not see them predict (for llm.hint)
    "build_index": _build_index,  # train sentences -> index of their vectors, to find similar ones
    "train_llm": _train_llm,  # train sentences, with similar ones as examples -> the large model
    "score": predict_held_out_sentences,  # dev and test sentences -> the answers of the models
    "cross_fit": cross_fit,  # train sentences -> the answers of models that did not see them (only with split.folds)
    "tune_fusion": tune_fusion,  # the models' answers -> the rule that decides
}


def run_pipeline(config: Config, run: Run) -> dict[str, Any]:
    """Run all steps in order, tag the corpus if one is given, and write the report.

    Returns the facts about the run that the report shows, as JSON values. Raises TooManySetAsideError, after
    everything is written, if too many segments failed and were set aside.
    """
    started, is_new = time.time(), _is_new(config, run)
    with PeakMemoryMonitor() as memory:
        results, set_aside_error = run_steps(config, run)
    fusion = read_tuned_fusion(run)
    rules = load_rules(fusion)
    run_facts = _collect_run_facts(config, fusion, results, time.time() - started, memory.peak)
    if config.corpus.path:
        novelty = compare_with_training(
            output_folder(config, run),
            (sentence.text for sentence in read_part(run, "train")),
            rules.spans.lexicon.type_counts,
            (sentence.text for sentence in read_part(run, "test")),
            load_script_converter(config, run),
        )
        run_facts = replace(run_facts, novelty=novelty)
    evaluation = evaluate_and_write_report(
        run,
        fusion,
        rules,
        load_rules(fusion.control) if fusion.control else None,
        title=_make_title(config),
        run_facts=run_facts,
        tagged=output_folder(config, run) if config.corpus.path else None,
    )
    write_json(run.path("pipeline.json"), run_facts.to_json())
    if is_new:
        _record_pace(config, results, time.time() - started)
    peak = f", at most {memory.peak:.0f} MiB of memory" if memory.peak else ""
    log.info("done in %s%s", format_duration(time.time() - started), peak)
    for warning in run_facts.warnings():
        log.warning("WARNING: %s", warning)
    log.info("%s", describe_scores(evaluation))
    for warning in list_score_warnings(evaluation, run_facts.new_names):
        log.warning("WARNING: %s", warning)
    log.info("report: %s", run.path("report.html"))
    n_set_aside = sum(results["score"][part]["set_aside"] for part in HELD_OUT_PARTS)
    out = output_folder(config, run)
    record = read_run_record(out) if config.corpus.path else None
    log.info("%s", describe_left_out(record, n_set_aside, str(out)))
    if set_aside_error:
        raise set_aside_error
    return run_facts.to_json()


def _make_title(config: Config) -> str:
    """Name the labelled files and the corpus, without the folders in which they lie."""
    names = [path.rstrip("/").rpartition("/")[2] for path in (*config.train, config.corpus.path or "")]
    return " → ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _is_new(config: Config, run: Run) -> bool:
    """Return whether nothing is there from an earlier call, so that the steps show how long they take."""
    return not any(list_folder(run.path(name)) for name in ("steps", "train")) and not list_folder(
        output_folder(config, run) / "steps"
    )


def _record_pace(config: Config, results: dict[str, dict[str, Any]], total_seconds: float) -> None:
    parts = {name: counts["characters"] for name, counts in results["data"]["parts"].items()}
    tagged = results.get(TAGGING_STEP)
    n_chars = count_chars_by_step(parts, tagged["counts"]["characters"] if tagged else 0, results)
    record_pace(make_pace(config, {name: each["seconds"] for name, each in results.items()}, n_chars, total_seconds))


def run_steps(config: Config, run: Run) -> tuple[dict[str, dict[str, Any]], TooManySetAsideError | None]:
    """Run the steps that the settings require, in order, and return their results by the step's name.

    If tagging sets too many segments aside, its tables are still complete. Therefore this error is returned with the
    results, not raised.
    """
    steps = {name: STEPS[name] for name in list_run_steps(config)}
    if config.corpus.path:
        steps[TAGGING_STEP] = tag_corpus
    results: dict[str, dict[str, Any]] = {}
    set_aside_error: TooManySetAsideError | None = None
    for i, (name, step) in enumerate(steps.items(), 1):
        raise_if_interrupted()
        log.info("step %d/%d: %s", i, len(steps), name)
        record_step_start(i, len(steps), name)
        try:
            results[name] = step(config, run)
        except TooManySetAsideError as error:
            set_aside_error, results[name] = error, Run(output_folder(config, run)).step_result(name)
    return results, set_aside_error


def _collect_run_facts(
    config: Config, fusion: TunedFusion, results: dict[str, dict[str, Any]], seconds: float, peak_mib: float
) -> RunFacts:
    """Collect the facts about the run for the report: inputs, counts, timings, versions, models, settings."""
    labelled = results["data"]
    timings = {name: round(result["seconds"], 1) for name, result in results.items()}
    tagged = results.get("tag_corpus", {})
    counts = CorpusCounts(**tagged["counts"]) if tagged else None
    silent_models = {part: find_silent_models(results["score"][part]) for part in HELD_OUT_PARTS}
    if counts:
        silent_models["corpus"] = counts.find_silent_models()
    packages = ("ray", "torch", "transformers", *(("peft", "deepspeed") if has_llm(config) else ()))
    tagging = choose_tagging_rule(config, fusion)
    return RunFacts(
        seed=config.seed,
        split=config.split,
        slm=config.slm,
        index=config.index,
        llm=config.llm,
        settings=config_to_dict(config),
        asks_llm=tagging.asks_llm,
        llm_use=tagging.reason,
        inputs={"train": config.train, "corpus": config.corpus.path, "run": config.run, "seed": config.seed},
        labelled={name: PartCounts(**counts) for name, counts in labelled["parts"].items()},
        labelled_characters=labelled["characters"],
        held_out_by=labelled.get("held_out_by", SENTENCE),  # older runs held out single sentences
        faults=labelled["faults"],
        timings={**timings, "this_call": round(seconds, 1), "peak_memory_mib": round(peak_mib)},
        versions={
            "rayner": rayner.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
            **list_faiss_packages(),
        },
        models={name: results[name] for name in ("train_slm", "train_llm", "tune_fusion") if name in results},
        tagged=counts,
        corpus_problems={key: tagged[key] for key in ("unread", "ignored", "empty", "changed") if tagged.get(key)},
        markup=record_from_json(MarkupFiles, tagged.get("markup", {})),
        scripts=record_from_json(ScriptComparison, tagged.get("scripts", {})),
        free_answers={
            part: results["score"][part]["free_answers"]
            for part in HELD_OUT_PARTS
            if "free_answers" in results["score"][part]
        },
        silent_models=silent_models,
    )
