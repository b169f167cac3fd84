"""Checks before a long run: what every node tells of itself, put to `diagnosis`."""

import contextlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import AuthenticationError, GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayner.cluster.session import ray_session
from rayner.config.settings import Config
from rayner.corpus.text_files import list_text_files
from rayner.doctor import diagnosis, probes
from rayner.doctor.diagnosis import Finding, NodeFacts, failed_finding, ok_finding
from rayner.doctor.probes import ProbeFiles, ProbeRequest
from rayner.errors import RaynerError
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, is_url, storage_path
from rayner.steps import preflight
from rayner.steps.loading import load_llm, load_retriever, load_tagger
from rayner.steps.requirements import (
    ModelSize,
    estimate_disk_need,
    estimate_scratch_size,
    estimate_stage_needs,
    read_model_size,
)
from rayner.steps.tag.tag_corpus import output_folder

_PACKAGES = ("ray", "torch", "transformers", "peft", "deepspeed")
_ANSWER_SECONDS = 180.0  # seconds for an answer of a node: it may have to import torch from slow storage
_LOAD_SECONDS = 1800.0  # the same for the models of a run


def check_cluster(config: Config) -> Iterator[Finding]:
    """All checks, one after the other, on the cluster at RAY_ADDRESS or on a Ray that starts here."""
    address = os.environ.get("RAY_ADDRESS", "")
    if re.fullmatch(r"[^/]+:\d+", address):  # Ray would try for two minutes
        why = probes.connection_error(address)
        if why:
            todo = "see that the head runs there and that its port is open (`ray start --head --port=6379`)"
            yield failed_finding("cluster", f"Ray at {address}", why, todo)
            return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(ray_session())
        except (ConnectionError, AuthenticationError) as error:
            todo = "export RAY_AUTH_MODE=token, with the head's ~/.ray/auth_token, and see that the head runs"
            yield failed_finding("cluster", f"Ray at {address or 'this machine'}", " ".join(str(error).split()), todo)
            return
        yield from _check_all(config)


def _check_all(config: Config) -> Iterator[Finding]:
    alive = _alive_nodes()
    url = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url or ""
    question = _probe_request(config, url)
    found, silent = _run_on_each_node(alive, lambda name: (probes.describe_node, question, name, *alive[name][1:]))
    yield from diagnosis.check_answers(list(alive), silent)
    nodes = [found[name] for name in alive if name in found]
    if not nodes:
        return
    run = Run(storage_path(config.run)) if config.run else None
    nodes, unread, stuck = _probe_run_folder({node.name: alive[node.name] for node in nodes}, nodes, run)
    yield from diagnosis.check_versions(nodes)
    enough = _resources(config)
    yield enough
    yield from _sizes(config, nodes, run)
    yield from diagnosis.check_files(nodes)
    yield from diagnosis.check_models(nodes)
    if run is None:
        yield ok_finding("run", "none given (run=DIR), nothing to check there")
    else:
        yield from diagnosis.check_run_folder(str(run.root), nodes, unread)
        yield _check_trained_models(config, run, enough.ok)
    yield from diagnosis.check_compilers(nodes)
    yield from diagnosis.check_token(nodes)
    yield from diagnosis.check_dashboard(url, nodes)
    yield from diagnosis.check_ports(question.gcs_address, nodes, stuck)


def _alive_nodes() -> dict[str, tuple[str, float, float, float]]:
    """By name, each node's id, CPUs, GPUs and bytes of memory as Ray counts them; the driver's node is the first."""
    rows = [row for row in ray.nodes() if row["Alive"]]
    own = ray.get_runtime_context().get_node_id()
    rows.sort(key=lambda row: (row["NodeID"] != own, row["NodeManagerAddress"], row["NodeID"]))
    addresses = [row["NodeManagerAddress"] for row in rows]
    out = {}
    for row, address in zip(rows, addresses, strict=True):
        name = address if addresses.count(address) == 1 else f"{address} ({row['NodeID'][:6]})"
        has = row["Resources"]
        out[name] = (row["NodeID"], has.get("CPU", 0.0), has.get("GPU", 0.0), has.get("memory", float("inf")))
    return out


def _probe_request(config: Config, dashboard: str) -> ProbeRequest:
    disks = {"temporary": ""}
    if config.run and not is_url(config.run):
        disks["run"] = str(storage_path(config.run))
    if config.corpus and (config.run or config.out):
        out = str(output_folder(config, Run(storage_path(config.run))))
        disks |= {} if is_url(out) else {"out": out}
    return ProbeRequest(
        files=[str(storage_path(path)) for path in [*config.train, *([config.corpus] if config.corpus else [])]],
        models={
            key: str(Path(model).absolute()) if Path(model).exists() else model
            for key, model in preflight.pretrained_models(config).items()
        },
        disks=disks,
        gcs_address=ray.get_runtime_context().gcs_address,
        dashboard_url=dashboard,
        packages=[*_PACKAGES, *(["vllm"] if config.engine == "vllm" else [])],
    )


def _run_on_each_node(
    alive: Mapping[str, tuple[Any, ...]], call: Callable[[str], tuple[Any, ...]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A task on each node: the results, and why there is none, by node. call: the function and its arguments."""
    asked = {}
    for name, (node_id, *_) in alive.items():
        function, *arguments = call(name)
        pinned: Any = NodeAffinitySchedulingStrategy(node_id, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)(function)
        asked[name] = task.remote(*arguments)
    done, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_SECONDS)
    found, failed = {}, {}
    for name, ref in asked.items():
        if ref not in done:
            failed[name] = f"none within {_ANSWER_SECONDS:g} seconds"
            continue
        try:
            found[name] = ray.get(ref)
        except RayError as error:
            failed[name] = probes.last_error_line(error)
    return found, failed


def _probe_run_folder(
    alive: Mapping[str, tuple[Any, ...]], nodes: Sequence[NodeFacts], run: Run | None
) -> tuple[list[NodeFacts], dict[str, str], dict[str, str]]:
    """Every node writes a file into the run folder and reads those of the others; an object of the driver goes along.

    Returns the nodes with what went wrong in writing, what went wrong in reading, and where the object did not arrive.
    """
    parcel = ray.put(secrets.token_bytes(probes.OBJECT_BYTES))
    probe = None
    if run is not None:
        folder = str(run.root) if is_url(run.root) else str(probes.nearest_existing_folder(str(run.root)))
        files = {name: (f".doctor-{secrets.token_hex(8)}", secrets.token_bytes(64)) for name in alive}
        probe = ProbeFiles(folder, files)
        wrote, _ = _run_on_each_node(alive, lambda name: (probes.write_probe_file, probe, name))
        nodes = [replace(node, write_error=wrote.get(node.name, "no answer")) for node in nodes]
    try:
        found, stuck = _run_on_each_node(alive, lambda name: (probes.read_probe_files, probe, parcel))
    finally:
        if probe:
            _run_on_each_node(alive, lambda name: (probes.remove_probe_file, probe, name))
    unread = {f"{reader} from {writer}": why for reader, whys in found.items() for writer, why in whys.items() if why}
    return list(nodes), unread, stuck


def _resources(config: Config) -> Finding:
    try:
        return ok_finding("resources", "; ".join(preflight.check_resources(config)))
    except RaynerError as error:
        return Finding(False, "resources", f"{error}; lower that setting, or add nodes")


def _sizes(config: Config, nodes: Sequence[NodeFacts], run: Run | None) -> Iterator[Finding]:
    """Room, memory and disk."""
    slm, llm = _size(config.slm.model, None), _size(config.llm.model, config)
    for key, model, size in (("slm.model", config.slm.model, slm), ("llm.model", config.llm.model, llm)):
        if size is None and model != "scratch":
            yield ok_finding("estimates", f"none for {key}: its configuration cannot be read from this node")
    wanted = estimate_stage_needs(config, slm, llm)
    yield from diagnosis.check_placement(wanted, nodes)
    yield from diagnosis.check_memory(wanted, nodes)
    yield from diagnosis.check_gpus(wanted, nodes)
    labelled = _bytes_of(config.train)
    corpus = 0
    if config.corpus:
        with contextlib.suppress(RaynerError):  # an input that is not there is told of by `files`
            corpus = _bytes_of(text.path for text in list_text_files(config.corpus))
    lora = config.llm.lora.r
    need = estimate_disk_need(
        config,
        slm or estimate_scratch_size(config.slm.scratch),
        llm or estimate_scratch_size(config.llm.scratch, lora),
        labelled,
        corpus,
    )
    has = 0
    if run and isinstance(run.root, Path):
        has = _bytes_of(file for file in run.root.rglob("*") if file.is_file())
    yield from diagnosis.check_disk(need, nodes, has)


def _size(model: str, config: Config | None) -> ModelSize | None:
    """None for a model made from scratch, and for one that cannot be read, which `models` tells of."""
    if model == "scratch":
        return None
    try:
        return read_model_size(model, config)
    except (OSError, ValueError):
        return None


def _bytes_of(paths: Iterable[str | StoragePath]) -> int:
    """Bytes of files, as far as they can be seen: those that are missing are told of by `files`."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += storage_path(path).stat().st_size
    return total


def _check_trained_models(config: Config, run: Run, enough: bool) -> Finding:
    """What the run has trained already loads, as it will when it scores."""
    if not enough:
        return failed_finding("trained", "a node to load the run's models on", "too few resources", "see above")
    gpus = config.score.gpus
    task = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(_load)
    try:
        return ok_finding("trained", ray.get(task.remote(config, run), timeout=_LOAD_SECONDS))
    except GetTimeoutError:
        return failed_finding(
            "trained", f"models to load within {_LOAD_SECONDS:g} seconds", "no end of it", "see that a GPU is free"
        )
    except RayError as error:
        todo = "delete the step's file in RUN/steps and run it again, or take another run="
        return failed_finding("trained", f"what lies in {run.root} to load", probes.last_error_line(error), todo)


def _load(config: Config, run: Run) -> str:
    """Load what is there; what was loaded."""
    loaded = []
    if run.has_step("train_slm"):
        load_tagger(config, run)
        loaded.append("the small model")
    if run.has_step("build_index"):
        load_retriever(config, run)
        loaded.append("the index")
    if run.has_step("train_llm"):
        load_llm(config, run)
        loaded.append("the LLM")
    return f"{', '.join(loaded)} loaded" if loaded else "nothing yet, nothing to load"
