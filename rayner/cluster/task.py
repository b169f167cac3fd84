"""Run a function in a Ray task that has the resources of the settings."""

from collections.abc import Callable
from typing import Any

import ray

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.runs.job_log import start_logging


def run_in_task(function: Callable[..., Any], *arguments: object, cpus: float, gpus: float) -> Any:  # noqa: ANN401 - what the function returns
    """Call a function in a Ray task and return its result.

    The driver of a job has no GPU of its own, so whatever loads a model runs in a task or an actor.

    Raises RaynerError as the function raises it.
    """
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_log_and_call)
    with unwrap_ray_task_error():
        return ray.get(task.remote(function, *arguments))


def _log_and_call(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - as above
    start_logging()
    return function(*arguments)
