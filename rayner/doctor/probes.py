"""The functions that the doctor runs as Ray tasks on each node. They collect facts and test the run folder."""

import contextlib
import hashlib
import ipaddress
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import rayner
from rayner.cluster.auth_token import find_token_file
from rayner.doctor.node_facts import DIGEST, FOLDER, MISSING, CheckpointState, DiskSpace, NodeFacts, TokenStatus
from rayner.errors import RaynerError
from rayner.modeling.gpus import list_gpus_or_error
from rayner.runs.run_folder import file_sha256
from rayner.runs.storage import remove_file, storage_path
from rayner.steps.checkpoint_checks import check_and_describe_checkpoint
from rayner.steps.faiss_packages import find_cuda_majors_by_package, list_faiss_packages

OBJECT_BYTES = 1024**2  # too large to be sent inside a message, so Ray copies it between object stores


@dataclass(frozen=True)
class ProbeRequest:
    """What each node has to report. Paths are absolute paths or URLs.

    files: paths of the inputs.
    models: for each setting that names a checkpoint, the checkpoint.
    disks: for each use (`run`, `out`, `temporary`), the folder. An empty string means the temporary folder.
    gcs_address: HOST:PORT of the head.
    dashboard_url: address of the dashboard; empty if none runs.
    packages: packages whose versions are reported.
    """

    files: Sequence[str]
    models: Mapping[str, str]
    disks: Mapping[str, str]
    gcs_address: str
    dashboard_url: str
    packages: Sequence[str]


@dataclass(frozen=True)
class ProbeFiles:
    """Test files that the nodes write into a folder.

    folder: the folder, which all nodes should share.
    files: for each node, the name and the content of the file that the node writes.
    """

    folder: str
    files: Mapping[str, tuple[str, bytes]]


def collect_node_facts(request: ProbeRequest, name: str, cpus: float, gpus: float, memory: float) -> NodeFacts:
    """Collect the facts about this node.

    Args:
        request: what to report.
        name: name of this node.
        cpus: number of CPUs that Ray counts for this node.
        gpus: number of GPUs that Ray counts for this node.
        memory: bytes of memory that Ray counts for this node.

    """
    torch_gpus, torch_gpus_error = list_gpus_or_error() if gpus else ([], "")
    versions = {"python": platform.python_version(), **{package: _version(package) for package in request.packages}}
    return NodeFacts(
        name=name,
        cpus=cpus,
        gpus=gpus,
        versions={**versions, "rayner": f"{rayner.__version__} (code {_code_digest()})"},
        free_memory=int(min(memory, psutil.virtual_memory().available)),
        torch_gpus=torch_gpus,
        torch_gpus_error=torch_gpus_error,
        tools={tool: "found" if shutil.which(tool) else "none" for tool in ("g++", "ninja", "nvcc")},
        token=_token_status(),
        file_states={path: _file_digest_or_state(path) for path in request.files},
        model_states={key: _checkpoint_state(key, model) for key, model in request.models.items()},
        faiss=list_faiss_packages(),
        cuda_versions=find_cuda_majors_by_package(),
        disks={use: _disk_space(folder or tempfile.gettempdir()) for use, folder in request.disks.items()},
        head_error=connection_error(request.gcs_address),
        dashboard_addresses=_listening_addresses(request.dashboard_url),
        has_public_address=any(ipaddress.ip_address(address).is_global for address in _own_addresses()),
    )


def last_error_line(error: Exception | str) -> str:
    """Return the last line of an error message. It says what happened; the lines before it are a traceback."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def _code_digest() -> str:
    """Return eight digits of a digest of rayner's code. The code may differ between nodes with the same version."""
    sha256 = hashlib.sha256()
    root = Path(rayner.__file__).parent
    for file in sorted(root.rglob("*.py")):
        sha256.update(f"{file.relative_to(root)}\0{file_sha256(file)}\n".encode())
    return sha256.hexdigest()[:8]


def _token_status() -> TokenStatus:
    """Look for this node's token in the places where Ray looks. The token itself is not reported."""
    auth_mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    token = find_token_file()
    if token is None:
        return TokenStatus(auth_mode, "RAY_AUTH_TOKEN", True)
    return TokenStatus(auth_mode, str(token.path), token.mode is not None, token.mode)


def _file_digest_or_state(path: str) -> str:
    file = storage_path(path)
    try:
        return FOLDER if file.is_dir() else f"{DIGEST}{file_sha256(file)[:12]}"
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return _error_text(error)


def _error_text(error: Exception) -> str:
    return getattr(error, "strerror", None) or last_error_line(error)


def _checkpoint_state(key: str, model: str) -> CheckpointState:
    try:
        return CheckpointState(check_and_describe_checkpoint(key, model), "")
    except RaynerError as error:
        return CheckpointState("", str(error).removeprefix(f"{key}: "))


def _disk_space(folder: str) -> DiskSpace:
    existing = nearest_existing_folder(folder)
    return DiskSpace(folder, shutil.disk_usage(existing).free, os.stat(existing).st_dev)


def nearest_existing_folder(folder: str) -> Path:
    """Return the folder if it exists, or else its nearest parent folder that exists."""
    path = Path(folder)
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def connection_error(address: str) -> str:
    """Connect to HOST:PORT; return an error message, or an empty string if it succeeds."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        return _error_text(error)
    return ""


def _listening_addresses(url: str) -> list[str]:
    """List the IP addresses on which a process of this machine listens at the port of a URL."""
    port = url.rpartition(":")[2]
    if not port.isdigit():
        return []
    connections = psutil.net_connections("tcp")
    listening = [c.laddr for c in connections if c.status == psutil.CONN_LISTEN and c.laddr]
    return sorted({address.ip for address in listening if address.port == int(port)})


def _own_addresses() -> list[str]:
    """List the IP addresses of this machine."""
    families = (socket.AF_INET, socket.AF_INET6)
    interfaces = psutil.net_if_addrs().values()
    addresses = [entry.address for entries in interfaces for entry in entries if entry.family in families]
    return [address.partition("%")[0] for address in addresses]


# ---- the run folder


def try_write_probe_file(probe_files: ProbeFiles, node_name: str) -> str:
    """Write the test file of the node `node_name`; return an error message, or an empty string if it succeeds."""
    file, content = probe_files.files[node_name]
    try:
        (storage_path(probe_files.folder) / file).write_bytes(content)
    except Exception as error:  # each object store has its own error types
        return _error_text(error)
    return ""


def compare_probe_files(probe_files: ProbeFiles | None, driver_object: bytes) -> dict[str, str]:
    """Read the test files of all nodes; return an error message by node, which is empty if the file is correct.

    Args:
        probe_files: the test files; None if there is no run folder to test.
        driver_object: an object of the driver. It is not used, but Ray starts this task only after the object has
            reached this node.

    """
    errors: dict[str, str] = {}
    if probe_files is None:
        return errors
    for name, (file, content) in probe_files.files.items():
        try:
            same = (storage_path(probe_files.folder) / file).read_bytes() == content
            errors[name] = "" if same else "other bytes"
        except Exception as error:  # as in try_write_probe_file
            errors[name] = _error_text(error)
    return errors


def remove_probe_file(probe_files: ProbeFiles, node_name: str) -> None:
    """Remove the test file of the node `node_name`, if it was written."""
    with contextlib.suppress(Exception):
        remove_file(storage_path(probe_files.folder) / probe_files.files[node_name][0])
