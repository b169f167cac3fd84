"""Ray nodes as users start them, and jobs that are submitted to them from a clean clone.

The nodes' Python sees all packages, but no rayner: what runs there can only have travelled with the job.
"""

import os
import random
import shlex
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from rayner.cluster.environment import QUIET_ENVIRONMENT
from tests.waiting import eventually

# A node that stays in front, with a small store and no fixed ports.
SMALL = (
    "--block --dashboard-agent-listen-port=0 --min-worker-port=0 --max-worker-port=0 --object-store-memory=200000000 "
    "--disable-usage-stats"
)


@dataclass(frozen=True)
class Node:
    """A head node, the clone that jobs are submitted from, and the environment of a prepared client."""

    address: str
    clone: Path
    temporary: Path
    env: dict[str, str]

    def ray(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """One of Ray's commands, as a user in the clone calls it; variables that are empty are unset."""
        made = {name: value for name, value in {**self.env, **env}.items() if value}
        return subprocess.run(
            ["ray", *arguments], capture_output=True, text=True, cwd=self.clone, env=made, timeout=420, check=False
        )

    def submit(self, name: str, entrypoint: str, *options: str) -> subprocess.CompletedProcess[str]:
        """The README's way to submit a job, under a name."""
        asked = ["--address", self.address, "--working-dir", ".", "--submission-id", name, *options]
        return self.ray("job", "submit", *asked, "--", *shlex.split(entrypoint))

    def log(self, name: str) -> str:
        """A job's log, to the byte: Ray's commands would hide carriage returns. Nothing if it has none yet."""
        return "".join(
            path.read_bytes().decode() for path in self.temporary.glob(f"session_2*/logs/job-driver-{name}.log")
        )


def free_port() -> int:
    """A port of this machine that nobody listens on, below those that Linux gives to whoever asks for any."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def bare_python(folder: Path) -> dict[str, str]:
    """An environment with the packages of this one but without rayner, first in PATH; a home with nothing in it."""
    venv.create(folder / "env", with_pip=False)
    lent = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env")}), "lent.pth")
    # Such a line lends the packages in the folder, not the editable installs that other .pth files in it point to.
    lent.write_text("".join(f"{sysconfig.get_path(kind)}\n" for kind in ("purelib", "platlib")))
    ray = folder / "env" / "bin" / "ray"
    ray.write_text(f"#!{folder / 'env' / 'bin' / 'python'}\nfrom ray.scripts.scripts import main\nmain()\n")
    ray.chmod(0o755)
    (folder / "home").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHON")) and k not in QUIET_ENVIRONMENT}
    return {**kept, "PATH": f"{folder / 'env' / 'bin'}:{os.environ['PATH']}", "HOME": str(folder / "home")}


@contextmanager
def head_node(bare: dict[str, str], clone: Path, *options: str) -> Iterator[Node]:
    """`ray start --head` as the guide writes it, with ports and a folder that no other Ray has."""
    temporary = Path(tempfile.mkdtemp(prefix="r"))  # sockets lie in it, whose paths may have 107 bytes
    env = {**bare, "RAY_AUTH_MODE": "token"}
    subprocess.run(["ray", "get-auth-token", "--generate"], check=True, capture_output=True, env=env)
    port = free_port()
    apart = (
        f"--dashboard-host=127.0.0.1 --dashboard-port={port} --ray-client-server-port={free_port()} "
        f"--temp-dir={temporary} {SMALL}"
    )
    made = Node(f"http://127.0.0.1:{port}", clone, temporary, env)
    try:
        with started(["ray", "start", "--head", *shlex.split(apart), *options], env, temporary / "head.log"):
            up = eventually(lambda: made.ray("job", "list", "--address", made.address).returncode == 0, 120)
            assert up, (temporary / "head.log").read_text()
            yield made
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def started(command: list[str], env: dict[str, str], said: Path) -> Iterator[subprocess.Popen]:
    """A `ray start` that stays in front; in the end it and all that it started are gone, and nothing else."""
    # Not to wait at the end, and not to kill a job too soon where the machine is busy.
    patient = {**env, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", "RAY_JOB_STOP_WAIT_TIME_S": "30"}
    with said.open("wb") as log:
        node = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=patient)
    try:
        yield node
    finally:
        with_it = psutil.Process(node.pid).children(recursive=True)
        node.terminate()
        _, alive = psutil.wait_procs([psutil.Process(node.pid), *with_it], timeout=20)
        for process in alive:
            process.kill()
        node.wait(20)
