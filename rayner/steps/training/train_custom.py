"""Training of a small model of the user's own: one Ray task, with the CPUs and GPUs of one worker of `slm.workers`."""

import time
from functools import partial
from typing import Any

import ray

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.session import start_logging
from rayner.config.plugins import plugin_fingerprint
from rayner.config.settings import Config
from rayner.modeling.training import set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import format_duration
from rayner.steps import data
from rayner.steps.loading import held_out_f1
from rayner.taggers import custom_tagger
from rayner.text.tags import bmes_labels


def custom_inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the trained tagger depends on."""
    return {
        "data": run.step_digest("data"),
        "family": plugin_fingerprint(custom_tagger.KEY, config.slm.family),
        "seed": config.seed,
    }


def train_custom(config: Config, run: Run) -> dict[str, Any]:
    """Train, write `models/slm`; the facts: F1 on the held-out sentences."""
    workers = config.slm.workers
    task = ray.remote(num_cpus=workers.cpus, num_gpus=workers.gpus)(_train)
    with unwrap_ray_task_error():
        facts: dict[str, Any] = ray.get(task.remote(config, run))
    log.info(
        "SLM (%s): held-out F1 %.4f, %s", config.slm.family, facts["dev_f1"], format_duration(facts["training_seconds"])
    )
    return facts


def _train(config: Config, run: Run) -> dict[str, Any]:
    start_logging()
    set_torch_threads(config.slm.workers.cpus)
    types, begun, name = run.step_result("data")["types"], time.monotonic(), config.slm.family
    with replace_folder(run.path("models", "slm")) as folder:
        custom_tagger.train(name, data.read_part(run, "train"), bmes_labels(types), folder, config.seed)
    seconds = time.monotonic() - begun
    tagger = custom_tagger.load(name, run.local_path("models", "slm"))
    return {
        "dev_f1": held_out_f1(run, partial(custom_tagger.score, tagger)),
        "training_seconds": round(seconds, 1),
    }
