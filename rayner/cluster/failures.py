"""What ends a job besides wrong input, in one line for people: a full disk, storage that is away, dead actors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayActorError, RayTaskError

from rayner.errors import JobError, RaynerError
from rayner.runs.storage import StoragePath

RERUN_HINT = "rerun the same command to resume"
_STORAGE_CLIENT_MODULES = (
    "botocore",
    "aiobotocore",
    "aiohttp",
    "gcsfs",
    "google",
)  # whose errors are those of an object store


@contextmanager
def storage_and_actor_errors_as_job_error(out: StoragePath) -> Iterator[None]:
    """Turn errors of the storage and of actors, in work on `out`, into a JobError of one line."""
    try:
        yield
    except RayActorError as error:
        raise JobError(
            f"{out}: an actor died again and again (score.max_restarts), last: {_first_line(error)}; "
            f"{out / 'attempts'} names the units it worked on; {RERUN_HINT}"
        ) from error
    except Exception as error:
        if not (isinstance(error, OSError) or _is_storage_client_error(error)):
            raise
        raise JobError(f"{out}: {format_error(error)}; {RERUN_HINT}") from error


@contextmanager
def unwrap_ray_task_error() -> Iterator[None]:
    """Raise an error made for users that Ray brought from a worker as it was there, without Ray's report around it."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, RaynerError):
            raise error.cause from error
        raise


def format_error(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left"
    if isinstance(error, OSError) or _is_storage_client_error(error):
        return f"cannot be read or written: {_first_line(error)}"
    return f"{type(error).__name__}: {_first_line(error)}"


def _is_storage_client_error(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in _STORAGE_CLIENT_MODULES


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
