"""The main job: labelled text and a corpus in, the tagged corpus and a report out. Steps that are done are skipped."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import rayner
from rayner.cluster.memory import PeakMemoryMonitor
from rayner.config.settings import Config, config_to_dict
from rayner.errors import TooManySetAsideError
from rayner.evaluation.evaluate import format_score_table
from rayner.report.run_report import evaluate_and_write_report
from rayner.runs.progress import log, record_step_start
from rayner.runs.run_folder import Run, write_json
from rayner.runs.status import format_duration
from rayner.steps import data
from rayner.steps.build_index import build_index
from rayner.steps.score import score_held_out
from rayner.steps.tag.tag_corpus import output_folder, tag_corpus
from rayner.steps.training.cross_fit import cross_fit
from rayner.steps.training.train_llm import train_llm
from rayner.steps.training.train_slm import train_slm
from rayner.steps.tune_fusion import tune_fusion

Step = Callable[[Config, Run], dict[str, Any]]
STEPS: dict[str, Step] = {
    "data": data.prepare_data,
    "train_slm": train_slm,
    "build_index": build_index,
    "train_llm": train_llm,
    "score": score_held_out,
    "cross_fit": cross_fit,
    "tune_fusion": tune_fusion,
}


def run_pipeline(config: Config, run: Run) -> dict[str, Any]:
    """All steps in order; the corpus is tagged if there is one.

    Raises BudgetError, when everything is written, if too many segments were set aside.
    """
    begun, facts = time.time(), dict[str, dict[str, Any]]()
    over_budget: TooManySetAsideError | None = None
    with PeakMemoryMonitor() as memory:
        steps = dict(STEPS, tag_corpus=tag_corpus) if config.corpus else dict(STEPS)
        if not config.split.folds:
            del steps["cross_fit"]
        for i, (name, step) in enumerate(steps.items()):
            log.info("step %d/%d: %s", i + 1, len(steps), name)
            record_step_start(i + 1, len(steps), name)
            try:
                facts[name] = step(config, run)
            except TooManySetAsideError as error:
                over_budget, facts[name] = error, Run(output_folder(config, run)).step_result(name)
    about = _about(config, facts, time.time() - begun, memory.peak)
    evaluation = evaluate_and_write_report(
        run,
        title=" → ".join(filter(None, [", ".join(config.train), config.corpus])),
        run_facts=about,
        tagged=output_folder(config, run) if config.corpus else None,
        seed=config.seed,
    )
    write_json(run.path("pipeline.json"), about)
    if evaluation:
        log.info("test scores:\n%s", format_score_table(evaluation))
    log.info(
        "done in %s, at most %.0f MiB of memory: %s",
        format_duration(time.time() - begun),
        memory.peak,
        run.path("report.html"),
    )
    if over_budget:
        raise over_budget
    return about


def _about(config: Config, facts: dict[str, dict[str, Any]], seconds: float, peak: float) -> dict[str, Any]:
    """What the report tells of the run."""
    found = facts["data"]
    timings = {name: round(fact["seconds"], 1) for name, fact in facts.items()}
    tagged = facts.get("tag_corpus", {})
    return {
        "inputs": {"train": config.train, "corpus": config.corpus, "run": config.run, "seed": config.seed},
        "counts": {"labelled": found["parts"], "labelled_characters": found["characters"], **tagged.get("counts", {})},
        "faults": found["faults"],
        "timings": {**timings, "this_call": round(seconds, 1), "peak_memory_mib": round(peak)},
        "versions": {
            "rayner": rayner.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("ray", "torch", "transformers", "peft", "deepspeed", "faiss-cpu")},
        },
        **{key: tagged[key] for key in ("unread", "empty", "changed") if tagged.get(key)},
        "models": {name: facts[name] for name in ("train_slm", "train_llm", "tune_fusion")},
        "config": config_to_dict(config),
    }
