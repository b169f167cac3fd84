"""Load a trained run, to tag texts in this process."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rayner.config.loading import load_config
from rayner.runs.run_folder import SETTINGS_FILE, Run
from rayner.runs.storage import storage_path
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.tag.seams import Stage
from rayner.steps.tag.stages import LlmStage, SlmStage, skip_llm
from rayner.steps.tag.tagging_rule import choose_tagging_rule
from rayner.tagging.tagger import FusionTagger
from rayner.tagging.trained_run import require_trained_run

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
    overrides = [] if device is None else [f"device={json.dumps(device)}"]
    return load_tagger_with_settings(os.fspath(run), overrides if llm else [*overrides, WITHOUT_LLM])


def load_tagger_with_settings(run: str, overrides: Sequence[str] = ()) -> FusionTagger:
    """Load a trained run with some settings changed. The errors are those of `load`.

    overrides: `key=value` settings that replace those of the run.
    """
    run_folder = Run(storage_path(run))
    require_trained_run(run_folder)
    config = load_config(run_folder.local_path(SETTINGS_FILE), [*overrides, f"run={json.dumps(run)}"])
    if config.device == "cuda" and not config.score.gpus:  # Ray gives this process no GPU; it takes one
        config = replace(config, score=replace(config.score, gpus=1.0))
    tagging = choose_tagging_rule(config, read_tuned_fusion(run_folder))
    llm: Stage = partial(skip_llm, gate=tagging.gate)
    slm = SlmStage(config, run_folder)
    if tagging.asks_llm:
        llm = LlmStage(config, run_folder, tagging.gate)
    return FusionTagger(run, slm, llm, tagging, config.score.unit_chars, config.tag.max_segment_chars)
