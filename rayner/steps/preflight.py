"""Check, before a job starts, that inputs can be read, models exist, and the machine or cluster is large enough.

The functions `check_and_describe_*` return the lines that `--dry-run` prints. Every check raises an error for the
first problem.
"""

import importlib.util
import os
from itertools import islice

import ray

from rayner.config.settings import Config
from rayner.corpus.ignored_files import describe_ignored_files
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.reading import require_corpus
from rayner.corpus.text_listing import list_text_files
from rayner.errors import ConfigError
from rayner.runs.run_folder import Run
from rayner.steps.checkpoint_checks import check_and_describe_checkpoints
from rayner.steps.data import require_labelled_files
from rayner.steps.faiss_packages import check_index_device
from rayner.steps.fusion_rules import load_custom_rules
from rayner.steps.loading import load_tagger_family
from rayner.steps.tag.plan import survey_corpus

_MAX_LEFT_OUT = 100  # files that cannot be read, each with a line of its own


def check_and_describe_training(config: Config, run: Run) -> list[str]:
    """Check what the training steps need: labelled files, plugins, texts, models and resources.

    Raises ConfigError or DataError for the first problem.
    """
    lines = []
    for path in require_labelled_files(config):
        labelled = read_labelled_file(path, layout=config.layout)
        faults = ", ".join(f"{count} {name}" for name, count in labelled.faults.items() if count) or "none"
        lines.append(
            f"{path}: {len(labelled.text):,} characters, {len(labelled.spans):,} entities; irregularities: {faults}"
        )
    load_tagger_family(config)  # an unknown plugin raises an error
    load_custom_rules(config.fusion.rules)
    for text in (config.slm.crf.unlabelled, config.llm.pseudo_labels.text):
        if text:
            next(list_text_files(text))  # a path without text files raises an error
    lines += check_and_describe_checkpoints(config)
    check_engine_is_installed(config)
    check_index_device(config)
    lines += check_and_describe_resources(config)
    return [*lines, f"run folder: {run.root}"]


def check_scores_and_describe_run(config: Config, run: Run) -> list[str]:
    """Check that the step `score` is done, because fusion is tuned on its predictions."""
    run.step_result("score")
    return [f"run folder: {run.root}"]


def check_and_describe_tagging(config: Config, run: Run) -> list[str]:
    """Check the corpus, and that fusion has been tuned."""
    run.step_result("tune_fusion")
    check_engine_is_installed(config)
    check_index_device(config)
    return [*check_and_describe_corpus(config), *check_and_describe_resources(config), f"run folder: {run.root}"]


def check_and_describe_pipeline(config: Config, run: Run) -> list[str]:
    """Check what the main job needs: labelled files, models, and the corpus if one is given."""
    return [
        *check_and_describe_training(config, run),
        *(check_and_describe_corpus(config) if config.corpus else ["corpus: none, nothing to tag"]),
    ]


def check_and_describe_corpus(config: Config) -> list[str]:
    """Check that the corpus can be read. Raises DataError if none of its files can be read."""
    survey = survey_corpus(require_corpus(config.corpus), config.score.unit_chars, config.tag.max_segment_chars)
    line = f"{config.corpus}: {survey.documents:,} documents, {survey.characters:,} characters, {survey.units:,} units"
    lines = [line, *(f"left out: {error}" for error in islice(survey.unread.values(), _MAX_LEFT_OUT))]
    if len(survey.unread) > _MAX_LEFT_OUT:
        lines.append(f"left out: {len(survey.unread) - _MAX_LEFT_OUT:,} more; run.json of the tagged corpus lists all")
    if survey.ignored.groups:
        lines.append(f"ignored: {describe_ignored_files(survey.ignored.groups)}")
    return lines


def check_engine_is_installed(config: Config) -> None:
    """Check that the engine that runs the LLM is installed. Raises ConfigError if it is not."""
    if config.llm.engine == "vllm" and importlib.util.find_spec("vllm") is None:
        raise ConfigError(
            "llm.engine: expected vllm to be installed (pip install 'rayner[vllm]'), found no such package"
        )


def check_and_describe_resources(config: Config) -> list[str]:
    """Check that this machine, or the connected cluster, has enough CPUs and GPUs for each stage.

    Raises ConfigError if it has not.
    """
    available: dict[str, float] = _cluster_or_local_resources()
    owner = "the cluster" if ray.is_initialized() else "this machine"
    needed: dict[str, tuple[float, float]] = {
        f"{name}.workers": (workers.count * workers.cpus, workers.count * workers.gpus)
        for name, workers in (("slm", config.slm.workers), ("llm", config.llm.workers))
    }
    needed["score"] = (config.score.actors * config.score.cpus, config.score.actors * config.score.gpus)
    for key, (cpus, gpus) in needed.items():
        if cpus > available.get("CPU", 0):
            raise _too_few_error(key, "CPUs", available.get("CPU", 0), cpus, owner)
        # The number of GPUs is known only while Ray runs.
        if ray.is_initialized() and gpus > available.get("GPU", 0):
            raise _too_few_error(key, "GPUs", available.get("GPU", 0), gpus, owner)
    return [f"{owner}: {available.get('CPU', 0):g} CPUs, {available.get('GPU', 0):g} GPUs"]


def _too_few_error(key: str, unit: str, available: float, needed: float, owner: str) -> ConfigError:
    return ConfigError(
        f"{key}: expected at most the {available:g} {unit} of {owner}, found settings for {needed:g}; "
        "lower this setting or add nodes"
    )


def _cluster_or_local_resources() -> dict[str, float]:
    if ray.is_initialized():
        return dict(ray.cluster_resources())
    return {"CPU": float(os.cpu_count() or 1)}
