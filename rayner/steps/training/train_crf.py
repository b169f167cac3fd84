"""Training of the small model as a CRF: one Ray task, on one core, wherever there is one."""

import time
from functools import partial
from typing import Any

import ray

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.session import start_logging
from rayner.config.settings import Config, config_to_dict
from rayner.corpus.reading import CorpusSurvey, digest_unlabelled_texts, read_unlabelled_texts
from rayner.runs.progress import Progress, log, mirror_progress_file, progress_file_writer
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.status import STATUS_FILE, format_duration
from rayner.runs.storage import StoragePath
from rayner.steps import data
from rayner.steps.loading import held_out_f1
from rayner.taggers import crf as crfs
from rayner.taggers.character_clusters import CharacterClusters, cluster_characters
from rayner.text.tags import bmes_labels


def crf_inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the trained field depends on. Of the unlabelled text it is what is read of it."""
    settings = config_to_dict(config.slm.crf)
    where = settings.pop("unlabelled")
    if where is None:
        return {"data": run.step_digest("data"), "crf": {**settings, "clusters": []}}
    return {
        "data": run.step_digest("data"),
        "crf": settings,
        "unlabelled": digest_unlabelled_texts(where),
        "seed": config.seed,
    }


def train_crf(config: Config, run: Run) -> dict[str, Any]:
    """Train, write `models/slm`; the facts: F1 on the held-out sentences, features of the field."""
    task, told = ray.remote(num_cpus=1)(_train), run.path("train", "crf", STATUS_FILE)
    with mirror_progress_file(told), unwrap_ray_task_error():
        facts: dict[str, Any] = ray.get(task.remote(config, run, told))
    log.info("SLM (CRF): held-out F1 %.4f, %s", facts["dev_f1"], format_duration(facts["training_seconds"]))
    return facts


def _train(config: Config, run: Run, told: StoragePath) -> dict[str, Any]:
    start_logging()
    types = run.step_result("data")["types"]
    begun = time.monotonic()
    clusters: CharacterClusters = {}
    if config.slm.crf.unlabelled:
        where = config.slm.crf.unlabelled
        log.info("SLM (CRF): clusters the characters of %s", where)
        clusters = cluster_characters(
            lambda: read_unlabelled_texts(where, CorpusSurvey()), [int(n) for n in config.slm.crf.clusters], config.seed
        )
        log.info("SLM (CRF): %d characters in clusters, %s", len(clusters), format_duration(time.monotonic() - begun))
        begun = time.monotonic()
    progress = Progress("SLM (CRF), at most", config.slm.crf.iterations, "iterations", progress_file_writer(told))
    with replace_folder(run.path("models", "slm")) as folder:
        crfs.train(
            data.read_part(run, "train"),
            bmes_labels(types),
            config.slm.crf,
            folder,
            clusters,
            lambda _: progress.advance(1),
        )
    seconds = time.monotonic() - begun
    crf = crfs.load(run.local_path("models", "slm"))
    return {
        "dev_f1": held_out_f1(run, partial(crfs.score, crf)),
        "parameters": len(crf.field.info().state_features) + len(crf.field.info().transitions),
        "training_seconds": round(seconds, 1),
    }
