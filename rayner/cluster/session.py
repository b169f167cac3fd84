"""One connection to Ray, local or a cluster, and one way to say how far a job is."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray

log = logging.getLogger("rayner")


# Control characters and other libraries' remarks have no place in a job's log.
QUIET = {
    "env_vars": {
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONWARNINGS": "ignore",
    }
}
os.environ.update(QUIET["env_vars"])


def start_logging() -> None:
    """Rayner's own lines to the standard output, plain, one a line; third parties' only from warnings on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


@contextmanager
def session() -> Iterator[None]:
    """Be connected to Ray: to the cluster the job was submitted to, or to one that starts here by itself.

    A connection that stands already is used and left open.
    """
    if ray.is_initialized():
        yield
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.WARNING, runtime_env=QUIET)
    else:
        # The object store holds units of work in flight, not corpora: half a gigabyte is plenty on a laptop.
        ray.init(
            address="local",
            dashboard_host="127.0.0.1",
            logging_level=logging.WARNING,
            runtime_env=QUIET,
            object_store_memory=512 * 1024**2,
        )
    data = ray.data.DataContext.get_current()
    data.enable_progress_bars = False
    data.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()


class Progress:
    """Lines of done/total, rate and time left, at most one each few seconds."""

    def __init__(self, what: str, total: int, unit: str, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.begun = self.last = time.time()

    def add(self, amount: int) -> None:
        """Say that so much more is done."""
        self.done += amount
        now = time.time()
        if now - self.last >= self.every or self.done >= self.total:
            self.last = now
            rate = self.done / max(now - self.begun, 1e-9)
            left = (self.total - self.done) / max(rate, 1e-9)
            log.info(
                "%s %s/%s %s, %s a second, %s left",
                self.what, f"{self.done:,}", f"{self.total:,}", self.unit, f"{rate:,.1f}", duration(left),
            )  # fmt: skip


def duration(seconds: float) -> str:
    """Such as `42 s`, `3 min 20 s`, `5 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
