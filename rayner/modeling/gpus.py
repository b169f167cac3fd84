"""The GPUs of this machine, listed without using one."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

_LIST_GPUS = (
    "import json, torch; n = torch.cuda.device_count(); p = torch.cuda.get_device_properties;"
    "print(json.dumps([[p(i).name, p(i).total_memory] for i in range(n)]))"
)


@dataclass(frozen=True)
class Gpu:
    """A GPU and the bytes of its memory."""

    name: str
    n_bytes: int


def list_gpus_or_error() -> tuple[list[Gpu], str]:
    """List the GPUs that torch sees; return an error message if that fails.

    A separate process lists them, because a process that asks for the memory of a GPU occupies some of it. The
    environment may hide GPUs from this process; the other process sees them.
    """
    env = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", _LIST_GPUS], env=env, capture_output=True, text=True, check=False)
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or ["no output"]
    if done.returncode:
        return [], lines[-1].strip()
    return [Gpu(name, n_bytes) for name, n_bytes in json.loads(lines[-1])], ""
