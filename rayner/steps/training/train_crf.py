"""Training of the small model as a CRF: one Ray task, on one core, wherever there is one."""

import time
from functools import partial
from typing import Any

import ray

from rayner.cluster.failures import as_it_was_raised
from rayner.cluster.session import start_logging
from rayner.config.settings import Config, resolved
from rayner.corpus.reading import Survey, beginning, text_digest
from rayner.runs.progress import Progress, following, into, log
from rayner.runs.run_folder import Run, whole_folder
from rayner.runs.status import NAME, duration
from rayner.runs.storage import Place
from rayner.steps import data
from rayner.steps.loading import held_out_f1
from rayner.taggers import crf as crfs
from rayner.taggers.character_clusters import Clusters, learn
from rayner.text.tags import label_set


def crf_inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the trained field depends on. Of the unlabelled text it is what is read of it."""
    settings = resolved(config.slm.crf)
    where = settings.pop("unlabelled")
    if where is None:
        return {"data": run.digest("data"), "crf": {**settings, "clusters": []}}
    return {"data": run.digest("data"), "crf": settings, "unlabelled": text_digest(where), "seed": config.seed}


def train_crf(config: Config, run: Run) -> dict[str, Any]:
    """Train, write `models/slm`; the facts: F1 on the held-out sentences, features of the field."""
    task, told = ray.remote(num_cpus=1)(_train), run.path("train", "crf", NAME)
    with following(told), as_it_was_raised():
        facts: dict[str, Any] = ray.get(task.remote(config, run, told))
    log.info("SLM (CRF): held-out F1 %.4f, %s", facts["dev_f1"], duration(facts["training_seconds"]))
    return facts


def _train(config: Config, run: Run, told: Place) -> dict[str, Any]:
    start_logging()
    types = run.facts("data")["types"]
    begun = time.monotonic()
    clusters: Clusters = {}
    if config.slm.crf.unlabelled:
        where = config.slm.crf.unlabelled
        log.info("SLM (CRF): clusters the characters of %s", where)
        clusters = learn(lambda: beginning(where, Survey()), [int(n) for n in config.slm.crf.clusters], config.seed)
        log.info("SLM (CRF): %d characters in clusters, %s", len(clusters), duration(time.monotonic() - begun))
        begun = time.monotonic()
    progress = Progress("SLM (CRF), at most", config.slm.crf.iterations, "iterations", into(told))
    with whole_folder(run.path("models", "slm")) as folder:
        crfs.train(
            data.part(run, "train"), label_set(types), config.slm.crf, folder, clusters, lambda _: progress.add(1)
        )
    seconds = time.monotonic() - begun
    crf = crfs.load(run.local("models", "slm"))
    return {
        "dev_f1": held_out_f1(run, partial(crfs.score, crf)),
        "parameters": len(crf.tagger.info().state_features) + len(crf.tagger.info().transitions),
        "training_seconds": round(seconds, 1),
    }
