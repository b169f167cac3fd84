"""Check a cluster before a long run: collect facts from every node and pass them to `diagnosis`."""

import contextlib
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ray
from ray.exceptions import AuthenticationError, GetTimeoutError, RayError

from rayner.cluster.session import ray_session
from rayner.config.conditions import has_llm, llm_runs_in_vllm
from rayner.config.settings import Config
from rayner.corpus.text_listing import list_text_files
from rayner.doctor import diagnosis, probes, resource_diagnosis
from rayner.doctor.checkpoint_diagnosis import check_checkpoints
from rayner.doctor.diagnosis import Finding, failed_finding, ok_finding
from rayner.doctor.faiss_diagnosis import check_faiss
from rayner.doctor.node_facts import NodeFacts
from rayner.doctor.probes import ProbeFiles, ProbeRequest
from rayner.doctor.ray_nodes import RayNode, list_alive_nodes, run_on_each_node
from rayner.errors import ConfigError, RaynerError
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, is_url, storage_path
from rayner.steps.checkpoint_checks import list_pretrained_models
from rayner.steps.loading import load_tagger
from rayner.steps.model_sizes import estimate_scratch_size
from rayner.steps.output_folders import output_folder
from rayner.steps.requirements import estimate_disk_need, estimate_stage_needs
from rayner.steps.resources import check_and_describe_resources, try_read_model_size

_PACKAGES = ("ray", "torch", "transformers")
_LLM_PACKAGES = ("peft", "deepspeed")
_LOAD_SECONDS = 1800.0  # time limit for loading the models of a run


def check_cluster(config: Config) -> Iterator[Finding]:
    """Run all checks and yield their findings.

    The checks run on the cluster at RAY_ADDRESS. If RAY_ADDRESS is not set, a local Ray is started for them.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if re.fullmatch(r"[^/]+:\d+", address):  # if nothing listens there, Ray would retry for two minutes
        error_text = probes.connection_error(address)
        if error_text:
            remedy = "start the head there (`ray start --head --port=6379`) and open its port"
            yield failed_finding("cluster", f"Ray at {address}", error_text, remedy)
            return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(ray_session())
        except ConfigError as error:  # others may read this machine's token
            yield Finding(False, "token", str(error))
            return
        except (ConnectionError, AuthenticationError) as error:
            remedy = "export RAY_AUTH_MODE=token, copy the head's ~/.ray/auth_token to this machine, and start the head"
            expected = f"Ray at {address or 'this machine'}"
            yield failed_finding("cluster", expected, " ".join(str(error).split()), remedy)
            return
        yield from _check_all(config)


def _check_all(config: Config) -> Iterator[Finding]:
    alive = list_alive_nodes()
    dashboard_url = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url or ""
    request = _probe_request(config, dashboard_url)

    def describe_call(name: str) -> tuple[object, ...]:
        node = alive[name]
        return probes.collect_node_facts, request, name, node.cpus, node.gpus, node.memory

    facts, failures = run_on_each_node(alive, describe_call)
    yield from diagnosis.check_answers(list(alive), failures)
    nodes: list[NodeFacts] = [facts[name] for name in alive if name in facts]
    if not nodes:
        return
    run = Run(storage_path(config.run)) if config.run else None
    nodes, read_errors, transfer_errors = _probe_run_folder_and_transfers(
        {n.name: alive[n.name] for n in nodes}, nodes, run
    )
    yield from diagnosis.check_versions(nodes)
    yield from check_faiss(nodes)
    resources = _check_resources(config)
    yield resources
    yield from _check_estimated_needs(config, nodes, run)
    yield from diagnosis.check_input_files_are_alike(nodes)
    yield from check_checkpoints(nodes)
    if run is None:
        yield ok_finding("run", "none given (run=DIR), nothing to check there")
    else:
        yield from diagnosis.check_run_folder(str(run.root), nodes, read_errors)
        yield _check_trained_models(config, run, resources.ok)
    yield from diagnosis.list_compilers(nodes)
    yield from diagnosis.check_token(nodes, is_local=not os.environ.get("RAY_ADDRESS"))
    yield from diagnosis.check_dashboard_exposure(dashboard_url, nodes)
    yield from diagnosis.check_ports(request.gcs_address, nodes, transfer_errors)


def _probe_request(config: Config, dashboard_url: str) -> ProbeRequest:
    disks = {"temporary": ""}
    if config.run and not is_url(config.run):
        disks["run"] = str(storage_path(config.run))
    if config.corpus.path and (config.run or config.out):
        out = str(output_folder(config, Run(storage_path(config.run))))
        disks |= {} if is_url(out) else {"out": out}
    return ProbeRequest(
        files=[str(storage_path(path)) for path in (*config.train, config.corpus.path) if path],
        models={
            key: str(Path(model).absolute()) if Path(model).exists() else model
            for key, model in list_pretrained_models(config).items()
        },
        disks=disks,
        gcs_address=ray.get_runtime_context().gcs_address,
        dashboard_url=dashboard_url,
        packages=[
            *_PACKAGES,
            *(_LLM_PACKAGES if has_llm(config) else ()),
            *(("vllm",) if llm_runs_in_vllm(config) else ()),
        ],
    )


def _probe_run_folder_and_transfers(
    alive: Mapping[str, RayNode], nodes: Sequence[NodeFacts], run: Run | None
) -> tuple[list[NodeFacts], dict[str, str], dict[str, str]]:
    """Test whether all nodes share the run folder, and whether an object from the driver reaches each node.

    If there is a run, every node writes a file into its folder and then reads the files of all nodes.

    Returns:
        The nodes with their write errors.
        The read errors. A key names the reading and the writing node: `reader from writer`.
        For each node that the object did not reach, the reason.

    """
    driver_object = ray.put(secrets.token_bytes(probes.OBJECT_BYTES))
    probe_files = None
    if run is not None:
        folder = str(run.root) if is_url(run.root) else str(probes.nearest_existing_folder(str(run.root)))
        files = {name: (f".doctor-{secrets.token_hex(8)}", secrets.token_bytes(64)) for name in alive}
        probe_files = ProbeFiles(folder, files)
        write_errors, _ = run_on_each_node(alive, lambda name: (probes.try_write_probe_file, probe_files, name))
        nodes = [replace(node, write_error=write_errors.get(node.name, "no answer")) for node in nodes]
    try:
        results, failures = run_on_each_node(
            alive, lambda name: (probes.compare_probe_files, probe_files, driver_object)
        )
    finally:
        if probe_files:
            run_on_each_node(alive, lambda name: (probes.remove_probe_file, probe_files, name))
    read_errors = {
        f"{reader} from {writer}": error
        for reader, errors in results.items()
        for writer, error in errors.items()
        if error
    }
    return list(nodes), read_errors, failures


def _check_resources(config: Config) -> Finding:
    try:
        return ok_finding("resources", "; ".join(check_and_describe_resources(config)))
    except RaynerError as error:
        return Finding(False, "resources", str(error))


def _check_estimated_needs(config: Config, nodes: Sequence[NodeFacts], run: Run | None) -> Iterator[Finding]:
    """Estimate from the sizes of models and inputs what each stage needs, and check that the nodes provide it.

    The checks cover places for processes, memory, GPUs and disk space.
    """
    slm, llm = try_read_model_size(config.slm.model, None), try_read_model_size(config.llm.model, config)
    for key, model, size in (("slm.model", config.slm.model, slm), ("llm.model", config.llm.model, llm)):
        if size is None and model not in ("scratch", "none"):
            yield ok_finding("estimates", f"none for {key}: its configuration cannot be read from this node")
    needs = estimate_stage_needs(config, slm, llm)
    yield from resource_diagnosis.check_placement(needs, nodes)
    yield from resource_diagnosis.check_memory(needs, nodes)
    yield from resource_diagnosis.check_gpus(needs, nodes)
    corpus_bytes = 0
    if config.corpus.path:
        with contextlib.suppress(RaynerError):  # check_input_files_are_alike reports inputs that do not exist
            corpus_bytes = _total_bytes(text.path for text in list_text_files(config.corpus.path) if not text.problem)
    disk_need = estimate_disk_need(
        config,
        slm or estimate_scratch_size(config.slm.scratch),
        llm or (estimate_scratch_size(config.llm.scratch, config.llm.lora.r) if has_llm(config) else None),
        _total_bytes(config.train),
        corpus_bytes,
    )
    present_bytes = 0
    if run and isinstance(run.root, Path):
        present_bytes = _total_bytes(file for file in run.root.rglob("*") if file.is_file())
    yield from diagnosis.check_disk(disk_need, nodes, present_bytes)


def _total_bytes(paths: Iterable[str | StoragePath]) -> int:
    """Return the total size of files. Missing files are skipped; `check_input_files_are_alike` reports them."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += storage_path(path).stat().st_size
    return total


def _check_trained_models(config: Config, run: Run, resources_ok: bool) -> Finding:
    """Check that the models that the run has already trained can be loaded, with the GPUs that scoring would use."""
    if not resources_ok:
        remedy = "repair that first"
        return failed_finding("trained", "a node to load the run's models on", "too few resources (see above)", remedy)
    task = ray.remote(num_cpus=0, num_gpus=config.score.gpus, max_retries=0)(_load_and_list_trained_models)
    try:
        return ok_finding("trained", ray.get(task.remote(config, run), timeout=_LOAD_SECONDS))
    except GetTimeoutError:
        expected = f"the models of {run.root} to load within {_LOAD_SECONDS:g} seconds"
        return failed_finding("trained", expected, "that they still load", "see whether a GPU is free")
    except RayError as error:
        remedy = "delete the step's file in RUN/steps and run the step again, or use another run="
        return failed_finding("trained", f"{run.root} to load", probes.last_error_line(error), remedy)


def _load_and_list_trained_models(config: Config, run: Run) -> str:
    """Load the models that the run has trained; return a text that lists them."""
    loaded = []
    if run.has_step("train_slm"):
        load_tagger(config, run)
        loaded.append("the small model")
    if run.has_step("build_index"):
        from rayner.steps.llm_loading import load_retriever

        load_retriever(config, run)
        loaded.append("the index")
    if run.has_step("train_llm"):
        from rayner.steps.llm_loading import load_llm

        load_llm(config, run)
        loaded.append("the LLM")
    return f"{', '.join(loaded)} loaded" if loaded else "nothing trained yet, nothing to load"
