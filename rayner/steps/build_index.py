"""The index of training sentences, as one Ray task."""

from typing import Any

import ray

from rayner.config.settings import Config, resolved
from rayner.llm.index import build_index as build
from rayner.llm.index import load_index, save_index
from rayner.modeling.training import use_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, folder_digest, model_digest, whole_folder
from rayner.steps import data
from rayner.steps.loading import embedder


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the index depends on."""
    encoder = config.index.encoder
    if encoder != "ngrams":
        encoder = run.facts("train_slm")["digest"] if encoder == "slm" else model_digest(encoder)
    return {"data": run.digest("data"), "encoder": encoder, "index": resolved(config.index)}


def build_index(config: Config, run: Run) -> dict[str, Any]:
    """Embed the training sentences, write `index/`, read it back and check it."""
    data.prepare(config, run)

    def work() -> dict[str, Any]:
        task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_build)
        facts: dict[str, Any] = ray.get(task.remote(config, run))
        log.info("index: %d sentences, found again %d of %d", facts["sentences"], facts["found"], facts["asked"])
        return {**facts, "digest": folder_digest(run.path("index"))}

    return run.once("build_index", inputs(config, run), work)


def _build(config: Config, run: Run) -> dict[str, Any]:
    use_threads(int(config.score.cpus))
    examples = data.part(run, "train")
    encoder = embedder(config, run)
    with whole_folder(run.path("index")) as folder:
        save_index(build(encoder, examples, config.score.slm.batch_size), folder)
    index = load_index(run.local("index"))
    # A sentence is its own nearest neighbour; through `nearest` it must never be.
    asked = [example.text for example in examples[:100]]
    queries = encoder.embed(asked, config.score.slm.batch_size)
    _, ids = index.vectors.search(queries, 1)
    found = sum(index.examples[row[0]].text == text for row, text in zip(ids, asked, strict=True))
    shown = index.nearest(queries, asked, config.index.k)
    if any(example.text == text for near, text in zip(shown, asked, strict=True) for example in near):
        raise RuntimeError("the index showed a sentence to itself")
    return {"sentences": len(examples), "dimensions": index.vectors.d, "asked": len(asked), "found": found}
