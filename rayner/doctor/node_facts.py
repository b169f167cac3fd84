"""What a node reports to the doctor: plain records, filled in by `probes` and judged by `diagnosis`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MISSING = "nothing"  # the version of a package that is not installed, the state of a file that does not exist
FOLDER = "a folder"  # the state of an input that is a folder
DIGEST = "sha256 "  # begins the state of an input that is a file


@dataclass(frozen=True)
class TokenStatus:
    """How a node is set up for Ray's token authentication.

    auth_mode: RAY_AUTH_MODE. source: the file or environment variable that holds the token; present: whether it does.
    mode: permissions of the file; None where there is no file.
    """

    auth_mode: str
    source: str
    present: bool
    mode: int | None = None


@dataclass(frozen=True)
class DiskSpace:
    """Free bytes of the file system that holds a folder. device: its number, which differs between file systems."""

    folder: str
    free_bytes: int
    device: int


@dataclass(frozen=True)
class NodeFacts:
    """What one node reports. An empty error means success.

    free_memory: bytes. torch_gpus: name and bytes of each GPU that torch sees.
    tools: compilers, by name `found` or `none`.
    file_states: by input path, DIGEST and the file's digest, FOLDER, or an error. model_errors: by setting.
    disks: by use (`run`, `out`, `temporary`).
    head_error: of a connection to the head's port. write_error: of writing into the run folder; None: not tried.
    dashboard_addresses: addresses of this node on which the dashboard's port is open.
    has_public_address: whether the node has an address on the internet.
    """

    name: str
    cpus: float
    gpus: float
    versions: Mapping[str, str]
    free_memory: int
    torch_gpus: Sequence[tuple[str, int]] = ()
    torch_gpus_error: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    token: TokenStatus = TokenStatus("", "", False)
    file_states: Mapping[str, str] = field(default_factory=dict)
    model_errors: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, DiskSpace] = field(default_factory=dict)
    head_error: str = ""
    write_error: str | None = None
    dashboard_addresses: Sequence[str] = ()
    has_public_address: bool = False
