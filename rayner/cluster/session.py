"""Connect a job to Ray, on a cluster or on this machine."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from rayner.cluster.auth_token import (
    is_remote_address,
    keep_new_token_private,
    require_private_token_file,
    warn_if_others_read_token,
)
from rayner.cluster.environment import (
    QUIET_FUNCTION,
    SUBMITTED_JOB_VARIABLE,
    set_quiet_environment,
    worker_environment,
)
from rayner.cluster.interrupts import keep_keyboard_interrupt
from rayner.runs.error_messages import RERUN_HINT
from rayner.runs.progress import log


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to Ray while the block runs.

    If RAY_ADDRESS is set, connect to the cluster at that address. Otherwise start a local Ray. An existing connection
    is used and left open.

    A SIGTERM, such as `ray job stop` sends, ends the block at once. Then Ray is shut down, and the process ends with
    exit code 143.

    If other users may read the file of Ray's token, this logs a warning. Raises ConfigError in this case if the cluster
    is on another machine.
    """
    set_quiet_environment()  # Ray's processes inherit it
    # `ray_remote_args` is needed, because Ray has no named parameter for an actor's restarts yet.
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", "")
    if is_remote_address(address):
        require_private_token_file()
    runtime_env = {"env_vars": worker_environment(), "worker_process_setup_hook": QUIET_FUNCTION}
    if address:
        # In a submitted job, workers get rayner with the job's working directory. A job that is started on a node must
        # send rayner to the workers.
        shipped = {} if SUBMITTED_JOB_VARIABLE in os.environ else {"py_modules": [str(Path(__file__).parents[1])]}
        ray.init(logging_level=logging.WARNING, runtime_env={**runtime_env, **shipped})
    else:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a local node is never preempted
        # The object store holds only the units of work that are being predicted, so 512 MiB is enough.
        with keep_new_token_private():
            ray.init(
                address="local",
                dashboard_host="127.0.0.1",
                logging_level=logging.WARNING,
                runtime_env=runtime_env,
                object_store_memory=512 * 1024**2,
            )
    _use_up_warning_about_restarts()
    warn_if_others_read_token()  # Ray has just written the file, if there was none
    data = ray.data.DataContext.get_current()
    data.enable_progress_bars = False
    data.execution_options.verbose_progress = False
    data.max_consecutive_actor_init_deaths = 3
    data.execution_no_progress_timeout_s = 6 * 3600  # a large model may take long to load, or wait long for its GPU
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        with _exit_on_sigterm(), keep_keyboard_interrupt():
            yield
    finally:
        ray.shutdown()


_NEVER = "rayner_never"  # a resource that no node has, so no process is started


class _Idle:
    def __init__(self, argument: object) -> None:
        pass


def _use_up_warning_about_restarts() -> None:
    """Let Ray print, where nobody reads it, that actors whose arguments are lost cannot be restarted.

    Ray's core prints this once in a process, past Python's logging, for the first actor with restarts. It concerns all
    actors of Ray Data, and users can do nothing about it.
    """
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    argument = ray.put(None)
    os.dup2(nowhere, 2)
    try:
        actor: Any = ray.remote(_Idle).options(num_cpus=0, resources={_NEVER: 1}, max_restarts=1).remote(argument)
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)
    ray.kill(actor)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """End the block at the first SIGTERM by raising SystemExit(143). Later SIGTERMs are ignored.

    Only the main thread gets signals. In another thread this does nothing.
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
    except BaseException:  # Ray may have replaced the handler's exception by another one
        if not is_terminated:
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        log.info("stopped by SIGTERM; %s", RERUN_HINT)
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        if not is_terminated:
            signal.signal(signal.SIGTERM, previous_handler)
