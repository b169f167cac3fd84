"""Train the small model (SLM).

An encoder is trained on any number of CPU or GPU workers (`train_encoder`). Any other tagger is trained in one Ray task
(`train_in_one_process`).
"""

from typing import Any

from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.runs.run_folder import Run, folder_sha256
from rayner.steps import data
from rayner.steps.loading import load_tagger_family
from rayner.steps.training.train_in_one_process import train_in_one_process


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings and digests on which the trained tagger depends."""
    files = load_tagger_family(config).digest_extra_training_files()
    return {**step_settings(config, "train_slm"), "data": run.digest_step_manifest("data"), **files}


def train_slm(config: Config, run: Run, fold: int | None = None, full_run: Run | None = None) -> dict[str, Any]:
    """Train the small model and write `models/slm`; return its F1 on the dev sentences and its size.

    fold: index of the fold whose sentences are left out of training; None trains on all training sentences.
    full_run: see `train_slm_on_split_data`.
    """
    data.read_and_split_labelled_files(config, run, fold)
    return train_slm_on_split_data(config, run, full_run)


def train_slm_on_split_data(config: Config, run: Run, full_run: Run | None = None) -> dict[str, Any]:
    """Train the small model of a run whose step `data` is done. Returns the same as `train_slm`.

    full_run: for the run of a fold, the run whose small model was trained on all training sentences. What that model
        learned from unlabelled text is not learned again.
    """

    def train() -> dict[str, Any]:
        trainer = load_tagger_family(config).one_process_trainer
        result = train_in_one_process(config, run, trainer, full_run) if trainer else _train_encoder(config, run)
        return {**result, "digest": folder_sha256(run.path("models", "slm"))}

    step_result = run.run_step("train_slm", collect_manifest_inputs(config, run), train)
    run.remove_resume_files("slm-")
    return step_result


def _train_encoder(config: Config, run: Run) -> dict[str, Any]:
    from rayner.steps.training.train_encoder import train_encoder  # a run with another tagger needs no transformers

    return train_encoder(config, run, name=f"slm-{json_digest(collect_manifest_inputs(config, run))}")
