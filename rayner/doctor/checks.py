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

from rayner.cluster.session import session
from rayner.config.settings import Config
from rayner.corpus.texts import list_texts
from rayner.doctor import diagnosis, probes
from rayner.doctor.diagnosis import Finding, Node, bad, good
from rayner.doctor.probes import Probe, Question
from rayner.errors import RaynerError
from rayner.runs.run_folder import Run
from rayner.runs.storage import Place, is_url, place
from rayner.steps import preflight
from rayner.steps.loading import load_llm, retriever, tagger
from rayner.steps.requirements import Size, disk_need, needs, scratch_size, size_of
from rayner.steps.tag.tag_corpus import out_folder

_PACKAGES = ("ray", "torch", "transformers", "peft", "deepspeed")
_PATIENCE = 180.0  # seconds for an answer of a node: it may have to import torch from slow storage
_LOADING = 1800.0  # the same for the models of a run


def doctor(config: Config) -> Iterator[Finding]:
    """All checks, one after the other, on the cluster at RAY_ADDRESS or on a Ray that starts here."""
    address = os.environ.get("RAY_ADDRESS", "")
    if re.fullmatch(r"[^/]+:\d+", address):  # Ray would try for two minutes
        why = probes.unreachable(address)
        if why:
            todo = "see that the head runs there and that its port is open (`ray start --head --port=6379`)"
            yield bad("cluster", f"Ray at {address}", why, todo)
            return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(session())
        except (ConnectionError, AuthenticationError) as error:
            todo = "export RAY_AUTH_MODE=token, with the head's ~/.ray/auth_token, and see that the head runs"
            yield bad("cluster", f"Ray at {address or 'this machine'}", " ".join(str(error).split()), todo)
            return
        yield from _examine(config)


def _examine(config: Config) -> Iterator[Finding]:
    alive = _alive()
    url = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url or ""
    question = _question(config, url)
    found, silent = _each(alive, lambda name: (probes.look, question, name, *alive[name][1:]))
    yield from diagnosis.answers(list(alive), silent)
    nodes = [found[name] for name in alive if name in found]
    if not nodes:
        return
    run = Run(place(config.run)) if config.run else None
    nodes, unread, stuck = _probed({node.name: alive[node.name] for node in nodes}, nodes, run)
    yield from diagnosis.versions(nodes)
    enough = _resources(config)
    yield enough
    yield from _sizes(config, nodes, run)
    yield from diagnosis.files(nodes)
    yield from diagnosis.models(nodes)
    if run is None:
        yield good("run", "none given (run=DIR), nothing to check there")
    else:
        yield from diagnosis.run_path(str(run.root), nodes, unread)
        yield _trained(config, run, enough.ok)
    yield from diagnosis.compiler(nodes)
    yield from diagnosis.token(nodes)
    yield from diagnosis.dashboard(url, nodes)
    yield from diagnosis.ports(question.gcs, nodes, stuck)


def _alive() -> dict[str, tuple[str, float, float, float]]:
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


def _question(config: Config, dashboard: str) -> Question:
    disks = {"temporary": ""}
    if config.run and not is_url(config.run):
        disks["run"] = str(place(config.run))
    if config.corpus and (config.run or config.out):
        out = str(out_folder(config, Run(place(config.run))))
        disks |= {} if is_url(out) else {"out": out}
    return Question(
        files=[str(place(path)) for path in [*config.train, *([config.corpus] if config.corpus else [])]],
        models={
            key: str(Path(model).absolute()) if Path(model).exists() else model
            for key, model in preflight.checkpoints(config).items()
        },
        disks=disks,
        gcs=ray.get_runtime_context().gcs_address,
        dashboard=dashboard,
        packages=[*_PACKAGES, *(["vllm"] if config.engine == "vllm" else [])],
    )


def _each(
    alive: Mapping[str, tuple[Any, ...]], call: Callable[[str], tuple[Any, ...]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A task on each node: the results, and why there is none, by node. call: the function and its arguments."""
    asked = {}
    for name, (node_id, *_) in alive.items():
        function, *arguments = call(name)
        pinned: Any = NodeAffinitySchedulingStrategy(node_id, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=pinned)(function)
        asked[name] = task.remote(*arguments)
    done, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_PATIENCE)
    found, failed = {}, {}
    for name, ref in asked.items():
        if ref not in done:
            failed[name] = f"none within {_PATIENCE:g} seconds"
            continue
        try:
            found[name] = ray.get(ref)
        except RayError as error:
            failed[name] = probes.last_line(error)
    return found, failed


def _probed(
    alive: Mapping[str, tuple[Any, ...]], nodes: Sequence[Node], run: Run | None
) -> tuple[list[Node], dict[str, str], dict[str, str]]:
    """Every node writes a file into the run folder and reads those of the others; an object of the driver goes along.

    Returns the nodes with what went wrong in writing, what went wrong in reading, and where the object did not arrive.
    """
    parcel = ray.put(secrets.token_bytes(probes.OBJECT))
    probe = None
    if run is not None:
        folder = str(run.root) if is_url(run.root) else str(probes.nearest(str(run.root)))
        files = {name: (f".doctor-{secrets.token_hex(8)}", secrets.token_bytes(64)) for name in alive}
        probe = Probe(folder, files)
        wrote, _ = _each(alive, lambda name: (probes.write, probe, name))
        nodes = [replace(node, wrote=wrote.get(node.name, "no answer")) for node in nodes]
    try:
        found, stuck = _each(alive, lambda name: (probes.read, probe, parcel))
    finally:
        if probe:
            _each(alive, lambda name: (probes.remove, probe, name))
    unread = {f"{reader} from {writer}": why for reader, whys in found.items() for writer, why in whys.items() if why}
    return list(nodes), unread, stuck


def _resources(config: Config) -> Finding:
    try:
        return good("resources", "; ".join(preflight.check_resources(config)))
    except RaynerError as error:
        return Finding(False, "resources", f"{error}; lower that setting, or add nodes")


def _sizes(config: Config, nodes: Sequence[Node], run: Run | None) -> Iterator[Finding]:
    """Room, memory and disk."""
    slm, llm = _size(config.slm.model, None), _size(config.llm.model, config)
    for key, model, size in (("slm.model", config.slm.model, slm), ("llm.model", config.llm.model, llm)):
        if size is None and model != "scratch":
            yield good("estimates", f"none for {key}: its configuration cannot be read from this node")
    wanted = needs(config, slm, llm)
    yield from diagnosis.room(wanted, nodes)
    yield from diagnosis.memory(wanted, nodes)
    yield from diagnosis.cards(wanted, nodes)
    labelled = _bytes_of(config.train)
    corpus = 0
    if config.corpus:
        with contextlib.suppress(RaynerError):  # an input that is not there is told of by `files`
            corpus = _bytes_of(text.path for text in list_texts(config.corpus))
    lora = config.llm.lora.r
    need = disk_need(
        config,
        slm or scratch_size(config.slm.scratch),
        llm or scratch_size(config.llm.scratch, lora),
        labelled,
        corpus,
    )
    has = 0
    if run and isinstance(run.root, Path):
        has = _bytes_of(file for file in run.root.rglob("*") if file.is_file())
    yield from diagnosis.disk(need, nodes, has)


def _size(model: str, config: Config | None) -> Size | None:
    """None for a model made from scratch, and for one that cannot be read, which `models` tells of."""
    if model == "scratch":
        return None
    try:
        return size_of(model, config)
    except (OSError, ValueError):
        return None


def _bytes_of(paths: Iterable[str | Place]) -> int:
    """Bytes of files, as far as they can be seen: those that are missing are told of by `files`."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += place(path).stat().st_size
    return total


def _trained(config: Config, run: Run, enough: bool) -> Finding:
    """What the run has trained already loads, as it will when it scores."""
    if not enough:
        return bad("trained", "a node to load the run's models on", "too few resources", "see above")
    gpus = config.score.gpus
    task = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(_load)
    try:
        return good("trained", ray.get(task.remote(config, run), timeout=_LOADING))
    except GetTimeoutError:
        return bad("trained", f"models to load within {_LOADING:g} seconds", "no end of it", "see that a GPU is free")
    except RayError as error:
        todo = "delete the step's file in RUN/steps and run it again, or take another run="
        return bad("trained", f"what lies in {run.root} to load", probes.last_line(error), todo)


def _load(config: Config, run: Run) -> str:
    """Load what is there; what was loaded."""
    loaded = []
    if run.has("train_slm"):
        tagger(config, run)
        loaded.append("the small model")
    if run.has("build_index"):
        retriever(config, run)
        loaded.append("the index")
    if run.has("train_llm"):
        load_llm(config, run)
        loaded.append("the LLM")
    return f"{', '.join(loaded)} loaded" if loaded else "nothing yet, nothing to load"
