"""Load a trained run, to tag texts in this process."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace

from rayner.config.loading import load_config
from rayner.config.settings import DEVICES, Config
from rayner.errors import ConfigError
from rayner.runs.run_folder import SETTINGS_FILE, Run
from rayner.runs.storage import storage_path
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.scripts import load_script_converter
from rayner.steps.tag.stages import load_stages
from rayner.steps.tag.tagging_rule import choose_tagging_rule
from rayner.tagging.tagger import FusionTagger
from rayner.tagging.trained_run import require_trained_run
from rayner.text.messages import shorten_repr

WITHOUT_LLM = "fusion.llm=never"


def load(run: str | os.PathLike[str], *, llm: bool = True, device: str | None = None) -> FusionTagger:
    """Load the models and the fusion rule of a trained run, to tag texts in this process.

    The run's own settings apply (`settings.yaml` in the run folder). So the LLM is asked if the tagging job asks it:
    if the run has one, and its worth on held-out sentences is beyond chance or `fusion.llm` is `always`. Without the
    LLM, the LLM-free control decides.

    Args:
        run: The run folder, or its URL.
        llm: Whether the LLM may be asked. If False, it is not loaded.
        device: `cpu`, `cuda` or `auto`; None for the device in the run's settings.

    Raises:
        ConfigError: The folder is not a trained run, or a setting does not fit this machine.
        DataError: A file of the run is damaged.
        NotFiniteError: A weight of a model or of the rule is NaN or infinite.

    """
    if device not in (None, *DEVICES):
        raise ConfigError(f"device: expected None or one of {', '.join(DEVICES)}, found {shorten_repr(device)}")
    overrides = [] if device is None else [f"device={device}"]
    return load_fusion_tagger(read_run_settings(os.fspath(run), overrides if llm else [*overrides, WITHOUT_LLM]))


def read_run_settings(run: str, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of a trained run, with some of them changed.

    overrides: `key=value` settings that replace those of the run.
    Raises ConfigError if the folder is not a trained run, or if a setting is wrong.
    """
    folder = Run(storage_path(run))
    require_trained_run(folder)
    config = load_config(folder.local_path(SETTINGS_FILE), [*overrides, f"run={json.dumps(run, ensure_ascii=False)}"])
    if config.device == "cuda" and not config.score.gpus:  # Ray gives this process no GPU; it takes one
        config = replace(config, score=replace(config.score, gpus=1.0))
    return config


def load_fusion_tagger(config: Config) -> FusionTagger:
    """Load the tagger of the run that the settings name. The errors are those of `load`."""
    run = Run(storage_path(config.run))
    tagging = choose_tagging_rule(config, read_tuned_fusion(run))
    slm, llm = load_stages(config, run, tagging.gate, asks_llm=tagging.asks_llm)
    converter = load_script_converter(config, run)
    return FusionTagger(config.run, slm, llm, tagging, converter, config.score.unit_chars, config.tag.max_segment_chars)
