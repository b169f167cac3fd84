"""The connection of a job to Ray: a cluster's, or a local one."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import ray

from rayner.cluster.environment import SUBMITTED_JOB_VARIABLE, set_quiet_environment, worker_environment
from rayner.runs.error_messages import RERUN_HINT
from rayner.runs.progress import log


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to Ray while the block runs: to the cluster at RAY_ADDRESS, or to a local Ray that is started here.

    An existing connection is used and left open. A SIGTERM, as `ray job stop` sends it, ends the block at once: Ray is
    shut down, and the process ends with exit code 143.
    """
    set_quiet_environment()  # Ray's processes inherit it
    # Ray has no named parameter for an actor's restarts yet.
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    if ray.is_initialized():
        yield
        return
    if os.environ.get("RAY_ADDRESS"):
        # Workers get rayner with the working directory of a submitted job; a job started on a node must ship it.
        shipped = {} if SUBMITTED_JOB_VARIABLE in os.environ else {"py_modules": [str(Path(__file__).parents[1])]}
        ray.init(logging_level=logging.WARNING, runtime_env={"env_vars": worker_environment(), **shipped})
    else:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a laptop's node is never preempted
        # The object store holds only the units of work that are being scored: half a gigabyte is plenty.
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
    """Let the first SIGTERM end the block, and the process with SystemExit(143); later ones are ignored.

    Only the main thread gets signals: in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_terminated = False

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal is_terminated
        is_terminated = True
        raise SystemExit

    previous_handler = signal.signal(signal.SIGTERM, terminate)  # Ray's own handler prints nothing
    try:
        yield
    except BaseException:  # Ray may have turned the handler's exception into another one
        if not is_terminated:
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        log.info("stopped by SIGTERM; %s", RERUN_HINT)
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if not is_terminated:
            signal.signal(signal.SIGTERM, previous_handler)
