"""Turn errors of Ray or the storage into errors with a one-line message for users."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayActorError, RayTaskError

from rayner.errors import JobError, RaynerError
from rayner.runs.error_messages import RERUN_HINT, first_line, format_error, is_storage_error
from rayner.runs.storage import StoragePath


@contextmanager
def storage_and_actor_errors_as_job_error(out: StoragePath) -> Iterator[None]:
    """Turn errors of the storage, and of actors that died too often, into a JobError.

    out: the folder that the job writes, for the message.
    """
    try:
        yield
    except RayActorError as error:
        raise JobError(
            f"{out}: an actor died too often (score.max_restarts), last: {first_line(error)}; "
            f"{out / 'attempts'} names the units it worked on; {RERUN_HINT}"
        ) from error
    except Exception as error:
        if not is_storage_error(error):
            raise
        raise JobError(f"{out}: {format_error(error)}; {RERUN_HINT}") from error


@contextmanager
def unwrap_ray_task_error() -> Iterator[None]:
    """Turn a RayTaskError whose cause is a RaynerError into that RaynerError.

    The user then sees the message of the worker's error without Ray's report around it.
    """
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, RaynerError):
            raise error.cause from error
        raise
