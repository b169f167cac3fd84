"""Step build_index: build the index in which prompts find similar training sentences.

One Ray task builds it.
"""

from typing import Any

import ray

from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.llm.index import (
    build_sentence_index,
    check_and_count_self_nearest,
    load_sentence_index,
    save_sentence_index,
)
from rayner.modeling.devices import set_torch_threads
from rayner.modeling.vector_search import resolve_faiss_device
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, folder_sha256, model_digest, replace_folder
from rayner.steps import data
from rayner.steps.faiss_packages import choose_index_device
from rayner.steps.llm_loading import load_index_encoder

_N_CHECKED = 100  # number of sentences that are looked up in the written index


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings and digests that the index depends on."""
    model = config.index.encoder
    if model != "ngrams":
        model = run.result_digest("train_slm") if model == "slm" else model_digest(model)
    return {**step_settings(config, "build_index"), "data": run.digest_step_manifest("data"), "model": model}


def build_index(config: Config, run: Run, fold: int | None = None) -> dict[str, Any]:
    """Embed the training sentences, write them to `index/`, then read the index back and check it.

    fold: see `data.read_and_split_labelled_files`.
    """
    data.read_and_split_labelled_files(config, run, fold)

    def build_in_a_task() -> dict[str, Any]:
        task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_build_and_check_index)
        facts: dict[str, Any] = ray.get(task.remote(config, run))
        log.info(
            "index: %d sentences; %d of %d searched for are their own nearest sentence",
            facts["sentences"],
            facts["found"],
            facts["asked"],
        )
        return {**facts, "digest": folder_sha256(run.path("index"))}

    return run.run_step("build_index", collect_manifest_inputs(config, run), build_in_a_task)


def _build_and_check_index(config: Config, run: Run) -> dict[str, Any]:
    set_torch_threads(int(config.score.cpus))
    sentences = data.read_part(run, "train")
    encoder, batch_size = load_index_encoder(config, run), config.score.slm.batch_size
    with replace_folder(run.path("index")) as folder:
        save_sentence_index(build_sentence_index(encoder, sentences, batch_size), folder)
    device = resolve_faiss_device(choose_index_device(config), config.score.gpus)
    index = load_sentence_index(run.local_path("index"), device=device)
    texts = [sentence.text for sentence in sentences[:_N_CHECKED]]
    n_itself_nearest = check_and_count_self_nearest(index, encoder, texts, config.index.k, batch_size)
    return {
        "sentences": len(sentences), "dimensions": index.vectors.d, "asked": len(texts), "found": n_itself_nearest
    }  # fmt: skip
