"""The index of training sentences, as one Ray task."""

from typing import Any

import ray

from rayner.config.settings import Config, config_to_dict
from rayner.llm.index import build_sentence_index as build
from rayner.llm.index import load_sentence_index, save_sentence_index
from rayner.modeling.training import set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, folder_sha256, model_digest, replace_folder
from rayner.steps import data
from rayner.steps.loading import load_embedder


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the index depends on."""
    encoder = config.index.encoder
    if encoder != "ngrams":
        encoder = run.step_result("train_slm")["digest"] if encoder == "slm" else model_digest(encoder)
    return {"data": run.step_digest("data"), "encoder": encoder, "index": config_to_dict(config.index)}


def build_index(config: Config, run: Run) -> dict[str, Any]:
    """Embed the training sentences, write `index/`, read it back and check it."""
    data.prepare_data(config, run)

    def work() -> dict[str, Any]:
        task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_build)
        facts: dict[str, Any] = ray.get(task.remote(config, run))
        log.info("index: %d sentences, found again %d of %d", facts["sentences"], facts["found"], facts["asked"])
        return {**facts, "digest": folder_sha256(run.path("index"))}

    return run.run_step("build_index", inputs(config, run), work)


def _build(config: Config, run: Run) -> dict[str, Any]:
    set_torch_threads(int(config.score.cpus))
    examples = data.read_part(run, "train")
    encoder = load_embedder(config, run)
    with replace_folder(run.path("index")) as folder:
        save_sentence_index(build(encoder, examples, config.score.slm.batch_size), folder)
    index = load_sentence_index(run.local_path("index"))
    # A sentence is its own nearest neighbour; through `nearest` it must never be.
    asked = [example.text for example in examples[:100]]
    queries = encoder.embed(asked, config.score.slm.batch_size)
    _, ids = index.vectors.search(queries, 1)
    found = sum(index.sentences[row[0]].text == text for row, text in zip(ids, asked, strict=True))
    shown = index.nearest_sentences(queries, asked, config.index.k)
    if any(example.text == text for near, text in zip(shown, asked, strict=True) for example in near):
        raise RuntimeError("the index showed a sentence to itself")
    return {"sentences": len(examples), "dimensions": index.vectors.d, "asked": len(asked), "found": found}
