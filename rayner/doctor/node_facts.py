"""The facts that a node reports to the doctor. `probes` fills in these records, and `diagnosis` checks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayner.modeling.gpus import Gpu

MISSING = "nothing"  # version of a package that is not installed, or state of a file that does not exist
FOLDER = "a folder"  # state of an input that is a folder
DIGEST = "sha256 "  # prefix of the state of an input that is a file


@dataclass(frozen=True)
class TokenStatus:
    """How a node is set up for Ray's token authentication.

    auth_mode: value of RAY_AUTH_MODE.
    source: file or environment variable in which Ray looks for the token.
    present: whether the token is there.
    mode: permissions of the file; None if there is no file.
    """

    auth_mode: str
    source: str
    present: bool
    mode: int | None = None


@dataclass(frozen=True)
class DiskSpace:
    """The free space of the file system that holds a folder.

    device: device number of the file system. Folders with the same number share the free space.
    """

    folder: str
    free_bytes: int
    device: int


@dataclass(frozen=True)
class CheckpointState:
    """What a node found of a checkpoint: a line about its weights, or else an error."""

    description: str
    error: str


@dataclass(frozen=True)
class NodeFacts:
    """The facts that one node reports. An empty error message means success.

    free_memory: free memory in bytes.
    torch_gpus: the GPUs that torch sees.
    torch_gpus_error: why torch could not list the GPUs.
    tools: for each compiler, `found` or `none`.
    file_states: for each input path, its state: DIGEST and the file's digest, FOLDER, MISSING, or an error message.
    model_states: for each setting that names a checkpoint, what the node found of it.
    faiss: for each package that provides FAISS, its version.
    cuda_versions: for torch and each package of FAISS, the major version of CUDA that it is built for, if any.
    disks: free space for each use of a folder (`run`, `out`, `temporary`).
    head_error: error of a connection to the head's port.
    write_error: error of writing into the run folder; None if this was not tried.
    dashboard_addresses: addresses of this node on which the dashboard's port is open.
    has_public_address: whether the node has an address on the internet.
    """

    name: str
    cpus: float
    gpus: float
    versions: Mapping[str, str]
    free_memory: int
    torch_gpus: Sequence[Gpu] = ()
    torch_gpus_error: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    token: TokenStatus = TokenStatus("", "", False)
    file_states: Mapping[str, str] = field(default_factory=dict)
    model_states: Mapping[str, CheckpointState] = field(default_factory=dict)
    faiss: Mapping[str, str] = field(default_factory=dict)
    cuda_versions: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, DiskSpace] = field(default_factory=dict)
    head_error: str = ""
    write_error: str | None = None
    dashboard_addresses: Sequence[str] = ()
    has_public_address: bool = False
