"""What a node tells the doctor of itself, and what it tries in the run folder: all that runs as tasks on the nodes."""

import contextlib
import hashlib
import ipaddress
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import rayner
from rayner.doctor.diagnosis import DIGEST, FOLDER, MISSING, DiskSpace, NodeFacts, TokenStatus
from rayner.errors import RaynerError
from rayner.runs.run_folder import file_sha256
from rayner.runs.storage import remove_file as remove_file
from rayner.runs.storage import storage_path
from rayner.steps import preflight

OBJECT_BYTES = 1024**2  # bytes: too large to travel inside a message, so it goes from object store to object store
_ASK_TORCH = (
    "import json, torch; n = torch.cuda.device_count(); p = torch.cuda.get_device_properties;"
    "print(json.dumps([[p(i).name, p(i).total_memory] for i in range(n)]))"
)


@dataclass(frozen=True)
class ProbeRequest:
    """What a node is asked. Paths are absolute, or URLs."""

    files: Sequence[str]
    models: Mapping[str, str]
    disks: Mapping[str, str]
    gcs_address: str
    dashboard_url: str
    packages: Sequence[str]


@dataclass(frozen=True)
class ProbeFiles:
    """Files to be written into a folder, each by the node that it is for: their names and contents."""

    folder: str
    files: Mapping[str, tuple[str, bytes]]


def describe_node(request: ProbeRequest, name: str, cpus: float, gpus: float, memory: float) -> NodeFacts:
    """What a node tells of itself."""
    cards, cards_error = _torch_gpus() if gpus else ([], "")
    found = {"python": platform.python_version(), **{package: _version(package) for package in request.packages}}
    return NodeFacts(
        name=name,
        cpus=cpus,
        gpus=gpus,
        versions={**found, "rayner": f"{rayner.__version__} (code {_code_digest()})"},
        free_memory=int(min(memory, psutil.virtual_memory().available)),
        torch_gpus=cards,
        torch_gpus_error=cards_error,
        tools={tool: "found" if shutil.which(tool) else "none" for tool in ("g++", "ninja", "nvcc")},
        token=_token(),
        file_states={path: _file(path) for path in request.files},
        model_errors={key: _model(key, model) for key, model in request.models.items()},
        disks={what: _disk(folder or tempfile.gettempdir()) for what, folder in request.disks.items()},
        head_error=connection_error(request.gcs_address),
        dashboard_addresses=_listening_addresses(request.dashboard_url),
        has_public_address=any(ipaddress.ip_address(address).is_global for address in _addresses()),
    )


def last_error_line(error: Exception | str) -> str:
    """What an error says, without its traceback."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def _code_digest() -> str:
    """What tells one state of the code from another, also under one version."""
    total = hashlib.sha256()
    root = Path(rayner.__file__).parent
    for file in sorted(root.rglob("*.py")):
        total.update(f"{file.relative_to(root)}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()[:8]


def _torch_gpus() -> tuple[list[tuple[str, int]], str]:
    """GPUs that torch sees. A process of its own asks: from a task that has no GPU, Ray hides them."""
    shown = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", _ASK_TORCH], env=shown, capture_output=True, text=True, check=False)
    if done.returncode:
        return [], last_error_line(done.stderr)
    return [(name, size) for name, size in json.loads(last_error_line(done.stdout))], ""


def _token() -> TokenStatus:
    """Where this node has the token: in the environment, or in a file. The token itself goes nowhere."""
    auth = os.environ.get("RAY_AUTH_MODE", "").lower()
    if os.environ.get("RAY_AUTH_TOKEN"):
        return TokenStatus(auth, "RAY_AUTH_TOKEN", True)
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return TokenStatus(auth, str(path), False)
    return TokenStatus(auth, str(path), True, mode)


def _file(path: str) -> str:
    where = storage_path(path)
    try:
        return FOLDER if where.is_dir() else f"{DIGEST}{file_sha256(where)[:12]}"
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return _why(error)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or last_error_line(error)


def _model(key: str, model: str) -> str:
    try:
        preflight.check_pretrained_model(key, model)
    except RaynerError as error:
        return str(error).partition("found ")[2]
    return ""


def _disk(folder: str) -> DiskSpace:
    there = nearest_existing_folder(folder)
    return DiskSpace(folder, shutil.disk_usage(there).free, os.stat(there).st_dev)


def nearest_existing_folder(folder: str) -> Path:
    """The folder, or the nearest one above it that is there already."""
    path = Path(folder)
    return next(above for above in (path, *path.parents) if above.exists())


def connection_error(address: str) -> str:
    """Why no connection to HOST:PORT comes about; empty if one does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        return _why(error)
    return ""


def _listening_addresses(url: str) -> list[str]:
    """Addresses on which this machine listens at the port of the dashboard."""
    port = url.rpartition(":")[2]
    if not port.isdigit():
        return []
    found = psutil.net_connections("tcp")
    bound = [c.laddr for c in found if c.status == psutil.CONN_LISTEN and c.laddr]
    return sorted({address.ip for address in bound if address.port == int(port)})


def _addresses() -> list[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    every = [item for items in psutil.net_if_addrs().values() for item in items if item.family in families]
    return [item.address.partition("%")[0] for item in every]


# ---- the run folder: these three alone know how it is reached


def write_probe_file(probe: ProbeFiles, name: str) -> str:
    """Write this node's file; empty, or why that failed."""
    file, content = probe.files[name]
    try:
        (storage_path(probe.folder) / file).write_bytes(content)
    except Exception as error:  # object stores have errors of their own
        return _why(error)
    return ""


def read_probe_files(probe: ProbeFiles | None, parcel: bytes) -> dict[str, str]:
    """By node, what is wrong with what it wrote, as it is seen from here.

    parcel: the driver's object; that this task runs at all says that it arrived.
    """
    out: dict[str, str] = {}
    if probe is None:
        return out
    for name, (file, content) in probe.files.items():
        try:
            out[name] = "" if (storage_path(probe.folder) / file).read_bytes() == content else "other bytes"
        except Exception as error:  # see `write`
            out[name] = _why(error)
    return out


def remove_probe_file(probe: ProbeFiles, name: str) -> None:
    """Remove this node's file, if it was written."""
    with contextlib.suppress(Exception):
        remove_file(storage_path(probe.folder) / probe.files[name][0])
