"""Compare the memory and disk space that a job needs, by estimate, with what this machine has."""

import os
import shutil
from pathlib import Path

import psutil
import ray

from rayner.config.conditions import has_llm, slm_is_encoder
from rayner.config.settings import Config
from rayner.runs.run_folder import Run
from rayner.steps.model_sizes import ModelSize, estimate_scratch_size
from rayner.steps.requirements import estimate_disk_need, estimate_stage_needs, format_bytes
from rayner.steps.resources import try_read_model_size


def describe_lack_of_room(config: Config, run: Run, corpus_bytes: int) -> list[str]:
    """Return a warning for each stage that needs more memory than this machine has, and one for too little disk space.

    The estimates are rather too large, so nothing is refused. Of a cluster, `rayner doctor` checks each node.

    corpus_bytes: the size of the corpus.
    """
    if ray.is_initialized():
        return []
    slm = try_read_model_size(config.slm.model, None) if slm_is_encoder(config) else ModelSize(0)
    llm = try_read_model_size(config.llm.model, config)
    return [*_describe_lack_of_memory(config, slm, llm), *_describe_lack_of_disk(config, run, slm, llm, corpus_bytes)]


def _describe_lack_of_memory(config: Config, slm: ModelSize | None, llm: ModelSize | None) -> list[str]:
    total = psutil.virtual_memory().total
    lines = []
    for need in estimate_stage_needs(config, slm, llm):
        needed = need.processes * need.host_bytes + need.shared_bytes
        if needed > total:
            lines.append(
                f"WARNING: {need.key}: its processes need about {format_bytes(needed)} of memory, and this machine has "
                f"{format_bytes(total)}: use fewer processes or a smaller model"
            )
    return lines


def _describe_lack_of_disk(
    config: Config, run: Run, slm: ModelSize | None, llm: ModelSize | None, corpus_bytes: int
) -> list[str]:
    if not isinstance(run.root, Path):
        return []
    labelled_bytes = sum(os.path.getsize(path) for path in config.train if os.path.exists(path))
    if llm is None and has_llm(config):
        llm = estimate_scratch_size(config.llm.scratch, config.llm.lora.r)
    slm = slm or estimate_scratch_size(config.slm.scratch)
    need = estimate_disk_need(config, slm, llm, labelled_bytes, corpus_bytes)
    needed = need.run_bytes + need.out_bytes
    folder = next(each for each in (run.root.absolute(), *run.root.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return []
    return [
        f"WARNING: run: the job needs at most about {format_bytes(needed)} of disk space, and {format_bytes(free)} are "
        f"free in {folder}: free some, or name a run folder on another disk"
    ]
