"""Train a small model in one Ray task, if it trains in one process (a CRF or the user's own tagger)."""

from functools import partial
from typing import Any

import ray
import torch

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.config.settings import Config
from rayner.modeling.devices import set_torch_threads
from rayner.runs.job_log import start_logging
from rayner.runs.progress import Progress, log, progress_file_writer, watch_progress_file
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import STATUS_FILE, format_duration
from rayner.runs.storage import StoragePath
from rayner.steps import data
from rayner.steps.loading import load_tagger_family
from rayner.taggers.tagger import OneProcessTrainer, measure_f1
from rayner.text.tags import bmes_labels

_CPU = torch.device("cpu")  # a tagger that trains in one process chooses its device itself


def train_in_one_process(
    config: Config, run: Run, trainer: OneProcessTrainer, full_run: Run | None = None
) -> dict[str, Any]:
    """Train the tagger in a Ray task and write `models/slm`.

    full_run: the run with a tagger of the same settings, whose knowledge from unlabelled text is used; None if there is
        none.

    Returns the F1 on the dev sentences, the training time in seconds and, if it is known, the number of parameters.
    """
    status_path = run.path("train", "slm", STATUS_FILE)
    task = ray.remote(num_cpus=trainer.cpus, num_gpus=trainer.gpus)(_train_in_this_process)
    with watch_progress_file(status_path), unwrap_ray_task_error():
        result: dict[str, Any] = ray.get(task.remote(config, run, status_path, full_run))
    seconds = format_duration(result["training_seconds"])
    log.info("SLM (%s): held-out F1 %.4f, %s", trainer.display_name, result["dev_f1"], seconds)
    return result


def _train_in_this_process(config: Config, run: Run, status_path: StoragePath, full_run: Run | None) -> dict[str, Any]:
    """Train the tagger in this process and return its results.

    The trainer is loaded again here and not passed in, because a plugin's functions may not be picklable.
    """
    start_logging()
    family = load_tagger_family(config)
    trainer = family.one_process_trainer
    if trainer is None:
        raise RuntimeError(f"slm.family {config.slm.family} does not train in one process")
    if full_run:
        trainer = trainer.with_clusters_of_trained_tagger(full_run.local_path("models", "slm"))
    set_torch_threads(trainer.cpus)
    types = run.entity_types()
    report_iteration = _ignore_iteration
    if trainer.max_iterations is not None:
        label = f"SLM ({trainer.display_name}), at most"
        progress = Progress(label, trainer.max_iterations, "iterations", progress_file_writer(status_path))
        report_iteration = partial(progress.advance, 1)
    with replace_folder(run.path("models", "slm")) as folder:
        seconds = trainer.train(data.read_part(run, "train"), bmes_labels(types), folder, config.seed, report_iteration)
        # Before the folder takes its place, so that a training that diverged leaves no model.
        family.load(folder, _CPU, batch_size=1)
    tagger = family.load(run.local_path("models", "slm"), _CPU, batch_size=config.score.slm.batch_size)
    result = {
        "dev_f1": measure_f1(tagger, data.read_part(run, "dev"), types),
        "training_seconds": round(seconds, 1),
    }
    return result if tagger.n_parameters is None else {**result, "parameters": tagger.n_parameters}


def _ignore_iteration() -> None:
    pass
