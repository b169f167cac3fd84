"""One connection to Ray, local or a cluster, and one log."""

import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import ray

from rayner.cluster.environment import SUBMITTED_JOB_VARIABLE, set_quiet_environment, worker_environment
from rayner.runs.progress import erase_bar, log

# There is no named parameter for an actor's restarts yet.
warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")


def start_logging() -> None:
    """Rayner's own lines to the standard output, plain, one a line; third parties' only from warnings on."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # in a file, Ray's lines from the workers would wait for a full buffer
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(erase_bar)  # no line is written into a bar
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    for name in ("", "ray.train"):  # Ray Train sets both to less in its workers, and would repeat every report
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to Ray while the block runs: to the cluster at RAY_ADDRESS, or to a local Ray that is started here.

    An existing connection is used and left open. A SIGTERM, as `ray job stop` sends it, ends the block at once: Ray is
    shut down, and the process ends with exit code 143.
    """
    set_quiet_environment()  # Ray's processes inherit it
    if ray.is_initialized():
        yield
        return
    if os.environ.get("RAY_ADDRESS"):
        # The working directory of a submitted job travels, and rayner in it; of a job started on a node, rayner does.
        travels = {} if SUBMITTED_JOB_VARIABLE in os.environ else {"py_modules": [str(Path(__file__).parents[1])]}
        ray.init(logging_level=logging.WARNING, runtime_env={"env_vars": worker_environment(), **travels})
    else:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # nobody takes a laptop's node away
        # The object store holds units of work in flight, not corpora: half a gigabyte is plenty on a laptop.
        ray.init(
            address="local",
            dashboard_host="127.0.0.1",
            logging_level=logging.WARNING,
            runtime_env={"env_vars": worker_environment()},
            object_store_memory=512 * 1024**2,
        )
    data = ray.data.DataContext.get_current()
    data.enable_progress_bars = False
    data.execution_options.verbose_progress = False
    data.max_consecutive_actor_init_deaths = 3
    data.execution_no_progress_timeout_s = 6 * 3600  # a large model may load, or wait for its GPU, for long
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        with _exit_on_sigterm():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let a SIGTERM end the block, and the process with SystemExit(143); others are ignored from then on.

    Signals reach the main thread alone: in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        raise SystemExit

    before = signal.signal(signal.SIGTERM, end)  # Ray's own handler says nothing
    try:
        yield
    except BaseException:  # Ray may have made another error of the handler's
        if not told:
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        log.info("stopped by SIGTERM; rerun the same command to resume")
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if not told:
            signal.signal(signal.SIGTERM, before)
