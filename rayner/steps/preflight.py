"""What can be known before a job starts: inputs that read, models that exist, resources that suffice."""

import importlib.util
import os
from pathlib import Path

import ray

from rayner.config.plugins import is_plugin_name
from rayner.config.settings import Config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.reading import require_corpus
from rayner.corpus.text_files import list_text_files
from rayner.errors import ConfigError
from rayner.fusion import custom_rule
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps.data import require_labelled_files
from rayner.steps.loading import load_tagger_family
from rayner.steps.tag.plan import survey_corpus


def check_training(config: Config, run: Run) -> list[str]:
    """Labelled files and models. Raises ConfigError or DataError for the first thing that is wrong."""
    lines = []
    for path in require_labelled_files(config):
        labelled = read_labelled_file(path, layout=config.layout)
        met = ", ".join(f"{count} {name}" for name, count in labelled.faults.items() if count) or "none"
        lines.append(
            f"{path}: {len(labelled.text):,} characters, {len(labelled.spans):,} entities; oddities met: {met}"
        )
    load_tagger_family(config)
    for name in filter(is_plugin_name, config.fusion.rules):
        custom_rule.code(name)
    for text in (config.slm.crf.unlabelled, config.llm.silver.text):
        if text:
            next(list_text_files(text))
    for key, model in pretrained_models(config).items():
        check_pretrained_model(key, local_model_name(model))
    check_engine(config)
    lines += check_resources(config)
    return [*lines, f"run folder: {run.root}"]


def check_scores(config: Config, run: Run) -> list[str]:
    """Whether the scores that fusion is tuned on are there."""
    run.step_result("score")
    return [f"run folder: {run.root}"]


def check_tagging(config: Config, run: Run) -> list[str]:
    """Corpus, and the steps that must be done before."""
    run.step_result("tune_fusion")
    check_engine(config)
    return [*check_corpus(config), *check_resources(config), f"run folder: {run.root}"]


def check_pipeline(config: Config, run: Run) -> list[str]:
    """Everything."""
    return [
        *check_training(config, run),
        *(check_corpus(config) if config.corpus else ["corpus: none, nothing to tag"]),
    ]


def check_corpus(config: Config) -> list[str]:
    """The corpus reads. Raises DataError if nothing of it does."""
    found = survey_corpus(require_corpus(config), config.score.unit_chars)
    line = f"{config.corpus}: {found.documents:,} documents, {found.characters:,} characters, {found.units:,} units"
    return [line, *(f"left out: {why}" for why in found.unread.values())]


def pretrained_models(config: Config) -> dict[str, str]:
    """By key, the checkpoint folders and hub names in the settings: what is not made here."""
    named = {"slm.model": config.slm.model, "llm.model": config.llm.model, "index.encoder": config.index.encoder}
    return {key: model for key, model in named.items() if model not in ("scratch", "slm", "ngrams")}


def check_pretrained_model(key: str, model: str) -> None:
    """A checkpoint folder or hub name has a configuration. Raises ConfigError, naming the key."""
    from transformers import AutoConfig

    from rayner.modeling.checkpoint import safe_load_options

    try:
        AutoConfig.from_pretrained(model, trust_remote_code=safe_load_options(model)["trust_remote_code"])
    except (OSError, ValueError) as error:
        what = "folder" if Path(model).exists() else "folder or hub name"
        why = " ".join(str(error).split())
        raise ConfigError(f"{key}: expected the {what} of a checkpoint, found {model!r}: {why}") from error


def check_engine(config: Config) -> None:
    """The engine is installed. Raises ConfigError if not."""
    if config.engine == "vllm" and importlib.util.find_spec("vllm") is None:
        raise ConfigError("engine: expected vllm to be installed (pip install 'rayner[vllm]'), found no such package")


def check_resources(config: Config) -> list[str]:
    """Enough CPUs and GPUs for each stage, here or in the cluster that is connected. Raises ConfigError if not."""
    have: dict[str, float] = _resources()
    where = "the cluster" if ray.is_initialized() else "this machine"
    wants: dict[str, tuple[float, float]] = {
        f"{name}.workers": (workers.count * workers.cpus, workers.count * workers.gpus)
        for name, workers in (("slm", config.slm.workers), ("llm", config.llm.workers))
    }
    wants["score"] = (config.score.actors * config.score.cpus, config.score.actors * config.score.gpus)
    for key, (cpus, gpus) in wants.items():
        if cpus > have.get("CPU", 0):
            raise ConfigError(f"{key}: asks for {cpus:g} CPUs, {where} has {have.get('CPU', 0):g}")
        if ray.is_initialized() and gpus > have.get("GPU", 0):
            raise ConfigError(f"{key}: asks for {gpus:g} GPUs, {where} has {have.get('GPU', 0):g}")
    return [f"{where}: {have.get('CPU', 0):g} CPUs, {have.get('GPU', 0):g} GPUs"]


def _resources() -> dict[str, float]:
    if ray.is_initialized():
        return dict(ray.cluster_resources())
    return {"CPU": float(os.cpu_count() or 1)}
