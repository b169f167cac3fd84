"""Compare a run folder and a tagged folder with the settings, before a job starts. Nothing is written.

The modules of the steps import Ray and torch, so each is imported only if its step is done.
"""

import importlib
from typing import Any

from rayner.config.conditions import has_llm, llm_learns_from_hints
from rayner.config.settings import Config
from rayner.errors import DamagedFileError
from rayner.runs.run_folder import Run
from rayner.steps.output_folders import output_folder
from rayner.steps.tag.plan import PlanSummary, require_same_corpus

_LLM_STEPS = ("build_index", "train_llm")
_MODULES = {
    "data": "rayner.steps.data",
    "train_slm": "rayner.steps.training.train_slm",
    "cross_fit_slm": "rayner.steps.training.cross_fit_slm",
    "build_index": "rayner.steps.build_index",
    "train_llm": "rayner.steps.training.train_llm",
    "score": "rayner.steps.score",
    "cross_fit": "rayner.steps.training.cross_fit",
    "tune_fusion": "rayner.steps.tune_fusion",
}
TAGGING_STEP = "tag_corpus"


def list_run_steps(config: Config) -> list[str]:
    """Return the names of the steps that the settings require before tagging, in order."""
    left_out = set() if has_llm(config) else {*_LLM_STEPS}
    left_out |= set() if config.split.folds else {"cross_fit"}
    left_out |= set() if llm_learns_from_hints(config) else {"cross_fit_slm"}
    return [name for name in _MODULES if name not in left_out]


def check_and_list_remaining_steps(config: Config, run: Run) -> list[str]:
    """Return the steps before tagging that are not done yet, in order: the first such step and all after it.

    Raises ConfigError, which lists the differences, if a step before them was done from other inputs.
    """
    names = list_run_steps(config)
    for i, name in enumerate(names):
        if not run.has_step(name):
            return names[i:]
        run.is_done_with_same_inputs(name, _collect_inputs(name, config, run))
    return []


def _collect_inputs(name: str, config: Config, run: Run) -> dict[str, Any]:
    module = importlib.import_module(_MODULES[name])
    inputs: dict[str, Any] = (
        module.collect_manifest_inputs(config) if name == "data" else module.collect_manifest_inputs(config, run)
    )
    return inputs


def check_and_describe_tagged_folder(config: Config, run: Run, corpus: str, corpus_digest: str) -> tuple[str, bool]:
    """Say what tagging finds in its output folder, and whether all of it is done.

    Args:
        config: The settings.
        run: The run. Its fusion is tuned.
        corpus: The corpus.
        corpus_digest: The digest of its texts (`CorpusSurvey.digest`).

    Raises:
        ConfigError: The folder holds another corpus, or tags of other models or settings.

    """
    tagged = Run(output_folder(config, run))
    if not tagged.has_step("plan"):
        return f"tagged corpus: {tagged.root}, new", False
    from rayner.steps.tag.tag_corpus import collect_manifest_inputs, collect_score_inputs

    try:
        tagged.is_done_with_same_inputs("plan", collect_score_inputs(config, run))
        plan = PlanSummary.from_json(tagged.step_result("plan"), str(tagged.root))
        if plan.digest != corpus_digest:
            require_same_corpus(corpus, tagged.root, plan)
        inputs = {"corpus": plan.digest, **collect_manifest_inputs(config, run)}
        differences = tagged.describe_other_inputs(TAGGING_STEP, inputs)
    except DamagedFileError as error:
        return f"tagged corpus: {tagged.root}, repaired, because of {error}", False
    if differences:
        return f"tagged corpus: {tagged.root}, fused again, because {differences}", False
    is_done = tagged.has_step(TAGGING_STEP)
    return f"tagged corpus: {tagged.root}, {'done' if is_done else 'resumed'}", is_done
